"""Colours shared by all figures: sRGB and linear light, ink, series, the error map."""

import numpy as np
from jaxtyping import UInt8

INK = "#22262b"
"""Text and axes."""

FAINT = "#8a9099"
"""Secondary text, ticks and grids."""

SERIES = ("#2a6f97", "#d1603d", "#5b8c5a", "#8e5572", "#c9a227", "#4a4e69")
"""Line colours, told apart in grey and by colour-blind readers."""

NOT_EVALUATED = np.array([176, 178, 182], np.uint8)
"""Where there is no value: beyond the crop, or no correspondence."""


def from_srgb(srgb: np.ndarray) -> np.ndarray:
    """sRGB 0..255 to linear light 0..1 (IEC 61966-2-1)."""
    value = np.asarray(srgb, np.float32) / 255.0
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def to_srgb(linear: np.ndarray) -> UInt8[np.ndarray, "*n"]:
    """Linear light to sRGB 0..255; what is brighter than 1 becomes white."""
    value = np.clip(linear, 0.0, 1.0)
    srgb = np.where(value <= 0.0031308, 12.92 * value, 1.055 * value ** (1 / 2.4) - 0.055)
    return np.round(srgb * 255.0).astype(np.uint8)


def error_map() -> UInt8[np.ndarray, "256 3"]:
    """The colours of errors from 0 (first) to the end of the scale (last).

    Lightness falls evenly from ivory over orange and crimson to a deep violet, so that equal steps
    in mm look like equal steps, in grey too, and a good fit looks calm.
    """
    from matplotlib import colormaps

    table = colormaps["magma"](np.linspace(0.985, 0.16, 256))[:, :3]
    return np.round(table * 255).astype(np.uint8)
