"""MoFaNeRF: morphable facial neural radiance field (Zhuang, Zhu, Sun, Cao, ECCV 2022)."""
