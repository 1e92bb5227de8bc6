"""The fast PNG writer against Pillow's reader."""

import io

import numpy as np
import pytest
from PIL import Image

from facemill.render.png import png


@pytest.mark.parametrize(
    ("shape", "dtype", "mode"),
    [
        ((7, 5), np.uint8, "L"),
        ((7, 5), np.uint16, "I;16"),
        ((1, 9, 3), np.uint8, "RGB"),
        ((6, 4, 4), np.uint8, "RGBA"),
    ],
)
def test_what_is_written_is_read(shape, dtype, mode):
    image = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)
    with Image.open(io.BytesIO(png(image))) as read:
        assert read.mode == mode
        np.testing.assert_array_equal(np.array(read), image)
