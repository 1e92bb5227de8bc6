"""Fitting one image: known codes come back, landmarks lead, bad input is told."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from facemill.errors import DataError
from facemill.mesh.frames import HEAD_CENTRE
from facemill.metrics.images import psnr
from facemill.mofanerf.config import SamplingConfig
from facemill.mofanerf.faces import FaceCodes
from facemill.mofanerf.fit import bright, fit_image
from facemill.mofanerf.fit_config import FitConfig, FitRates, FitWeights
from facemill.mofanerf.fit_people import PeopleConfig, camera_error, disturbed
from facemill.mofanerf.landmark_model import LandmarkModel
from facemill.render.cameras import Camera, orbit

SAMPLING = SamplingConfig(samples=10)
QUICK = FitConfig(steps=4, starts=2, start_steps=2, rays=64, sampling=SAMPLING)
RECIPE = FitConfig(
    steps=160,
    starts=3,
    start_steps=40,
    rays=256,
    levels=(0.5, 1.0),
    level_shares=(0.4, 0.6),
    sampling=SAMPLING,
    weights=FitWeights(shape=1e-3, appearance=1e-4),
    rates=FitRates(pose=6e-3),
)
FRONT = orbit(5, 5, 800, 112.5, 48, 48, HEAD_CENTRE)


def own_image(faces, codes: FaceCodes, camera: Camera) -> np.ndarray:
    """What the model itself draws, as RGBA."""
    seen = faces.draw(codes, camera, SAMPLING)
    colour = np.round(255 * seen.colour).astype(np.uint8)
    alpha = np.where(seen.opacity > 0.5, 255, 0).astype(np.uint8)
    return np.concatenate([colour, alpha[..., None]], axis=2)


def landmarks_of(faces, codes: FaceCodes) -> np.ndarray:
    """Image points of the linear model's landmarks."""
    marks = LandmarkModel(faces.codes, faces.surfaces, faces.device)
    places = marks(torch.from_numpy(codes.shape), torch.from_numpy(codes.mix)).numpy()
    return FRONT.project(places.astype(np.float64))[0]


def masked(faces, fitted, camera: Camera, image: np.ndarray) -> float:
    """PSNR of a fit in the mask of an image."""
    seen = bright(faces.draw(fitted.codes, camera, SAMPLING).colour, fitted.brightness)
    truth = image[..., :3] / 255.0 * (image[..., 3:] > 0)
    return psnr(seen.astype(np.float64), truth, image[..., 3] > 0)


@pytest.fixture(scope="module")
def known(faces):
    """A fit of what the model drew of a training person, from a camera that stood off."""
    codes = faces.codes_of(faces.train_people[1], faces.expressions[1])
    image = own_image(faces, codes, FRONT)
    guess = disturbed(FRONT, "known", PeopleConfig())
    error = camera_error(guess, FRONT)
    assert error["degrees"] == pytest.approx(5.0) and error["mm"] == pytest.approx(15.0)
    marks = landmarks_of(faces, codes)
    return image, codes, fit_image(faces, image, None, guess, marks, RECIPE, name="known")


def test_known_codes_come_back(faces, known):
    image, _, fitted = known
    assert fitted.report["psnr_masked"] > 30.0
    assert masked(faces, fitted, fitted.camera, image) > 30.0
    rotation = fitted.camera.extrinsics[:, :3]
    assert np.abs(rotation.T @ rotation - np.eye(3)).max() < 1e-6
    trained = [np.linalg.norm(faces.codes.shape(p)) for p in faces.train_people]
    assert np.linalg.norm(fitted.codes.shape) <= max(trained)
    assert fitted.codes.mix.sum() == pytest.approx(1.0)


def test_the_pose_of_known_codes_comes_back(known):
    """Nearer than the guess: a shallow disc hardly tells a turn from another shape.

    Nor its size from its distance, so that the distance alone is free.
    """
    camera = known[2].camera
    assert camera_error(camera, FRONT)["degrees"] < 4.5
    seen = [c.extrinsics @ np.array([*HEAD_CENTRE, 1.0]) for c in (camera, FRONT)]
    assert np.linalg.norm((seen[0] - seen[1])[:2]) < 4.0


def test_the_weights_stand_still(faces, known):
    assert not any(p.requires_grad for p in faces.model.parameters())


def test_the_report_is_plain_and_whole(faces, known):
    import json

    report = known[2].report
    json.dumps(report, allow_nan=False)
    assert len(report["start_losses"]) == RECIPE.starts
    assert set(report["start_losses"]) <= set(faces.expressions)
    assert set(report["expressions"]) == set(faces.expressions)
    assert report["landmark_residual_pixels"] < 2.0
    assert report["steps"] <= RECIPE.steps and report["seconds"] > 0


def test_the_same_seed_makes_the_same_fit(faces, known):
    image = known[0]
    first, again = (
        fit_image(faces, image, None, FRONT, None, replace(QUICK, seed=3)) for _ in range(2)
    )
    np.testing.assert_array_equal(first.codes.appearance, again.codes.appearance)
    np.testing.assert_array_equal(first.camera.extrinsics, again.camera.extrinsics)


@pytest.mark.parametrize("calls", [3, 13, 27])
def test_killed_and_taken_up_it_is_the_same_fit(faces, known, tmp_path, killed_at, calls):
    """Killed on the mean face, from an expression, and on the way up."""
    recipe = replace(QUICK, steps=12, start_steps=4, surface_every=2)
    given = (faces, known[0], None, FRONT, None, recipe)
    whole = fit_image(*given)
    made = killed_at(calls)
    with pytest.raises(KeyboardInterrupt):
        fit_image(*given, work=tmp_path / "w")
    killed = len(made)
    resumed = fit_image(*given, work=tmp_path / "w")
    assert resumed.report | {"seconds": 0} == whole.report | {"seconds": 0}
    for name, found in vars(resumed.codes).items():
        np.testing.assert_array_equal(found, getattr(whole.codes, name), err_msg=name)
    np.testing.assert_array_equal(resumed.camera.extrinsics, whole.camera.extrinsics)
    assert len(made) - killed < ALL_CALLS, "what was kept is not made again"


ALL_CALLS = 4 + 4 + 2 * (4 + 1) + 12
"""Losses of such a fit: the mean face, all expressions compared, two starts, the way up."""


def test_a_settled_fit_is_taken_up_as_settled(faces, known, tmp_path, killed_at):
    recipe = replace(QUICK, steps=30, patience=2, tolerance=0.5, surface_every=10)
    given = (faces, known[0], None, FRONT, None, recipe)
    first = fit_image(*given, work=tmp_path / "w")
    assert first.report["stopped"] == "settled"
    made = killed_at(10**6)
    again = fit_image(*given, work=tmp_path / "w")
    assert again.report | {"seconds": 0} == first.report | {"seconds": 0}
    compared = len(faces.expressions) + recipe.starts
    assert len(made) == compared, "no step is made again"


def test_another_image_does_not_take_up_the_work(faces, known, tmp_path, killed_at):
    killed_at(12)
    with pytest.raises(KeyboardInterrupt):
        fit_image(faces, known[0], None, FRONT, None, QUICK, work=tmp_path / "w")
    other = np.ascontiguousarray(known[0][:, ::-1])
    found = fit_image(faces, other, None, FRONT, None, QUICK, work=tmp_path / "w")
    fresh = fit_image(faces, other, None, FRONT, None, QUICK)
    np.testing.assert_array_equal(found.codes.appearance, fresh.codes.appearance)


def test_landmarks_lead_the_pose_and_let_go(faces, known):
    image, codes, _ = known
    seen = landmarks_of(faces, codes)
    seen[:3] = np.nan  # unknown ones
    guess = disturbed(FRONT, "led", PeopleConfig())
    recipe = FitConfig(
        steps=60,
        starts=1,
        start_steps=1,
        rays=64,
        sampling=SAMPLING,
        levels=(1.0,),
        level_shares=(1.0,),
        rates=FitRates(pose=1e-2),
        weights=FitWeights(colour=0.0, opacity=0.0, landmarks=1.0),
        tolerance=0.0,
    )
    before = replace(recipe, steps=1, rates=FitRates(*[0.0] * 6))
    first, led = (
        fit_image(faces, image, None, guess, seen, how).report for how in (before, recipe)
    )
    assert led["landmark_residual_pixels"] < 1.0 < 2.0 < first["landmark_residual_pixels"]
    assert "landmarks" in first["losses"]
    assert "landmarks" not in led["losses"]  # gone at half time


RGB = np.full((48, 48, 3), 90, np.uint8)
MASK = np.ones((48, 48), bool)


@pytest.mark.parametrize(
    ("image", "mask", "camera", "marks", "words"),
    [
        (RGB, None, FRONT, None, "RGB image without a mask"),
        (RGB, MASK[:40], FRONT, None, "the mask has 48 x 40 pixels, the image 48 x 48"),
        (RGB, MASK & False, FRONT, None, "the mask marks 0 pixels"),
        (RGB[..., :1], MASK, FRONT, None, "1 channels"),
        (RGB, MASK, FRONT.resized(32, 32), None, "camera is one of 32 x 32 pixels"),
        (RGB, MASK, FRONT, np.zeros((67, 2)), "expected 68 rows"),
        (
            RGB,
            MASK,
            Camera(FRONT.intrinsics, 2 * FRONT.extrinsics, 48, 48),
            None,
            "rotation is off",
        ),
    ],
)
def test_what_does_not_fit_together_is_told(faces, image, mask, camera, marks, words):
    with pytest.raises(DataError, match=f"a photo: .*{words}"):
        fit_image(faces, image, mask, camera, marks, QUICK, name="a photo")
