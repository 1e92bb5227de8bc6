import numpy as np
import pytest

from facemill.errors import GeometryError
from facemill.mesh.grid import Grid
from facemill.mesh.isosurface import extract, extract_densely, measured_lipschitz


def height(x, y):
    """A face-like hill with a nose and two hollows, in units of ImFace's ball."""
    hill = 0.35 * np.exp(-1.2 * (x**2 + y**2)) - 0.1
    nose = 0.12 * np.exp(-((x / 0.1) ** 2) - (y / 0.15) ** 2)
    eyes = 0.05 * np.exp(-(((np.abs(x) - 0.3) / 0.1) ** 2) - ((y - 0.3) / 0.08) ** 2)
    return hill + nose - eyes


def above_hill(points):
    """Positive in front, as a face's field; not a true distance, its gradient is up to 1.7 long."""
    return points[:, 2] - height(points[:, 0], points[:, 1])


def torus(points):
    """A true signed distance, negative inside."""
    ring = np.hypot(points[:, 0], points[:, 1]) - 0.6
    return np.hypot(ring, points[:, 2]) - 0.2


def sorted_vertices(mesh):
    return mesh.vertices[np.lexsort(mesh.vertices.T)]


@pytest.mark.parametrize("resolution", [64, 128, 256])
def test_vertices_lie_on_the_height_field_without_a_scale_of_the_grid(resolution):
    grid = Grid(resolution)
    mesh = extract(above_hill, grid, lipschitz=2.0, radius=1.0).mesh
    x, y, z = mesh.vertices.T
    assert np.abs(z - height(x, y)).max() < 0.05 * grid.spacing
    # The scale s of z = h(x, y) -> s z = h(s x, s y) that fits best, by its first-order term.
    step = 1e-4
    slope = (height(x * (1 + step), y * (1 + step)) - height(x, y)) / step - z
    residual = z - height(x, y)
    assert abs((slope @ residual) / (slope @ slope)) < 1e-4


def test_shifted_grid_gives_the_same_surface():
    one = extract(above_hill, Grid(64, -1.0, 1.0), lipschitz=2.0, radius=0.9).mesh.vertices
    x, y, z = extract(above_hill, Grid(64, -1.013, 1.04), lipschitz=2.0, radius=0.9).mesh.vertices.T
    assert np.abs(z - height(x, y)).max() < 0.003
    np.testing.assert_allclose(one.mean(axis=0), [x.mean(), y.mean(), z.mean()], atol=0.01)


@pytest.mark.parametrize(("field", "lipschitz"), [(torus, 1.0), (above_hill, 1.8)])
@pytest.mark.parametrize("radius", [None, 1.0])
def test_sparse_extraction_equals_dense_at_a_fraction_of_the_queries(field, lipschitz, radius):
    grid = Grid(128)
    sparse = extract(field, grid, lipschitz=lipschitz, radius=radius)
    dense = extract_densely(field, grid, radius=radius)
    np.testing.assert_array_equal(sorted_vertices(sparse.mesh), sorted_vertices(dense.mesh))
    assert len(sparse.mesh.faces) == len(dense.mesh.faces)
    assert sparse.queries < 0.15 * dense.queries


def test_a_bound_that_is_too_small_still_finds_the_whole_connected_surface():
    grid = Grid(64)
    steep = lambda points: 4.0 * above_hill(points)  # noqa: E731
    sparse = extract(steep, grid, lipschitz=1.0, radius=1.0)
    dense = extract_densely(steep, grid, radius=1.0)
    np.testing.assert_array_equal(sorted_vertices(sparse.mesh), sorted_vertices(dense.mesh))


def test_each_place_is_asked_at_most_once_per_level():
    asked = []

    def field(points):
        asked.append(points.copy())
        return torus(points)

    queries = extract(field, Grid(64)).queries
    points = np.concatenate(asked)
    assert queries == len(points) == len(np.unique(points.round(9), axis=0))


def test_triangles_face_where_the_field_grows():
    mesh = extract(above_hill, Grid(48), lipschitz=2.0, radius=1.0).mesh
    a, b, c = mesh.vertices[mesh.faces].transpose(1, 0, 2)
    assert (np.cross(b - a, c - a)[:, 2] > 0).all()


def test_mesh_ends_within_a_cell_of_the_ball():
    grid = Grid(64)
    mesh = extract(above_hill, grid, lipschitz=2.0, radius=0.8).mesh
    reach = np.linalg.norm(mesh.vertices, axis=1).max()
    assert 0.8 < reach < 0.8 + np.sqrt(3) * grid.spacing


def test_measured_bound_covers_the_gradient():
    rng = np.random.default_rng(0)
    assert measured_lipschitz(torus, 1.0, rng) == pytest.approx(1.1, abs=0.02)
    doubled = measured_lipschitz(lambda points: 2 * torus(points), 1.0, rng)
    assert doubled == pytest.approx(2.2, abs=0.04)


def test_a_field_without_surface_or_with_nan_is_refused():
    with pytest.raises(GeometryError, match="no zero on the grid"):
        extract(lambda points: np.ones(len(points)), Grid(32))
    with pytest.raises(GeometryError, match="no finite numbers"):
        extract(lambda points: np.full(len(points), np.nan), Grid(32))
