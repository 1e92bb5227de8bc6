"""Colours of skin, hair and irises, in CIE Lab, and the way from Lab to sRGB."""

import numpy as np
from jaxtyping import Float

# Skin from light to dark: lightness, redness, yellowness (a smooth curve through the range that
# colorimetry reports for foreheads and inner arms).
_TONE = np.linspace(0, 1, 6)
_L = [74.0, 69.0, 62.0, 53.0, 43.0, 34.5]
_A = [10.5, 11.5, 12.5, 13.5, 12.5, 9.5]
_B = [14.5, 17.5, 20.0, 21.0, 18.0, 12.5]

HAIR = {
    "black": (15.0, 1.0, 1.0),
    "dark_brown": (21.0, 4.5, 6.0),
    "brown": (29.0, 7.5, 12.0),
    "auburn": (33.0, 16.0, 19.0),
    "blond": (56.0, 6.0, 25.0),
    "grey": (58.0, 0.0, 2.0),
}
IRIS = {
    "dark_brown": (23.0, 10.0, 12.0),
    "brown": (33.0, 14.0, 20.0),
    "hazel": (44.0, 5.0, 22.0),
    "green": (50.0, -7.0, 14.0),
    "blue": (54.0, -4.0, -14.0),
    "grey": (55.0, -2.0, -4.0),
}


def skin_tone(tone: float) -> Float[np.ndarray, "3"]:
    """Lab colour of skin at ``tone`` 0 (light) .. 1 (dark)."""
    return np.array([np.interp(tone, _TONE, c) for c in (_L, _A, _B)])


def lab_to_srgb(lab: Float[np.ndarray, "*n 3"]) -> Float[np.ndarray, "*n 3"]:
    """CIE Lab (D65) to gamma-coded sRGB in 0 .. 1, clipped (IEC 61966-2-1)."""
    fy = (lab[..., 0] + 16) / 116
    f = np.stack([fy + lab[..., 1] / 500, fy, fy - lab[..., 2] / 200], axis=-1)
    xyz = np.where(f > 6 / 29, f**3, 3 * (6 / 29) ** 2 * (f - 4 / 29)) * [0.95047, 1.0, 1.08883]
    linear = xyz @ np.array(
        [[3.2406, -0.9689, 0.0557], [-1.5372, 1.8758, -0.2040], [-0.4986, 0.0415, 1.0570]]
    )
    linear = np.clip(linear, 0, 1)
    return np.where(linear > 0.0031308, 1.055 * linear ** (1 / 2.4) - 0.055, 12.92 * linear)
