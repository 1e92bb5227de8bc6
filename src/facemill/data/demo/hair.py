"""Where the hair of the head grows: a cap of short hair with a hair line, sideburns and nape."""

import numpy as np
from scipy.interpolate import PchipInterpolator

# Lowest row with hair, by column from the mid-line of the face to that of the back.
_LINE = PchipInterpolator(
    [0, 8, 15, 22, 27, 31, 34, 36.5, 38.5, 40.5, 42, 44, 55, 57.5, 58.5, 60, 62],
    [93, 93, 93.3, 93, 91, 86.5, 80, 73, 60, 50, 54, 76.5, 77.5, 74, 22, 15, 14],
)


def hair_cover(column: np.ndarray, row: np.ndarray, noise: np.ndarray | float = 0.0) -> np.ndarray:
    """Share of hair, 0 .. 1, at columns -62 .. 62 and rows; ``noise`` (unit deviation) frays the line."""
    above = row - _LINE(np.abs(column)) + 0.9 * noise
    t = np.clip(above / 2.2 + 0.5, 0, 1)
    return t * t * (3 - 2 * t)
