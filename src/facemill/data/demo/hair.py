"""Where the hair of the head grows: a cap of short hair with a hair line, sideburns and nape."""

import numpy as np
from scipy.interpolate import PchipInterpolator

# Lowest row with hair, by column from the mid-line of the face to that of the back.
_LINE = PchipInterpolator(
    [0, 8, 15, 22, 26, 30, 33.2, 36.2, 38.8, 41.8, 44, 46, 57, 59.5, 60.5, 62, 64],
    [93, 93, 93.3, 93, 91, 86.5, 80, 73, 60, 50, 54, 72, 73, 62, 22, 15, 14],
)


_SLOPE = _LINE.derivative()


def hair_cover(
    column: np.ndarray, row: np.ndarray, noise: np.ndarray | float = 0.0, lower: float = 0.0
) -> np.ndarray:
    """Share of hair, 0 .. 1, at columns -64 .. 64 and rows.

    ``noise`` (unit deviation) frays the line; ``lower`` brings the line over the forehead down by
    so many rows (negative: receding).
    """
    side = np.abs(column)
    line = _LINE(side) - lower * np.clip((31 - side) / 6, 0, 1)
    above = (row - line) / np.sqrt(1 + (0.8 * _SLOPE(side)) ** 2) + 0.8 * noise
    t = np.clip(above / 2.0 + 0.5, 0, 1)
    return t * t * (3 - 2 * t)
