"""Landmarks by a network of the user's own: every form of answer, and one clear error otherwise."""

import importlib.util

import numpy as np
import pytest
import torch

from facemill.errors import DataError
from facemill.mofanerf.detector import detect_landmarks, load_detector, points_of

# TorchScript files are what many published detectors are; torch calls the format deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")


class Dots(torch.nn.Module):
    """Finds 68 dots by their colours: heat maps (1, 68, s, s)."""

    def __init__(self, colours: torch.Tensor):
        super().__init__()
        self.register_buffer("colours", colours)

    def forward(self, picture: torch.Tensor) -> torch.Tensor:
        away = picture[:, None] - self.colours[None, :, :, None, None]
        return torch.exp(-400.0 * (away**2).sum(dim=2))


class Points(torch.nn.Module):
    """Gives the middles of the dots' heat maps as numbers: (1, 136), shares of the side."""

    def __init__(self, dots: Dots):
        super().__init__()
        self.dots = dots

    def forward(self, picture: torch.Tensor) -> torch.Tensor:
        maps = self.dots(picture)[0]
        side = maps.shape[-1]
        share = maps / maps.sum(dim=(1, 2), keepdim=True)
        at = (torch.arange(side) + 0.5) / side
        x, y = (share.sum(dim=1) * at).sum(dim=1), (share.sum(dim=2) * at).sum(dim=1)
        return torch.stack([x, y], dim=1).reshape(1, 136)


@pytest.fixture(scope="module")
def scene():
    """A grey photo, not square, with 68 dots of different colours in a part of it."""
    levels = [0.02, 0.34, 0.66, 0.98]
    cube = np.array([[r, g, b] for r in levels for g in levels for b in levels])
    colours = np.concatenate([cube, [[0.5, 0, 0], [0, 0.5, 0], [0, 0, 0.5], [0.5, 0.5, 0]]])
    photo = np.full((240, 420, 3), 0.18)
    photo[...] = [0.18, 0.5, 0.18]
    rows, columns = np.divmod(np.arange(68), 9)
    points = np.stack([200 + 14.0 * columns, 60 + 14.0 * rows], axis=1) + 0.5
    for (x, y), colour in zip(points.astype(int), colours, strict=True):
        photo[y - 4 : y + 5, x - 4 : x + 5] = colour
    return np.round(photo * 255).astype(np.uint8), points, torch.tensor(colours).float()


@pytest.mark.parametrize("form", ["heat maps", "numbers"])
def test_points_are_found_and_led_back_to_the_photo(scene, tmp_path, form):
    photo, points, colours = scene
    dots = Dots(colours)
    network = dots if form == "heat maps" else Points(dots)
    path = tmp_path / "68.pt"
    torch.jit.script(network).save(str(path))
    detector, side = load_detector(path)
    found = detect_landmarks(photo, detector, side, "photo.jpg")
    error = np.linalg.norm(found - points, axis=1)
    assert np.median(error) < (5.0 if form == "heat maps" else 1.0)
    assert error.max() < 9.0  # within the dots, or beside them


def test_the_forms_of_an_answer_mean_the_same():
    points = np.random.default_rng(0).uniform(10, 90, (68, 2))
    maps = np.zeros((1, 68, 100, 100))
    for number, (x, y) in enumerate(points.astype(int)):
        maps[0, number, y, x] = 1.0
    expected = points.astype(int) + 0.5
    np.testing.assert_allclose(points_of(maps, 100, "photo"), expected, atol=1e-6)
    np.testing.assert_allclose(points_of(maps, 300, "photo"), 3 * expected, atol=1e-6)
    shares = (expected / 100).reshape(1, 136)
    np.testing.assert_allclose(points_of(shares, 100, "photo"), expected)
    np.testing.assert_allclose(points_of(expected[None] - 0.5, 100, "photo"), expected)


@pytest.mark.parametrize("shape", [(1, 5, 2), (1, 98, 2), (68,), (1, 98, 64, 64), ()])
def test_another_number_of_points_is_refused(shape):
    with pytest.raises(DataError, match=r"photo: the detector gave .* expected \(1, 68, 2\)"):
        points_of(np.zeros(shape), 256, "photo")


def test_a_photo_in_which_nothing_is_found_says_so(scene):
    photo = scene[0]
    for answer in (np.full((1, 68, 2), 900.0), np.full((1, 68, 2), 100.0)):
        with pytest.raises(DataError, match=r"photo\.jpg: the detector found no face"):
            detect_landmarks(photo, lambda picture, a=answer: a, 256, "photo.jpg")

    def broken(picture):
        raise RuntimeError("expected 112 pixels")

    with pytest.raises(DataError, match="the detector failed on a picture of 3 x 256 x 256"):
        detect_landmarks(photo, broken, 256, "photo.jpg")


def test_model_files_that_cannot_be_used_are_named(tmp_path):
    with pytest.raises(DataError, match=r"none\.onnx: no such file.*photo\.detector"):
        load_detector(tmp_path / "none.onnx")
    for suffix, message in {
        ".dat": r"face\.dat: detectors are read from \.pt, \.ts \(TorchScript\) and \.onnx",
        ".pt": r"face\.pt: not a TorchScript file",
    }.items():
        path = tmp_path / f"face{suffix}"
        path.write_bytes(b"<html>not found</html>")
        with pytest.raises(DataError, match=message):
            load_detector(path)


def test_an_onnx_file_without_its_package_says_what_to_install(tmp_path, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "onnxruntime" else find(name)
    )
    (tmp_path / "face.onnx").write_bytes(b"x")
    with pytest.raises(DataError, match=r"face\.onnx: needs the package onnxruntime"):
        load_detector(tmp_path / "face.onnx")
