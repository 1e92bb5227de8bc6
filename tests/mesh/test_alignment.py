"""Similarity from points and trimmed ICP, against known answers."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from facemill.errors import GeometryError
from facemill.mesh.alignment import require_unmirrored, rms, trimmed_icp, umeyama
from facemill.mesh.frames import Similarity

RNG = np.random.default_rng(0)
KNOWN = Similarity(
    3.7,
    Rotation.from_euler("xyz", [100, -40, 170], degrees=True).as_matrix(),
    np.array([5.0, -2, 9]),
)


def test_a_known_similarity_is_found_exactly():
    points = RNG.normal(size=(20, 3))
    found = umeyama(points, KNOWN.apply(points))
    np.testing.assert_allclose(found.matrix, KNOWN.matrix, atol=1e-12)


def test_without_scale_the_rotation_is_the_same_and_the_scale_one():
    points = RNG.normal(size=(20, 3))
    found = umeyama(points, KNOWN.apply(points), with_scale=False)
    assert found.scale == 1.0
    np.testing.assert_allclose(found.rotation, KNOWN.rotation, atol=1e-12)


def test_the_rotation_never_mirrors():
    points = RNG.normal(size=(10, 3))
    for target in (points * [-1, 1, 1], RNG.normal(size=(10, 3)), points * [1, 1, 0]):
        assert np.isclose(np.linalg.det(umeyama(points, target).rotation), 1.0)


def test_planar_points_are_enough():
    points = np.c_[RNG.normal(size=(5, 2)), np.zeros(5)]
    np.testing.assert_allclose(umeyama(points, KNOWN.apply(points)).matrix, KNOWN.matrix, atol=1e-9)


def test_it_is_the_least_squares_answer():
    points, noise = RNG.normal(size=(30, 3)), 0.2 * RNG.normal(size=(30, 3))
    target = KNOWN.apply(points) + noise
    best = umeyama(points, target)
    for _ in range(50):
        turn = Rotation.from_rotvec(1e-3 * RNG.normal(size=3)).as_matrix()
        other = Similarity(
            best.scale * (1 + 1e-3 * RNG.normal()),
            turn @ best.rotation,
            best.translation + 1e-3 * RNG.normal(size=3),
        )
        assert rms(other.apply(points) - target) >= rms(best.apply(points) - target)


def test_a_weight_of_zero_leaves_a_point_out():
    points = RNG.normal(size=(8, 3))
    target = KNOWN.apply(points)
    target[0] += 100.0
    found = umeyama(points, target, weights=np.array([0.0, *[1.0] * 7]))
    np.testing.assert_allclose(found.matrix, KNOWN.matrix, atol=1e-9)


@pytest.mark.parametrize("points", [np.zeros((2, 3)), np.outer(np.arange(5.0), [1.0, 2.0, 3.0])])
def test_points_that_fix_nothing_are_refused(points):
    with pytest.raises(GeometryError):
        umeyama(points, points)


def test_exchanged_sides_are_noticed():
    points = RNG.normal(size=(12, 3)) * [2.0, 3.0, 1.0]
    with pytest.raises(GeometryError, match=r"picked\.txt: .*left and right are exchanged"):
        require_unmirrored(KNOWN.apply(points) * [-1.0, 1, 1], points, "picked.txt")
    require_unmirrored(KNOWN.apply(points), points, "picked.txt")


def test_trimmed_icp_finds_the_place_in_spite_of_what_has_no_partner():
    direction = RNG.normal(size=(4000, 3))
    normals = direction / np.linalg.norm(direction, axis=1, keepdims=True)
    axes = np.array([80.0, 110.0, 95.0])
    target = normals * axes
    target_normals = normals / axes
    target_normals /= np.linalg.norm(target_normals, axis=1, keepdims=True)
    truth = Similarity(
        1.0,
        Rotation.from_euler("xyz", [4, -3, 5], degrees=True).as_matrix(),
        np.array([3.0, -4, 2]),
    )
    hair = RNG.uniform([-60, 110, -60], [60, 160, 60], (600, 3))
    source = truth.inverse().apply(np.concatenate([target[:2500], hair]))
    found, residual = trimmed_icp(source, target, target_normals, Similarity())
    assert residual < 0.05
    moved = found.apply(source[:2500])
    assert np.abs(((moved / axes) ** 2).sum(axis=1) - 1.0).max() < 0.01
