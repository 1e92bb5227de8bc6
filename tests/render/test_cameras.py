"""Cameras: projection and its inverse, standing places, and MoFaNeRF's convention."""

import numpy as np
import pytest

from facemill.errors import DataError
from facemill.render.cameras import OPENGL_AXES, Camera, look_at, orbit, pinhole


@pytest.fixture
def points() -> np.ndarray:
    return np.random.default_rng(0).uniform(-120, 120, (200, 3))


def some_camera() -> Camera:
    return orbit(33.0, -12.0, 700.0, 900.0, 400, 300, np.array([3.0, -7.0, 11.0]))


def test_unproject_undoes_project(points):
    camera = some_camera()
    pixels, depth = camera.project(points)
    np.testing.assert_allclose(camera.unproject(pixels, depth), points, atol=1e-9)


def test_projection_is_k_times_rt(points):
    camera = some_camera()
    homogeneous = np.concatenate([points, np.ones((200, 1))], axis=1)
    image = homogeneous @ (camera.intrinsics @ camera.extrinsics).T
    pixels, depth = camera.project(points)
    np.testing.assert_allclose(pixels, image[:, :2] / image[:, 2:], atol=1e-9)
    np.testing.assert_allclose(depth, image[:, 2], atol=1e-9)


def test_rays_pass_through_pixel_centres():
    camera = some_camera()
    pixels, depth = camera.project(camera.centre + 500.0 * camera.rays.astype(float))
    # Rays are kept in single precision: a thousandth of a pixel.
    np.testing.assert_allclose(pixels, camera.pixel_centres, atol=1e-3)
    np.testing.assert_allclose(depth, 500.0, rtol=1e-6)
    np.testing.assert_array_equal(camera.pixel_centres[camera.width + 2], [2.5, 1.5])


def test_positive_yaw_stands_on_the_subjects_left_and_positive_pitch_above():
    np.testing.assert_allclose(orbit(90, 0, 800, 600, 256, 256).centre, [800, 0, 0], atol=1e-9)
    assert orbit(0, 30, 800, 600, 256, 256).centre[1] == pytest.approx(400)
    # Seen from the front, the subject's left (+x) is on the right of the image, up is up.
    (left, up), _ = orbit(0, 0, 800, 600, 256, 256).project(np.array([[50.0, 0, 0], [0, 50.0, 0]]))
    assert left[0] > 128
    assert up[1] < 128


def test_orbit_is_the_published_matrix():
    """R = Rx(pitch) Ry(yaw), pose = [R^T | R^T (0, 0, d)] in OpenGL axes."""
    yaw, pitch = np.radians(-63.0), np.radians(15.0)
    c, s = np.cos(yaw), np.sin(yaw)
    about_y = np.array([[c, 0, -s], [0, 1, 0], [s, 0, c]])
    c, s = np.cos(pitch), np.sin(pitch)
    about_x = np.array([[1, 0, 0], [0, c, -s], [0, s, c]])
    rotation = about_x @ about_y
    camera = orbit(-63.0, 15.0, 800.0, 600.0, 256, 256)
    pose = camera.camera_to_world
    np.testing.assert_allclose(pose[:3, :3] @ OPENGL_AXES, rotation.T, atol=1e-12)
    np.testing.assert_allclose(pose[:3, 3], rotation.T @ [0, 0, 800.0], atol=1e-9)


def test_a_turned_camera_is_the_orbit_s_at_that_much_more_yaw():
    target = np.array([3.0, -7.0, 11.0])
    turned = orbit(33.0, -12.0, 700.0, 900.0, 400, 300, target).turned(9.0, target)
    expected = orbit(42.0, -12.0, 700.0, 900.0, 400, 300, target)
    np.testing.assert_allclose(turned.extrinsics, expected.extrinsics, atol=1e-9)
    assert (turned.width, turned.height) == (400, 300)


def test_look_at_agrees_with_orbit():
    target = np.array([0.0, 5.0, -30.0])
    camera = orbit(40, 20, 750, 600, 256, 200, target)
    again = look_at(camera.centre, target, 600, 256, 200)
    np.testing.assert_allclose(again.extrinsics, camera.extrinsics, atol=1e-9)


def test_resized_sees_the_same(points):
    camera = some_camera()
    pixels, _ = camera.project(points)
    smaller, _ = camera.resized(200, 150).project(points)
    np.testing.assert_allclose(smaller * 2, pixels, atol=1e-9)


def test_looking_along_up_is_refused():
    with pytest.raises(DataError, match="parallel to up"):
        look_at(np.array([0.0, 100, 0]), np.zeros(3), 600, 64, 64)


def test_a_mirrored_camera_is_refused():
    mirrored = np.concatenate([np.diag([1.0, 1, -1]), np.zeros((3, 1))], axis=1)
    with pytest.raises(DataError, match="determinant -1"):
        Camera(pinhole(500, 64, 64), mirrored, 64, 64).check("view 3")
