"""Colours as bytes."""

import numpy as np
from jaxtyping import Float, UInt8


def eight_bit(colours: Float[np.ndarray, "*shape"]) -> UInt8[np.ndarray, "*shape"]:
    """Colours from 0 to 1 as whole numbers from 0 to 255; what lies outside is cut off."""
    return np.round(255 * np.clip(colours, 0, 1)).astype(np.uint8)
