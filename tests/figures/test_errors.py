"""Error colours: scale, order, what is not known."""

import numpy as np

from facemill.figures.colours import NOT_EVALUATED, error_map, from_srgb
from facemill.figures.errors import error_colours, scale_maximum


def test_ends_and_unknown():
    colours = error_colours(np.array([0.0, 2.0, 5.0, -2.0, np.nan, np.inf]), 2.0)
    table = error_map()
    np.testing.assert_array_equal(colours[0], table[0])
    np.testing.assert_array_equal(colours[1:4], np.tile(table[-1], (3, 1)))
    np.testing.assert_array_equal(colours[4:], np.tile(NOT_EVALUATED, (2, 1)))


def test_the_map_darkens_evenly():
    luminance = from_srgb(error_map()) @ np.array([0.2126, 0.7152, 0.0722])
    lightness = 116 * np.cbrt(luminance) - 16  # CIE L*, above its linear toe
    steps = np.diff(lightness)
    assert (steps < 0.05).all()
    assert abs(steps[:128].sum() / steps[128:].sum() - 1) < 0.25


def test_scales_end_at_round_numbers():
    values = np.linspace(0, 1, 1001)
    assert scale_maximum(values) == 1.0
    assert scale_maximum(values * 0.15) == 0.2
    assert scale_maximum(np.array([np.nan, 0.01])) == 0.1
    assert scale_maximum(np.array([np.nan])) == 1.0
