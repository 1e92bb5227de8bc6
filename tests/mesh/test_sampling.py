"""Samples are uniform, on the surface, and carry the right normals."""

import numpy as np
import pytest
from scipy.stats import chisquare, kstest
from shapes import graph, sphere, triangle_distance

from facemill.errors import GeometryError
from facemill.mesh.normals import face_normals_and_areas
from facemill.mesh.sampling import sample_ball, sample_surface
from facemill.mesh.surface import Mesh


def test_samples_lie_on_their_faces_and_are_uniform_by_area():
    points = graph(lambda x, y: 0 * x, 10, 1)
    uneven = Mesh(points.vertices**3 / 100 + [0, 0, 1.0], points.faces)
    samples = sample_surface(uneven, 40_000, np.random.default_rng(0))
    corners = uneven.vertices[uneven.faces[samples.faces]].transpose(1, 0, 2)
    assert triangle_distance(samples.points, *corners).max() < 1e-12
    _, areas = face_normals_and_areas(uneven)
    large = areas > 20 / 40_000 * areas.sum()
    counts = np.bincount(samples.faces, minlength=len(areas))[large]
    expected = areas[large] / areas[large].sum() * counts.sum()
    assert chisquare(counts, expected).pvalue > 1e-3
    # The square is flat, so x itself must be uniform, within faces too.
    x = samples.points[:, 0]
    assert kstest(x, "uniform", (-10, 20)).pvalue > 1e-3


def test_normals_are_those_of_the_smooth_surface_within_half_a_degree():
    def h(x, y):
        return 20 * np.cos(x / 25) * np.cos(y / 30)

    hills = graph(h, 60, 1.5)
    samples = sample_surface(hills, 20_000, np.random.default_rng(0))
    x, y, _ = samples.points.T
    true = np.column_stack(
        [
            20 / 25 * np.sin(x / 25) * np.cos(y / 30),
            20 / 30 * np.cos(x / 25) * np.sin(y / 30),
            np.ones(len(x)),
        ]
    )
    true /= np.linalg.norm(true, axis=1, keepdims=True)
    inner = np.abs(samples.points[:, :2]).max(axis=1) < 57
    angle = np.degrees(np.arccos((samples.normals * true).sum(axis=1).clip(-1, 1)))[inner]
    assert angle.max() < 0.5


def test_the_same_generator_gives_the_same_points():
    ball = sphere()
    first, second = (sample_surface(ball, 100, np.random.default_rng(3)) for _ in range(2))
    np.testing.assert_array_equal(first.points, second.points)
    np.testing.assert_array_equal(
        sample_ball(50, 2.0, np.random.default_rng(3)),
        sample_ball(50, 2.0, np.random.default_rng(3)),
    )


def test_a_ball_is_filled_evenly():
    points = sample_ball(20_000, 100.0, np.random.default_rng(0))
    radius = np.linalg.norm(points, axis=1)
    assert kstest((radius / 100) ** 3, "uniform").pvalue > 1e-3
    assert kstest(points[:, 2] / radius, "uniform", (-1, 2)).pvalue > 1e-3


def test_a_mesh_without_area_is_refused():
    flat = Mesh(np.zeros((3, 3)), np.array([[0, 1, 2]]))
    with pytest.raises(GeometryError, match="without area"):
        sample_surface(flat, 10, np.random.default_rng(0))
