"""Figures on disk: size, same bytes again, nothing half; smoothing and reading of curves."""

import numpy as np
import pytest
from PIL import Image

from facemill.errors import DataError
from facemill.figures.curves import read_history, smoothed, training_curves
from facemill.figures.layout import grid


def test_a_grid_shows_its_pictures_pixel_for_pixel(tmp_path):
    red = np.full((50, 40, 3), (200, 0, 0), np.uint8)
    out = tmp_path / "figure.png"
    grid([[red, None], [red, red]], out, ["a", "b"], ["x", "y"], "title", error_maximum=2.0)
    picture = np.array(Image.open(out).convert("RGB")).astype(int)
    is_red = (np.abs(picture - [200, 0, 0]).max(axis=2) < 3).sum()
    assert abs(is_red - 3 * 50 * 40) < 3 * 200
    again = tmp_path / "again.png"
    grid([[red, None], [red, red]], again, ["a", "b"], ["x", "y"], "title", error_maximum=2.0)
    assert again.read_bytes() == out.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["again.png", "figure.png"]


def test_smoothing_keeps_a_geometric_decay_and_skips_what_is_not_positive():
    decay = 0.9 ** np.arange(60)
    np.testing.assert_allclose(smoothed(decay, 7)[5:-5], decay[5:-5])
    gaps = decay.copy()
    gaps[[10, 30]] = 0.0, np.nan
    assert np.isfinite(smoothed(gaps, 7)).all()
    assert np.isnan(smoothed(np.zeros(5), 3)).all()


def test_curves_are_drawn_from_histories(tmp_path):
    for name in ("se3", "translation"):
        rows = [f"{i},{i / 10},0.001,{0.99**i:.6g},{0.98**i:.6g},0" for i in range(0, 200, 5)]
        header = "step,seconds,learning_rate,total,surface,unused"
        (tmp_path / f"{name}.csv").write_text("\n".join([header, *rows]) + "\n")
    out = tmp_path / "curves.png"
    training_curves({n: tmp_path / f"{n}.csv" for n in ("se3", "translation")}, out, "ImFace")
    assert Image.open(out).width > 600
    assert out.with_suffix(".pdf").read_bytes().startswith(b"%PDF")
    assert read_history(tmp_path / "se3.csv")["step"].tolist() == list(range(0, 200, 5))


@pytest.mark.parametrize("content", ["step,total\n1,a\n", "step,total\n1,2,3\n", "step,total\n"])
def test_a_broken_history_is_refused_by_name(tmp_path, content):
    (tmp_path / "history.csv").write_text(content)
    with pytest.raises(DataError, match=r"history\.csv"):
        training_curves({"run": tmp_path / "history.csv"}, tmp_path / "curves.png")
    assert not (tmp_path / "curves.png").exists()
