"""Hidden parts are found exactly: closed forms, and a plain twin that tries every triangle."""

import numpy as np
import pytest
from shapes import graph, joined, sphere

from facemill.errors import GeometryError
from facemill.mesh.projection import triangles_at
from facemill.mesh.surface import Mesh
from facemill.mesh.visibility import hidden_vertices, visible_part


def plainly_hidden(vertices, faces):
    """One vertical ray per vertex against every triangle that is not the vertex's own."""
    a, b, c = (vertices[faces[:, i]] for i in range(3))

    def side(p, q, x):
        return (q[:, 0] - p[:, 0]) * (x[1] - p[:, 1]) - (q[:, 1] - p[:, 1]) * (x[0] - p[:, 0])

    hidden = np.zeros(len(vertices), bool)
    for number, vertex in enumerate(vertices):
        u, v, w = side(b, c, vertex), side(c, a, vertex), side(a, b, vertex)
        size = u + v + w
        hit = ((u >= 0) & (v >= 0) & (w >= 0)) | ((u <= 0) & (v <= 0) & (w <= 0))
        hit &= (np.abs(size) > 1e-12) & ~(faces == number).any(axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            z = (u * a[:, 2] + v * b[:, 2] + w * c[:, 2]) / size
        hidden[number] = (hit & (z > vertex[2] + 1e-4)).any()
    return hidden


def test_the_fast_way_agrees_with_the_plain_one_on_a_folded_surface():
    points = graph(lambda x, y: 0 * x, half=20, step=1).vertices
    faces = graph(lambda x, y: 0 * x, half=20, step=1).faces
    x, y = points[:, 0], points[:, 1]
    rng = np.random.default_rng(0)
    folded = np.column_stack(
        [x + 6 * np.sin(x / 2), y + 2 * np.sin(x), 8 * np.cos(x / 2) + 3 * np.cos(y / 3)]
    )
    folded += 1e-3 * rng.normal(size=folded.shape)
    hidden = hidden_vertices(folded, faces)
    assert 0.2 < hidden.mean() < 0.8
    np.testing.assert_array_equal(hidden, plainly_hidden(folded, faces))


def test_the_fast_way_agrees_with_the_plain_one_on_scattered_triangles():
    rng = np.random.default_rng(1)
    vertices = rng.normal(size=(300, 3)) * [40, 60, 50]
    faces = np.array([rng.choice(300, 3, replace=False) for _ in range(200)])
    np.testing.assert_array_equal(hidden_vertices(vertices, faces), plainly_hidden(vertices, faces))


def test_of_a_sphere_the_upper_half_is_seen():
    ball = sphere(10.0, 4)
    z = ball.vertices[:, 2]
    hidden = hidden_vertices(ball.vertices, ball.faces)
    assert not hidden[z > 0.5].any() and hidden[z < -0.5].all()


@pytest.mark.parametrize(("gap", "hides"), [(5e-5, False), (2e-4, True)])
def test_only_what_lies_higher_than_the_clearance_hides(gap, hides):
    low = graph(lambda x, y: 0 * x, half=3, step=1)
    high = graph(lambda x, y: 0 * x + gap, half=3.7, step=0.74)
    hidden = hidden_vertices(*(lambda m: (m.vertices, m.faces))(joined(low, high)))
    assert hidden[: len(low.vertices)].all() == hides
    assert hidden[: len(low.vertices)].any() == hides


def test_nothing_is_seen_through_the_edges_of_what_is_above():
    low, high = (graph(lambda x, y, z=z: 0 * x + z, half=4, step=1) for z in (0.0, 1.0))
    both = joined(low, high)
    hidden = hidden_vertices(both.vertices, both.faces)
    assert hidden[: len(low.vertices)].all() and not hidden[len(low.vertices) :].any()


def test_faces_survive_if_all_their_vertices_do():
    low, high = graph(lambda x, y: 0 * x, 5, 1), graph(lambda x, y: 0 * x + 3, 2, 1)
    seen = visible_part(joined(low, high))
    assert set(np.unique(seen.vertices[:, 2])) == {0.0, 3.0}
    on_low = (seen.vertices[seen.faces][:, :, 2] == 0).all(axis=1)
    assert (np.abs(seen.vertices[seen.faces[on_low]][:, :, :2]).max(axis=(1, 2)) > 2).all()
    assert len(np.unique(seen.faces)) == len(seen.vertices)


def test_where_every_face_is_partly_hidden_nothing_is_left_and_that_is_said():
    crossing = Mesh(
        np.array([[0, 0, 0], [10, 0, 0], [0, 10, 0], [2, 2, -5], [-10, 1, 20], [1, -10, 20.0]]),
        np.array([[0, 1, 2], [3, 4, 5]]),
    )
    assert hidden_vertices(crossing.vertices, crossing.faces).tolist() == [1, 0, 0, 1, 0, 0]
    with pytest.raises(GeometryError, match="visible from \\+z"):
        visible_part(crossing)


def test_heights_are_those_of_the_plane():
    plane = graph(lambda x, y: 3 * x - 2 * y + 1, 10, 3)
    xy = np.random.default_rng(0).uniform(-10, 10, size=(500, 2))
    point, _, z = triangles_at(xy, plane.vertices, plane.faces)
    assert set(point) == set(range(500))
    np.testing.assert_allclose(z, 3 * xy[point, 0] - 2 * xy[point, 1] + 1, atol=1e-9)


def test_points_beside_everything_and_no_points_at_all_meet_nothing():
    plane = graph(lambda x, y: 0 * x, 2, 1)
    for xy in (np.array([[5.0, 0.0], [0.0, -9.0]]), np.zeros((0, 2))):
        point, face, z = triangles_at(xy, plane.vertices, plane.faces)
        assert len(point) == len(face) == len(z) == 0
