"""The crop is exact: closed forms, and a plain twin that cuts triangle by triangle."""

import numpy as np
import pytest
from shapes import graph, joined, sphere

from facemill.errors import GeometryError
from facemill.mesh.closing import boundary_edges, boundary_loops, damage
from facemill.mesh.crop import crop_to_sphere, large_parts
from facemill.mesh.normals import face_normals_and_areas
from facemill.mesh.surface import Mesh

ORIGIN = np.zeros(3)


def test_a_plane_is_cut_to_a_disc_of_the_right_area():
    plane = graph(lambda x, y: 0 * x + 60.0, half=90, step=1.5)
    disc = crop_to_sphere(plane, ORIGIN, 100.0)
    _, areas = face_normals_and_areas(disc)
    assert areas.sum() == pytest.approx(np.pi * (100**2 - 60**2), rel=1e-3)
    radius = np.linalg.norm(disc.vertices, axis=1)
    assert radius.max() <= 100.0 * (1 + 1e-9)
    rim = np.unique(boundary_edges(disc.faces))
    np.testing.assert_allclose(radius[rim], 100.0, rtol=1e-12)
    np.testing.assert_allclose(disc.vertices[:, 2], 60.0, rtol=1e-12)


def test_the_cut_keeps_one_surface_and_its_orientation():
    hills = graph(lambda x, y: 20 * np.sin(x / 9) * np.cos(y / 7), half=60, step=2)
    centre = np.array([5.0, -3.0, 4.0])
    part = crop_to_sphere(hills, centre, 40.0)
    assert np.linalg.norm(part.vertices - centre, axis=1).max() <= 40.0 * (1 + 1e-9)
    assert (face_normals_and_areas(part)[0][:, 2] > 0).all()
    assert damage(part.faces) is None
    assert len(np.unique(part.vertices, axis=0)) == len(part.vertices), "crossings are shared"
    for loop in boundary_loops(part.faces):
        on = np.linalg.norm(part.vertices[loop] - centre, axis=1)
        np.testing.assert_allclose(on, 40.0, rtol=1e-12)


def test_kept_vertices_keep_their_order():
    hills = graph(lambda x, y: 0.1 * x, half=60, step=2)
    part = crop_to_sphere(hills, ORIGIN, 40.0)
    inside = hills.vertices[np.linalg.norm(hills.vertices, axis=1) <= 40.0]
    np.testing.assert_array_equal(part.vertices[: len(inside)], inside)


def plainly_cut_area(mesh, radius):
    """Area of the clipped triangles, one by one, crossings found by bisection."""

    def crossing(a, b):
        for _ in range(100):
            middle = (a + b) / 2
            a, b = (middle, b) if middle @ middle <= radius**2 else (a, middle)
        return a

    total = 0.0
    for face in mesh.faces:
        corners = mesh.vertices[face]
        inside = (corners**2).sum(1) <= radius**2
        polygon = []
        for i in range(3):
            j = (i + 1) % 3
            if inside[i]:
                polygon.append(corners[i])
            if inside[i] != inside[j]:
                a, b = (i, j) if inside[i] else (j, i)
                polygon.append(crossing(corners[a], corners[b]))
        for k in range(1, len(polygon) - 1):
            normal = np.cross(polygon[k] - polygon[0], polygon[k + 1] - polygon[0])
            total += 0.5 * np.linalg.norm(normal)
    return total


def test_random_triangles_are_cut_as_by_the_plain_way():
    rng = np.random.default_rng(0)
    soup = Mesh(rng.normal(size=(60, 3)), rng.integers(0, 60, size=(200, 3)))
    soup = Mesh(soup.vertices, soup.faces[(np.diff(np.sort(soup.faces)) > 0).all(axis=1)])
    cut = crop_to_sphere(soup, ORIGIN, 1.5)
    area = face_normals_and_areas(cut)[1].sum()
    assert area == pytest.approx(plainly_cut_area(soup, 1.5), rel=1e-9)


def test_a_vertex_on_the_sphere_makes_no_empty_triangle():
    mesh = Mesh(
        np.array([[0, 0, 0], [1.0, 0, 0], [0, 1.0, 0], [2.0, 2.0, 0]]),
        np.array([[0, 1, 2], [1, 3, 2]]),
    )
    cut = crop_to_sphere(mesh, ORIGIN, 1.0)
    assert cut.faces.tolist() == [[0, 1, 2]]


def test_a_mesh_elsewhere_is_refused():
    with pytest.raises(GeometryError, match="no triangle inside the sphere of 100"):
        crop_to_sphere(graph(lambda x, y: 0 * x + 500.0, 10, 5), ORIGIN, 100.0)


def test_large_pieces_are_kept_as_they_were():
    large, small = sphere(30.0), sphere(5.0, subdivisions=2, centre=(60.0, 0.0, 0.0))
    kept = large_parts(joined(small, large, small), share=0.5)
    np.testing.assert_array_equal(kept.vertices, large.vertices)
    np.testing.assert_array_equal(kept.faces, large.faces)
