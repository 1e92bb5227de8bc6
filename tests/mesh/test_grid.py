import numpy as np
import pytest

from facemill.errors import GeometryError
from facemill.mesh.grid import Grid


@pytest.mark.parametrize("resolution", [2, 64, 65, 256])
def test_first_and_last_point_lie_on_the_ends(resolution):
    grid = Grid(resolution, -1.0, 1.0)
    axis = grid.coordinates(np.arange(resolution))
    assert axis[0] == -1.0
    assert axis[-1] == pytest.approx(1.0, abs=1e-15)
    assert grid.spacing == pytest.approx(2.0 / (resolution - 1))


def test_index_and_coordinate_are_inverse_also_between_points():
    grid = Grid(37, -0.3, 2.0)
    index = np.random.default_rng(0).uniform(-3, 40, (50, 3))
    np.testing.assert_allclose(grid.indices(grid.coordinates(index)), index, atol=1e-12)


def test_points_reshape_to_a_volume_with_axes_in_order():
    grid = Grid(4, 0.0, 3.0)
    volume = grid.points().reshape(4, 4, 4, 3)
    np.testing.assert_allclose(volume[1, 2, 3], [1.0, 2.0, 3.0])


def test_a_grid_without_extent_is_refused():
    with pytest.raises(GeometryError, match="at least 2 points"):
        Grid(1)
    with pytest.raises(GeometryError, match="upper end"):
        Grid(8, 1.0, 1.0)
