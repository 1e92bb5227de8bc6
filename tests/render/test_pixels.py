"""Colours as bytes."""

import numpy as np

from facemill.render.pixels import eight_bit


def test_colours_are_rounded_to_the_nearest_byte_and_cut_off_outside():
    every = np.arange(256, dtype=np.uint8)
    for off in (-0.49, 0.0, 0.49):
        assert (eight_bit((every + off) / 255.0) == every).all()
    assert eight_bit(np.array([[-0.5, 1.5]], np.float32)).tolist() == [[0, 255]]
