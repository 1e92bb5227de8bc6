"""The sheet is one height field over the convex hull of what is seen."""

import numpy as np
import pytest
from scipy.interpolate import LinearNDInterpolator
from scipy.spatial import ConvexHull
from shapes import graph, ict_head, joined

from facemill.errors import GeometryError
from facemill.mesh.closing import boundary_loops, damage
from facemill.mesh.normals import face_normals_and_areas
from facemill.mesh.sheet import face_sheet, height, height_sheet


def scattered(count=400, seed=0):
    rng = np.random.default_rng(seed)
    xy = rng.uniform(-50, 50, size=(count, 2))
    return np.column_stack([xy, 20 * np.sin(xy[:, 0] / 9) + 10 * np.cos(xy[:, 1] / 5)])


def test_it_covers_the_hull_once_and_looks_forward():
    points = scattered()
    sheet = height_sheet(points)
    normals, areas = face_normals_and_areas(sheet)
    assert (normals[:, 2] > 0).all()
    assert (areas * normals[:, 2]).sum() == pytest.approx(ConvexHull(points[:, :2]).volume)
    assert damage(sheet.faces) is None and len(boundary_loops(sheet.faces)) == 1
    np.testing.assert_array_equal(sheet.vertices, points.astype(np.float32))


def test_its_height_is_that_of_the_triangles():
    sheet = height_sheet(scattered())
    xy = np.random.default_rng(1).uniform(-60, 60, size=(3000, 2))
    h = height(sheet, xy)
    plain = LinearNDInterpolator(sheet.vertices[:, :2], sheet.vertices[:, 2])
    twin = plain(xy)
    np.testing.assert_array_equal(np.isnan(h), np.isnan(twin))
    assert 0.3 < np.isnan(h).mean() < 0.5
    np.testing.assert_allclose(h, twin, atol=1e-9)
    np.testing.assert_allclose(
        height(sheet, sheet.vertices[:, :2]), sheet.vertices[:, 2], atol=1e-6
    )


def test_of_points_at_one_place_the_highest_stays():
    points = scattered(50)
    above, below = points[:10] + np.array([0, 0, 1.0]), points - np.array([0, 0, 5.0])
    doubled = np.concatenate([points, below, above])
    sheet = height_sheet(doubled)
    h = height(sheet, points.astype(np.float32)[:, :2].astype(float))
    np.testing.assert_allclose(h, points[:, 2] + (np.arange(50) < 10), atol=1e-5)


def test_regular_grids_make_no_empty_triangles():
    sheet = height_sheet(graph(lambda x, y: 0.1 * x * y, 10, 1).vertices)
    normals, areas = face_normals_and_areas(sheet)
    assert (areas * normals[:, 2]).sum() == pytest.approx(400.0)
    assert (areas > 0.4).all()


@pytest.mark.parametrize("points", [np.zeros((2, 3)), np.eye(3)[:1].repeat(9, 0) * 3.0])
def test_too_few_points_are_refused(points):
    with pytest.raises(GeometryError, match="no height field over"):
        height_sheet(points)


def test_points_on_a_line_are_refused():
    with pytest.raises(GeometryError, match="no height field over"):
        height_sheet(np.arange(10.0)[:, None] * [1.0, 2.0, 3.0])


def test_a_step_is_bridged_and_what_is_below_is_gone():
    floor, table = graph(lambda x, y: 0 * x, 80, 4), graph(lambda x, y: 0 * x + 30, 30, 3)
    sheet = face_sheet(joined(floor, table), 100.0)
    assert height(sheet, np.array([[0.0, 0.0]]))[0] == pytest.approx(30.0)
    assert height(sheet, np.array([[60.0, 0.0]]))[0] == pytest.approx(0.0)
    assert 0 < height(sheet, np.array([[31.0, 0.0]]))[0] < 30
    assert np.linalg.norm(sheet.vertices, axis=1).max() <= 100 * (1 + 1e-6)


@pytest.mark.parametrize("expression", ["1_neutral", "3_mouth_stretch"])
def test_a_head_becomes_one_sheet_with_the_nose_tip_in_place(open_data, expression):
    mesh, landmarks = ict_head(open_data, expression)
    sheet = face_sheet(mesh)
    normals, areas = face_normals_and_areas(sheet)
    assert (normals[:, 2] > 0).all()
    assert damage(sheet.faces) is None and len(boundary_loops(sheet.faces)) == 1
    assert (areas * normals[:, 2]).sum() == pytest.approx(
        ConvexHull(sheet.vertices[:, :2]).volume, rel=1e-6
    )
    # Landmarks in front of the face lie on it; those of the jaw line may be hidden.
    h = height(sheet, landmarks[17:68, :2])
    seen = np.abs(h - landmarks[17:68, 2]) < 0.01
    assert seen.mean() > 0.75 and seen[30 - 17]
