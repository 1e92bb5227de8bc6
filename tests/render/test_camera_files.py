"""Camera files of others: written, read back, the same camera; and known numbers."""

import json
import math

import numpy as np
import pytest

from facemill.errors import DataError
from facemill.files import write_json
from facemill.mesh.frames import HEAD_CENTRE, Similarity
from facemill.render import camera_files
from facemill.render.cameras import Camera, orbit, pinhole


@pytest.fixture
def cameras() -> list[Camera]:
    target = np.array([0.0, 0, -70])
    return [orbit(yaw, pitch, 800, 600, 256, 256, target) for yaw in (-90, 9) for pitch in (0, 45)]


def assert_same(ours: Camera, theirs: Camera) -> None:
    np.testing.assert_allclose(theirs.intrinsics, ours.intrinsics, atol=1e-9, rtol=1e-12)
    np.testing.assert_allclose(theirs.extrinsics, ours.extrinsics, atol=1e-9)
    assert (theirs.width, theirs.height) == (ours.width, ours.height)
    points = np.random.default_rng(1).uniform(-100, 100, (50, 3))
    np.testing.assert_allclose(theirs.project(points)[0], ours.project(points)[0], atol=1e-6)


def test_transforms_come_back(tmp_path, cameras):
    path = tmp_path / "transforms_all_7.json"
    named = {f"v{i}": camera for i, camera in enumerate(cameras)}
    camera_files.write_transforms(path, {"2_smile": named}, "7")
    back = camera_files.read_transforms(path, 256, 256)
    assert list(back) == [f"/7/smile/v{i}" for i in range(4)]
    for ours, theirs in zip(cameras, back.values(), strict=True):
        assert_same(ours, theirs)


def test_transforms_are_mofanerfs(tmp_path):
    """Opening angle of focal 1200 at 512 px, expression from 0, pose [R^T | R^T (0, 0, 16)]."""
    path = tmp_path / "transforms.json"
    camera = orbit(0, 0, 800, 1200, 512, 512, HEAD_CENTRE)
    camera_files.write_transforms(path, {"20_brow_lower": {"0_10": camera}}, "d001")
    content = json.loads(path.read_text())
    assert content["camera_angle_x"] == pytest.approx(2 * math.atan(256 / 1200))
    (frame,) = content["frames"]
    assert frame["file_path"] == "/d001/brow_lower/0_10"
    assert frame["expression"] == 19
    expected = np.eye(4)
    expected[2, 3] = 16
    np.testing.assert_allclose(frame["transform_matrix"], expected, atol=1e-12)


def test_params_come_back_and_invalid_views_stay_out(tmp_path, cameras):
    path = tmp_path / "params.json"
    camera_files.write_params(path, cameras)
    content = json.loads(path.read_text())
    assert len(content) == 9 * len(cameras)
    content["1_valid"] = False
    write_json(path, content)
    back = camera_files.read_params(path)
    assert sorted(back) == [0, 2, 3]
    for view, theirs in back.items():
        assert_same(cameras[view], theirs)


def test_dtu_comes_back(tmp_path, cameras):
    path = tmp_path / "cameras.npz"
    sphere = Similarity(100.0, np.eye(3), np.array([1.0, 2, 3]))
    camera_files.write_dtu(path, cameras, sphere)
    back, sphere_back = camera_files.read_dtu(path, 256, 256)
    np.testing.assert_allclose(sphere_back.matrix, sphere.matrix, atol=1e-12)
    for ours, theirs in zip(cameras, back, strict=True):
        assert_same(ours, theirs)


def test_decomposition_ignores_the_projections_scale_and_sign(cameras):
    projection = cameras[1].intrinsics @ cameras[1].extrinsics
    for factor in (0.01, -3.0):
        intrinsics, extrinsics = camera_files.decompose_projection(factor * projection)
        np.testing.assert_allclose(intrinsics, cameras[1].intrinsics, atol=1e-9)
        np.testing.assert_allclose(extrinsics, cameras[1].extrinsics, atol=1e-9)


def test_colmap_comes_back(tmp_path, cameras):
    named = {f"image {i}.png": camera for i, camera in enumerate(cameras)}
    camera_files.write_colmap(tmp_path, named)
    back = camera_files.read_colmap(tmp_path)
    assert list(back) == list(named)
    for name, theirs in back.items():
        assert_same(named[name], theirs)


def test_colmap_with_points_and_one_focal_length_is_read(tmp_path):
    (tmp_path / "cameras.txt").write_text("# c\n1 SIMPLE_PINHOLE 64 48 100 32 24\n")
    (tmp_path / "images.txt").write_text(
        "# i\n5 1 0 0 0 0 0 10 1 a.png\n1.5 2.5 7 3 4 -1\n6 1 0 0 0 1 0 10 1 b.png\n\n"
    )
    back = camera_files.read_colmap(tmp_path)
    assert list(back) == ["a.png", "b.png"]
    np.testing.assert_allclose(back["b.png"].intrinsics, pinhole(100, 64, 48))
    np.testing.assert_allclose(back["b.png"].extrinsics[:, 3], [1, 0, 10])


def read_colmap(path):
    return camera_files.read_colmap(path.parent)


def read_transforms(path):
    return camera_files.read_transforms(path, 8, 8)


@pytest.mark.parametrize(
    ("name", "content", "read", "message"),
    [
        ("t.json", "{}", read_transforms, "not a transforms"),
        ("p.json", '{"0_K": [[1]]}', camera_files.read_params, "view 0"),
        ("p.json", "{", camera_files.read_params, "not valid JSON"),
        ("cameras.txt", "1 OPENCV 4 4 1 1 2 2 0", read_colmap, "OPENCV"),
        ("cameras.txt", "1 PINHOLE 4", read_colmap, "line"),
    ],
)
def test_a_foreign_file_is_refused_by_name(tmp_path, name, content, read, message):
    (tmp_path / name).write_text(content)
    with pytest.raises(DataError, match=message) as caught:
        read(tmp_path / name)
    assert name in str(caught.value)
