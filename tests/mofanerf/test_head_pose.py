"""Head pose from 68 landmarks: truth recovered, robust, honest about what it cannot explain."""

import numpy as np
import pytest
from rendered_heads import demo_mesh
from scipy.spatial.transform import Rotation

from facemill.data.demo import topology
from facemill.data.landmarks import OPPOSITE
from facemill.errors import DataError, GeometryError
from facemill.mofanerf.head_pose import (
    _reprojection,
    fit_pose,
    mean_landmarks,
    require_pose,
    weak_perspective,
)
from facemill.render.cameras import Camera, orbit, pinhole
from facemill.render.views import HEAD_CENTRE


@pytest.fixture(scope="module")
def landmarks():
    return demo_mesh("d001").vertices[topology().landmarks]


def camera_at(yaw, pitch, roll=0.0, distance=800.0, size=512) -> Camera:
    camera = orbit(yaw, pitch, distance, 1200 * size / 512, size, size, HEAD_CENTRE)
    turn = Rotation.from_euler("z", roll, degrees=True).as_matrix()
    return Camera(camera.intrinsics, turn @ camera.extrinsics, size, size)


def fitted(image, model, camera):
    return fit_pose(image, model, camera.intrinsics, camera.width, camera.height)


def angle(a: Camera, b: Camera) -> float:
    turn = a.extrinsics[:, :3] @ b.extrinsics[:, :3].T
    return float(np.degrees(Rotation.from_matrix(turn).magnitude()))


@pytest.mark.parametrize("yaw", [-60, -20, 0, 35, 75])
@pytest.mark.parametrize(("pitch", "roll"), [(0, 0), (30, -25), (-20, 120)])
def test_exact_landmarks_give_the_exact_camera(landmarks, yaw, pitch, roll):
    camera = camera_at(yaw, pitch, roll)
    pose = fitted(camera.project(landmarks)[0], landmarks, camera)
    assert angle(pose.camera, camera) < 1e-5
    assert np.linalg.norm(pose.camera.centre - camera.centre) < 1e-3
    assert pose.residual < 1e-6


def test_the_derivative_is_that_of_the_projection(landmarks):
    camera = camera_at(20, 10)
    rotation, translation = camera.extrinsics[:, :3], camera.extrinsics[:, 3]
    image = np.zeros((68, 2))
    start, jacobian = _reprojection(landmarks, rotation, translation, camera.intrinsics, image)
    for k in range(6):
        small = np.zeros(6)
        small[k] = 1e-6 if k < 3 else 1e-4
        moved, _ = _reprojection(
            landmarks,
            Rotation.from_rotvec(small[:3]).as_matrix() @ rotation,
            translation + small[3:],
            camera.intrinsics,
            image,
        )
        np.testing.assert_allclose((moved - start) / small[k], jacobian[..., k], atol=0.02)


def test_a_pixel_of_noise_costs_less_than_a_degree_and_millimetres(landmarks):
    """The noise allows no more: a pixel is 0.67 mm at the head, and distance is seen by scale."""
    turns, aside, away = [], [], []
    for seed in range(30):
        rng = np.random.default_rng(seed)
        camera = camera_at(rng.uniform(-45, 45), rng.uniform(-20, 25), rng.uniform(-30, 30))
        image = camera.project(landmarks)[0] + rng.normal(0, 1, (68, 2))
        pose = fitted(image, landmarks, camera)
        turns.append(angle(pose.camera, camera))
        # Where the head lies in the camera's frame, across the view and along it.
        shift = pose.camera.extrinsics @ [*landmarks.mean(axis=0), 1]
        shift -= camera.extrinsics @ [*landmarks.mean(axis=0), 1]
        aside.append(np.linalg.norm(shift[:2]))
        away.append(abs(shift[2]))
        assert 0.7 < pose.residual < 2.2
    assert max(turns) < 1.0
    assert max(aside) < 1.0
    assert np.median(away) < 2.0 and max(away) < 6.0


def test_wrong_landmarks_do_not_turn_the_head(landmarks):
    camera = camera_at(15, 5)
    image = camera.project(landmarks)[0]
    rng = np.random.default_rng(0)
    wrong = rng.choice(68, 10, replace=False)
    image[wrong] += rng.normal(0, 60, (10, 2))
    pose = fitted(image, landmarks, camera)
    assert angle(pose.camera, camera) < 0.2
    assert np.linalg.norm(pose.camera.centre - camera.centre) < 5
    assert pose.residual > 5, "the residual still tells of them"


def test_another_person_s_landmarks_give_the_pose_within_degrees(landmarks):
    other = demo_mesh("d005").vertices[topology().landmarks]
    camera = camera_at(20, 10)
    pose = require_pose(fitted(camera.project(other)[0], landmarks, camera), "photo")
    assert angle(pose.camera, camera) < 6
    assert 0.002 < pose.relative < 0.08


@pytest.mark.parametrize("how", ["mirrored", "y x", "shuffled", "upside down order"])
def test_landmarks_of_another_scheme_are_refused(landmarks, how):
    camera = camera_at(25, 5)
    image = camera.project(landmarks)[0]
    image = {
        "mirrored": image[OPPOSITE],
        "y x": image[:, ::-1].copy(),
        "shuffled": np.random.default_rng(0).permutation(image),
        "upside down order": image[::-1].copy(),
    }[how]
    with pytest.raises(GeometryError, match="photo"):
        require_pose(fitted(image, landmarks, camera), "photo")


def test_landmarks_in_one_place_or_on_a_line_fix_no_pose(landmarks):
    camera = camera_at(0, 0)
    line = np.column_stack([np.linspace(10, 400, 68), np.full(68, 100.0)])
    for image in (np.full((68, 2), 200.0), line):
        with pytest.raises(GeometryError, match="on a line or in one place"):
            fitted(image, landmarks, camera)


def test_weak_perspective_is_exact_for_a_far_camera(landmarks):
    camera = orbit(20, -10, 1e6, 1.5e6, 512, 512)
    image = camera.project(landmarks)[0]
    scale, rotation, shift = weak_perspective(image, landmarks, np.ones(68))
    assert scale == pytest.approx(1.5, rel=1e-4)
    np.testing.assert_allclose(rotation, camera.extrinsics[:, :3], atol=1e-3)
    np.testing.assert_allclose(scale * (landmarks @ rotation.T)[:, :2] + shift, image, atol=0.1)
    assert np.array_equal(pinhole(1.5e6, 512, 512), camera.intrinsics)


def test_the_mean_face_is_that_of_the_packs(views, tmp_path):
    packs = [path.with_suffix(".npz") for path in views.values()]
    each = [demo_mesh(person).vertices[topology().landmarks] for person in views]
    np.testing.assert_allclose(mean_landmarks(packs), np.mean(each, axis=0), atol=1e-4)
    with pytest.raises(DataError, match="none of 2 face packs holds 2_smile"):
        mean_landmarks(packs, "2_smile")
