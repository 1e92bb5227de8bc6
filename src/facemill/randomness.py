"""Random numbers that depend on a seed and on names, never on the order of jobs."""

import hashlib

import numpy as np


def derived_seed(seed: int, *names: str) -> int:
    """A 63-bit seed from the run's seed and the names of what it is for (stage, person, view)."""
    text = "\x1f".join([str(int(seed)), *map(str, names)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little") >> 1


def generator(seed: int, *names: str) -> np.random.Generator:
    """NumPy generator for the run's seed and the names of what it is for."""
    return np.random.default_rng(derived_seed(seed, *names))
