"""Parts of a fit: pose and rays, terms in closed form, pyramid, priors, landmarks, surfaces."""

import numpy as np
import pytest
import torch

from facemill.errors import ConfigError
from facemill.mesh.frames import FACE_TO_MOFANERF, HEAD_CENTRE
from facemill.mofanerf import fit_losses
from facemill.mofanerf.fit_config import FitConfig
from facemill.mofanerf.fit_target import pyramid
from facemill.mofanerf.fit_unknowns import motion, posed_camera, posed_rays, projected
from facemill.mofanerf.landmark_model import LandmarkModel
from facemill.mofanerf.prior import appearance_codes, code_prior
from facemill.mofanerf.rays import pixel_rays
from facemill.render.cameras import orbit

CAMERA = orbit(20, -10, 800, 150, 24, 32, HEAD_CENTRE)
POSE = torch.tensor([0.2, -0.5, 0.1, 0.3, -0.2, 0.4])


def test_moved_rays_are_those_of_the_moved_camera():
    pixels = np.arange(0, 24 * 32, 7)
    rays = [torch.from_numpy(np.ascontiguousarray(r)) for r in pixel_rays(CAMERA, pixels)]
    origins, directions = posed_rays(*rays, POSE)
    expected = pixel_rays(posed_camera(CAMERA, POSE), pixels)
    np.testing.assert_allclose(origins[0], expected[0], atol=1e-5)
    np.testing.assert_allclose(directions[0], expected[1], atol=1e-5)


def test_points_project_as_through_the_moved_camera():
    places = np.random.default_rng(0).normal(size=(9, 3)) * 60 + HEAD_CENTRE
    seen = projected(torch.from_numpy(places.astype(np.float32)), CAMERA, POSE)
    np.testing.assert_allclose(seen, posed_camera(CAMERA, POSE).project(places)[0], atol=1e-3)


def test_the_pose_is_a_rotation_whatever_the_numbers():
    for scale in (0.0, 1e-4, 1.0, 30.0):
        rotation = motion(scale * POSE).rotation
        np.testing.assert_allclose(rotation.T @ rotation, np.eye(3), atol=1e-12)
        assert np.linalg.det(rotation) == pytest.approx(1.0)


def test_a_turn_leaves_the_head_s_centre():
    turn = torch.cat([POSE[:3], torch.zeros(3)])
    np.testing.assert_allclose(motion(turn).apply(HEAD_CENTRE), HEAD_CENTRE, atol=1e-9)


def test_the_pose_s_gradient_is_that_of_finite_differences():
    places = torch.from_numpy(np.random.default_rng(1).normal(size=(5, 3)).astype(np.float32) * 50)

    def total(pose):
        return projected(places, CAMERA, pose).square().sum()

    pose = (0.1 * POSE).requires_grad_()
    (gradient,) = torch.autograd.grad(total(pose), pose)
    for axis in range(6):
        step = torch.zeros(6)
        step[axis] = 1e-2
        with torch.no_grad():
            slope = (total(pose + step) - total(pose - step)) / 2e-2
        assert float(gradient[axis]) == pytest.approx(float(slope), rel=2e-2, abs=2.0)


def test_the_colour_term_is_an_absolute_difference_far_off_and_square_near():
    zero = torch.zeros(4, 3)
    assert float(fit_losses.charbonnier(zero, zero)) == pytest.approx(0.0, abs=1e-8)
    c = fit_losses.CHARBONNIER
    assert float(fit_losses.charbonnier(zero + 0.5, zero)) == pytest.approx(0.5 - c, abs=1e-3)
    near = float(fit_losses.charbonnier(zero + 1e-3, zero))
    assert near == pytest.approx(1e-6 / (2 * c), rel=1e-2)


def test_a_perfect_silhouette_costs_nothing_at_any_size():
    mask = torch.tensor([0.0, 0.25, 1.0])
    assert float(fit_losses.mask_entropy(mask, mask)) == pytest.approx(0.0, abs=1e-6)
    assert float(fit_losses.mask_entropy(1 - mask, mask)) > 1.0
    half = float(fit_losses.mask_entropy(torch.tensor([0.5]), torch.tensor([1.0])))
    assert half == pytest.approx(np.log(2), abs=1e-3)


def test_landmarks_count_in_pixels_of_one_frame_and_strays_by_their_size():
    seen, truth = torch.zeros(68, 2), torch.full((68, 2), torch.nan)
    truth[0] = torch.tensor([3.0, 4.0])
    assert float(fit_losses.reprojection(seen, truth, 512)) == pytest.approx(25.0)
    assert float(fit_losses.reprojection(seen, truth, 256)) == pytest.approx(100.0)
    truth[0] = torch.tensor([300.0, 400.0])
    limit = fit_losses.OUTLIER
    expected = limit * (2 * 500 - limit)
    assert float(fit_losses.reprojection(seen, truth, 512)) == pytest.approx(expected)


def test_the_pyramid_averages_areas_and_keeps_the_view():
    rng = np.random.default_rng(0)
    image = rng.integers(0, 255, (32, 24, 3)).astype(np.uint8)
    mask = np.zeros((32, 24), bool)
    mask[8:, :13] = True
    small, whole = pyramid(image, mask, CAMERA, (0.5, 1.0), torch.device("cpu"))
    assert (small.camera.width, small.camera.height) == (12, 16)
    blocks = (image / 255.0).reshape(16, 2, 12, 2, 3).mean(axis=(1, 3)).reshape(-1, 3)
    np.testing.assert_allclose(small.colour, blocks, atol=1e-6)
    assert set(small.mask.tolist()) == {0.0, 0.5, 1.0}
    np.testing.assert_allclose(whole.mask.reshape(32, 24), mask)
    middle = small.directions.reshape(16, 12, 3)[3, 4]  # between four rays of the whole image
    four = whole.directions.reshape(32, 24, 3)[6:8, 8:10].reshape(4, 3).mean(dim=0)
    np.testing.assert_allclose(middle, four, atol=1e-6)


def test_the_prior_is_the_training_people_s(faces):
    prior, codes = code_prior(faces, 0.2), appearance_codes(faces)
    np.testing.assert_allclose(prior.appearance.mean, codes.mean(axis=0), atol=1e-5)
    covariance = (prior.appearance.axes.T * prior.appearance.std**2) @ prior.appearance.axes
    np.testing.assert_allclose(covariance, np.cov(codes.T), atol=1e-6)
    assert prior.shape_size == len(faces.surfaces.basis)
    assert prior.floor == pytest.approx(0.2 * codes.std(axis=0).mean(), rel=1e-4)


def test_landmarks_of_the_linear_model_are_those_of_the_scans(faces):
    marks = LandmarkModel(faces.codes, faces.surfaces, faces.device)
    away = []
    for person, expression in faces.codes.training_scans:
        codes = faces.codes_of(person, expression)
        found = marks(torch.from_numpy(codes.shape), torch.from_numpy(codes.mix)).numpy()
        truth = faces.codes.array(f"landmarks/{person}/{expression}")
        away.append(np.linalg.norm(found - truth, axis=1).mean())
    assert np.mean(away) < 3.0


def test_one_expression_s_weight_is_its_own_surface(faces):
    person = faces.train_people[0]
    for row, expression in enumerate(faces.expressions):
        codes = faces.codes_of(person, expression)
        blended = faces.surface_of(codes).vertices
        np.testing.assert_allclose(
            blended, faces.surfaces.predict(codes.shape, row).vertices, atol=1e-4
        )
    mix = np.full(len(faces.expressions), 1 / len(faces.expressions), np.float32)
    mean = np.mean(
        [faces.surfaces.predict(codes.shape, r).vertices for r in range(len(mix))], axis=0
    )
    np.testing.assert_allclose(faces.surfaces.blend(codes.shape, mix).vertices, mean, atol=1e-3)


def test_codes_as_numbers_draw_what_names_draw(faces):
    from facemill.mofanerf.config import SamplingConfig

    person, expression = faces.train_people[0], faces.expressions[-1]
    camera = orbit(0, 0, 800, 75, 32, 32, HEAD_CENTRE)
    by_name = faces.render(person, expression, camera, SamplingConfig())
    by_code = faces.draw(faces.codes_of(person, expression), camera, SamplingConfig())
    np.testing.assert_allclose(by_code.colour, by_name.colour, atol=1e-4)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"levels": (0.5,), "level_shares": (1.0,)}, "levels: found"),
        ({"levels": (0.5, 1.0), "level_shares": (1.0,)}, "level_shares: found"),
        ({"steps": 0}, "steps: found 0"),
    ],
)
def test_a_recipe_that_cannot_be_is_refused(settings, words):
    with pytest.raises(ConfigError, match=words):
        FitConfig(**settings)


def test_units_of_the_pose_are_those_of_the_scene():
    shift = torch.tensor([0.0, 0.0, 0.0, 0.3, 0.0, 0.0])
    moved = motion(shift).apply(HEAD_CENTRE) - HEAD_CENTRE
    np.testing.assert_allclose(moved, [0.3 / FACE_TO_MOFANERF.scale, 0, 0], atol=1e-5)
