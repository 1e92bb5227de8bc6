"""Baselines in closed form: where deformation transfer is exact, and the oracle's zero."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from facemill.mesh.surface import Mesh
from facemill.nfs.baselines import (
    blendshape_oracle,
    copy_neutral,
    known_transfer,
    nearest_point_transfer,
)


def cap(size: int = 12, height: float = 1.0) -> Mesh:
    """A bent sheet of size x size vertices, about two units wide."""
    x, y = np.meshgrid(*2 * [np.linspace(-1, 1, size)], indexing="ij")
    vertices = np.stack([x, y, height * np.exp(-2 * (x**2 + 1.5 * y**2))], axis=-1).reshape(-1, 3)
    number = np.arange(size * size).reshape(size, size)
    a, b, c, d = (
        n.ravel() for n in (number[:-1, :-1], number[1:, :-1], number[1:, 1:], number[:-1, 1:])
    )
    return Mesh(vertices, np.concatenate([np.stack([a, b, c], 1), np.stack([a, c, d], 1)]))


ROTATION = Rotation.from_euler("xyz", (20, -35, 50), degrees=True).as_matrix()
SQUEEZE = np.array([[1.3, 0.2, 0.0], [0.0, 0.8, 0.1], [0.1, 0.0, 1.1]])


@pytest.mark.parametrize(
    "matrix", [ROTATION, 1.4 * np.eye(3), 0.7 * ROTATION], ids=["rigid", "growth", "both"]
)
def test_a_similarity_of_the_source_becomes_the_same_one_of_any_target(matrix):
    source, target = cap(), cap(height=0.3)
    moved = source.vertices @ matrix.T + np.array([0.1, 0.2, 0.3])
    found = known_transfer(source, moved[None], target)[0]
    expected = target.vertices @ matrix.T
    np.testing.assert_allclose(
        found - found.mean(axis=0), expected - expected.mean(axis=0), atol=1e-9
    )
    np.testing.assert_allclose(
        found.mean(axis=0) - target.vertices.mean(axis=0),
        moved.mean(axis=0) - source.vertices.mean(axis=0),
        atol=1e-9,
    )


def test_an_affine_motion_goes_over_to_targets_that_are_parallel():
    source = cap()
    target = Mesh(2.0 * source.vertices + np.array([0.0, 3.0, 1.0]), source.faces)
    found = known_transfer(source, (source.vertices @ SQUEEZE.T)[None], target)[0]
    expected = target.vertices @ SQUEEZE.T
    np.testing.assert_allclose(
        found - found.mean(axis=0), expected - expected.mean(axis=0), atol=1e-9
    )


def test_a_shift_is_a_shift():
    source, target = cap(), cap(height=0.2)
    step = np.array([0.3, -0.2, 0.1])
    found = known_transfer(source, (source.vertices + step)[None], target)[0]
    np.testing.assert_allclose(found, target.vertices + step, atol=1e-9)


def test_any_expression_comes_back_on_the_same_mesh():
    mesh = cap()
    frames = mesh.vertices + 0.1 * np.random.default_rng(0).standard_normal(
        (2, *mesh.vertices.shape)
    )
    np.testing.assert_allclose(known_transfer(mesh, frames, mesh), frames, atol=1e-8)
    np.testing.assert_allclose(nearest_point_transfer(mesh, frames, mesh), frames, atol=1e-8)


def test_who_knows_the_correspondence_does_better_than_who_looks_for_the_nearest():
    source, target = cap(), cap()
    target = Mesh(target.vertices * np.array([0.8, 1.2, 1.0]), target.faces)
    bend = np.zeros_like(source.vertices)
    bend[:, 2] = 0.5 * np.maximum(0.0, source.vertices[:, 1] - 0.3)
    frames = (source.vertices + bend)[None]
    true = target.vertices + bend

    def error(found):
        return float(((found[0] - true) ** 2).mean())

    known = error(known_transfer(source, frames, target))
    nearest = error(nearest_point_transfer(source, frames, target))
    assert known < 0.5 * nearest < 0.5 * error(copy_neutral(target, 1))


def test_other_triangles_are_refused():
    mesh = cap()
    with pytest.raises(ValueError, match="same triangles"):
        known_transfer(mesh, mesh.vertices[None], Mesh(mesh.vertices, mesh.faces[:, ::-1].copy()))


def test_the_oracle_adds_units_at_their_weights():
    mesh = cap(4)
    units = np.random.default_rng(1).standard_normal((3, 16, 3))
    weights = np.array([[0.0, 0.0, 0.0], [1.0, 0.0, 0.5]])
    found = blendshape_oracle(mesh, units, weights)
    np.testing.assert_array_equal(found[0], mesh.vertices)
    np.testing.assert_allclose(found[1], mesh.vertices + units[0] + 0.5 * units[2])
