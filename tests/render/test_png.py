"""The fast PNG writer against Pillow's reader, and the reader against the writer."""

import io

import numpy as np
import pytest
from PIL import Image

from facemill.errors import DataError
from facemill.render.png import png, read_png


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
    back = read_png(png(image), "image")
    assert back.dtype == image.dtype
    np.testing.assert_array_equal(back, image)


def test_a_damaged_or_foreign_image_is_refused_by_name():
    image = np.random.default_rng(0).integers(0, 255, (20, 20, 3), np.uint8)
    whole = png(image)
    foreign = io.BytesIO()
    Image.fromarray(image).save(foreign, "PNG")
    changed = whole[:100] + bytes([whole[100] ^ 1]) + whole[101:]
    for data in (b"", whole[:50], whole[:-20], changed, foreign.getvalue()):
        with pytest.raises(DataError, match=r"0_3\.png is damaged"):
            read_png(data, "pack.zip: 0_3.png")
