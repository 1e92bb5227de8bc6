"""GIFs: as many pictures as given, at their speed, in their colours."""

import numpy as np
import pytest
from PIL import Image

from facemill.figures.animation import write_gif


def pictures(count: int) -> list[np.ndarray]:
    shown = []
    for number in range(count):
        picture = np.full((12, 16, 3), 255, np.uint8)
        picture[:, number % 16] = [200, 30, 40]
        shown.append(picture)
    return shown


@pytest.mark.parametrize(("fps", "count", "duration"), [(25.0, 6, 40), (100.0, 3, 20)])
def test_pictures_and_speed_are_kept(tmp_path, fps, count, duration):
    write_gif(tmp_path / "a.gif", pictures(6), fps)
    with Image.open(tmp_path / "a.gif") as found:
        assert found.n_frames == count and found.info["duration"] == duration
        assert found.info["loop"] == 0 and found.size == (16, 12)
        found.seek(1)
        column = 1 if count == 6 else 2
        np.testing.assert_allclose(np.array(found.convert("RGB"))[5, column], [200, 30, 40], atol=8)
