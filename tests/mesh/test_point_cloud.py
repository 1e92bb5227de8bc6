"""Point clouds: files, strays, normals, hidden points, borders, and the samples made of them."""

import numpy as np
import pytest

from facemill.errors import DataError, GeometryError
from facemill.mesh import point_cloud
from facemill.mesh.frames import Similarity
from facemill.mesh.io import write_ply
from facemill.mesh.point_cloud import PointCloud, read_point_cloud
from facemill.mesh.pseudo_samples import REACH, Oriented, pseudo_samples, visible_surface
from facemill.mesh.surface import Mesh

RADIUS = 80.0


def dome(count: int, seed: int = 0, lowest: float = 0.2) -> np.ndarray:
    """Points of the upper part of a sphere, z above ``lowest`` radii."""
    z = np.random.default_rng(seed).uniform(lowest, 1.0, count)
    angle = np.random.default_rng(seed + 1).uniform(0, 2 * np.pi, count)
    r = np.sqrt(1 - z**2)
    return RADIUS * np.stack([r * np.cos(angle), r * np.sin(angle), z], axis=1)


def test_points_and_normals_come_back_from_every_form(tmp_path):
    points = dome(500).astype(np.float32).astype(np.float64)
    normals = points / RADIUS
    six = np.hstack([points, normals])
    np.save(tmp_path / "a.npy", six)
    np.savetxt(tmp_path / "b.xyz", six)
    write_ply(tmp_path / "c.ply", Mesh(points, np.zeros((0, 3), int)), normals)
    for name in ("a.npy", "b.xyz", "c.ply"):
        cloud = read_point_cloud(tmp_path / name)
        np.testing.assert_allclose(cloud.points, points)
        np.testing.assert_allclose(cloud.normals, normals, atol=1e-6)
    np.save(tmp_path / "a.npy", points)
    assert read_point_cloud(tmp_path / "a.npy").normals is None


def test_colours_are_no_normals(tmp_path):
    np.savetxt(tmp_path / "a.xyz", np.hstack([dome(10), np.full((10, 3), 200.0)]))
    assert read_point_cloud(tmp_path / "a.xyz").normals is None


@pytest.mark.parametrize(
    ("name", "content", "word"),
    [
        ("a.xyz", b"", "empty"),
        ("a.xyz", b"1 2 3\n1 2\n", "line 2 holds 2 numbers"),
        ("a.xyz", b"1 2 x\n", "not made of numbers"),
        ("a.xyz", b"1 2\n3 4\n", "expected numbers in rows"),
        ("a.xyz", b"1 2 nan\n", "not finite"),
        ("a.npy", b"\x93NUMPY\x01", r"not a whole \.npy"),
        ("a.ply", b"ply\nformat ascii 1.0\nelement vertex 9\nprop", "cannot be read as a PLY"),
    ],
)
def test_a_broken_cloud_is_named(tmp_path, name, content, word):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=word) as caught:
        read_point_cloud(tmp_path / name)
    assert name in str(caught.value)


def test_fitted_normals_are_those_of_the_surface_and_look_to_the_front():
    points = dome(6000)
    normals = point_cloud.front_normals(PointCloud(points), point_cloud.spacing(points))
    inner = points[:, 2] > 0.35 * RADIUS
    cosine = (normals * points / RADIUS).sum(axis=1)[inner]
    assert cosine.min() > np.cos(np.radians(10)) and (normals[:, 2] >= 0).all()
    turned = point_cloud.front_normals(PointCloud(points, -3.0 * points), 1.0)
    np.testing.assert_allclose(turned, points / RADIUS)


def test_strays_are_dropped_and_the_surface_stays():
    points = dome(4000)
    strays = np.random.default_rng(5).uniform(-1.5 * RADIUS, 1.5 * RADIUS, (80, 3))
    far = np.abs(np.linalg.norm(strays, axis=1) - RADIUS) > 20
    cloud = PointCloud(np.concatenate([points, strays[far]]))
    kept = point_cloud.without_outliers(cloud).points
    off = np.abs(np.linalg.norm(kept, axis=1) - RADIUS)
    assert len(kept) > 0.97 * len(points)
    assert (off > 20).sum() < 0.1 * far.sum()


def test_the_back_of_a_head_is_hidden_and_its_front_is_not():
    front = dome(4000)
    back = front * [1, 1, -1]
    points = np.concatenate([front, back])
    seen = point_cloud.in_front(points, point_cloud.spacing(front))
    assert seen[:4000][front[:, 2] > 0.5 * RADIUS].mean() > 0.995, (
        "only what is nearly upright may go"
    )
    steep = np.abs(back[:, 2]) < 0.3 * RADIUS
    assert seen[4000:][~steep].mean() < 0.01


def test_border_points_lie_at_the_rim_and_round_holes():
    points = dome(5000)
    hole = np.linalg.norm(points[:, :2], axis=1) > 20
    points = points[hole]
    border = point_cloud.border_points(points, points / RADIUS)
    r = np.linalg.norm(points[:, :2], axis=1)
    edge = (r < 23) | (points[:, 2] < 0.24 * RADIUS)
    far = (r > 30) & (points[:, 2] > 0.35 * RADIUS)
    assert border[far].mean() < 0.05
    assert border[edge].mean() > 0.3


def test_samples_of_a_piece_are_true_of_the_whole_it_was_cut_from():
    """A hole and a missing half: no sample may say what the whole sphere denies."""
    points = dome(8000)
    kept = (points[:, 0] > -10) & (np.linalg.norm(points[:, :2] - [30, 0], axis=1) > 18)
    points = points[kept]
    surface = Oriented(points, points / RADIUS, point_cloud.spacing(points))
    rows = pseudo_samples(surface, 5000, np.random.default_rng(0)).astype(np.float64)
    assert rows.shape == (5000, 7)
    distance = np.linalg.norm(rows[:, :3], axis=1) - RADIUS
    np.testing.assert_allclose(rows[:, 6], distance, atol=1e-3)
    off = rows[:, 6] != 0
    assert 0.1 < off.mean() < 0.25 and np.abs(rows[:, 6]).max() <= REACH
    near_cut = off & (rows[:, 0] < -8)
    assert np.abs(rows[near_cut, 6]).max(initial=0.0) < 5


def test_a_cloud_is_brought_to_the_face_frame_cropped_and_oriented():
    points = dome(8000) - [0, 0, 40]
    middle = np.array([0, 0, -40.0])
    back = (points - middle) * [1, 1, -1] + middle
    metres = Similarity(0.001, np.diag([1.0, -1, -1]), np.array([1.0, 2, 3]))
    whole = PointCloud(metres.apply(np.concatenate([points, back])))
    seen = visible_surface(whole, metres.inverse(), 70.0, 10000, np.random.default_rng(0), "c")
    assert np.linalg.norm(seen.points, axis=1).max() <= 70.0
    outwards = (seen.points - middle) / RADIUS
    np.testing.assert_allclose(np.linalg.norm(outwards, axis=1), 1.0)
    assert (outwards[:, 2] > 0).all(), "the back is gone"
    inner = np.linalg.norm(seen.points, axis=1) < 60
    assert (seen.normals * outwards).sum(axis=1)[inner].min() > 0.98
    few = visible_surface(whole, metres.inverse(), 70.0, 500, np.random.default_rng(0), "c")
    assert len(few.points) == 500


def test_too_few_points_are_refused_with_their_number():
    cloud = PointCloud(dome(120))
    with pytest.raises(GeometryError, match=r"thin\.ply: 120 points.*at least 300"):
        visible_surface(cloud, Similarity(), 100.0, 100, np.random.default_rng(0), "thin.ply")
