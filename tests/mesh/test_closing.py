"""Closed heads are watertight and manifold, trimesh being the judge, and hold what they should."""

import logging

import numpy as np
import pytest
import trimesh
from shapes import SKIN, graph, ict_head, joined, sphere

from facemill.errors import GeometryError
from facemill.mesh.closing import (
    boundary_edges,
    boundary_loops,
    close_head,
    close_loops,
    damage,
    leak,
    parts,
    remesh_by_winding_number,
)
from facemill.mesh.distance import inside_closed
from facemill.mesh.surface import Mesh


def judged(mesh):
    """trimesh's view of a mesh that must be a closed, consistently wound surface."""
    judge = trimesh.Trimesh(mesh.vertices, mesh.faces, process=False, validate=False)
    assert judge.is_watertight and judge.is_winding_consistent
    return judge


def punctured(*directions, angle=0.5):
    """A sphere of 10 mm without the faces near some directions."""
    ball = sphere(10.0, 3)
    centre = ball.vertices[ball.faces].mean(axis=1)
    centre /= np.linalg.norm(centre, axis=1, keepdims=True)
    near = np.zeros(len(ball.faces), bool)
    for direction in directions:
        near |= centre @ (np.array(direction) / np.linalg.norm(direction)) > np.cos(angle)
    return Mesh(ball.vertices, ball.faces[~near])


def test_holes_are_capped_and_the_order_is_kept():
    open_ball = punctured([0, 0, -1], [1, 0, 0])
    closed = close_loops(open_ball)
    judge = judged(closed)
    assert judge.volume == pytest.approx(sphere_volume(), rel=0.15)
    np.testing.assert_array_equal(closed.vertices[: len(open_ball.vertices)], open_ball.vertices)
    np.testing.assert_array_equal(closed.faces[: len(open_ball.faces)], open_ball.faces)
    assert len(closed.vertices) == len(open_ball.vertices) + 2


def sphere_volume(radius=10.0):
    return 4 / 3 * np.pi * radius**3


def test_a_closed_mesh_stays_as_it_is():
    ball = sphere()
    closed = close_loops(ball)
    np.testing.assert_array_equal(closed.faces, ball.faces)
    assert leak(ball.faces) is None and len(boundary_edges(ball.faces)) == 0


def test_holes_that_touch_in_a_vertex_are_two_holes():
    ball = sphere(10.0, 2)
    around = np.flatnonzero((ball.faces == 0).any(axis=1))
    # Of the fan round vertex 0, two faces that share nothing but that vertex.
    first = around[0]
    second = next(f for f in around if len(np.intersect1d(ball.faces[f], ball.faces[first])) == 1)
    pinched = Mesh(ball.vertices, np.delete(ball.faces, [first, second], axis=0))
    loops = boundary_loops(pinched.faces)
    assert sorted(len(loop) for loop in loops) == [3, 3]
    assert all(len(np.unique(loop)) == len(loop) for loop in loops)
    judged(close_loops(pinched))


def test_every_border_edge_is_in_exactly_one_loop():
    mesh = joined(graph(lambda x, y: 0 * x, 4, 1), punctured([0, 1, 0], [0, 0, 1]))
    edges = {tuple(edge) for edge in boundary_edges(mesh.faces).tolist()}
    walked = [
        edge
        for loop in boundary_loops(mesh.faces)
        for edge in zip(loop.tolist(), np.roll(loop, -1).tolist(), strict=True)
    ]
    assert len(walked) == len(edges) and set(walked) == edges


def test_parts_stay_bodies_and_inside_is_their_union():
    eye = punctured([0, 0, -1])
    beside = np.array([12.0, 0, 0])
    other = Mesh(eye.vertices + beside, eye.faces[:, ::-1])  # inside out
    closed = close_loops(joined(eye, other))
    assert parts(closed.faces, len(closed.vertices)).max() == 1
    judge = judged(closed)
    assert all(body.volume > 0 for body in judge.split(only_watertight=True))
    points = np.array([[0, 0, 0], [6, 0, 0], [12, 0, 0], [25, 0, 0], [0, 12, 0.0]])
    assert inside_closed(points, closed).tolist() == [True, True, True, False, False]


def test_damage_is_named():
    ball = sphere()
    assert damage(ball.faces) is None
    assert "shared by faces" in damage(np.concatenate([ball.faces, ball.faces[:1]]))
    assert "twice" in damage(np.concatenate([ball.faces, [[0, 0, 1]]]))
    assert "open" in leak(ball.faces[1:])


@pytest.mark.parametrize("harm", ["doubled", "turned", "fin"])
def test_a_few_bad_faces_are_repaired_and_told(caplog, harm):
    ball = punctured([0, 0, -1], angle=0.3)
    extra = {
        "doubled": ball.faces[10:13],
        "turned": ball.faces[20:21, ::-1],
        "fin": np.array([[ball.faces[0, 0], ball.faces[0, 1], ball.faces[200, 0]]]),
    }[harm]
    faces = np.concatenate([ball.faces, extra])
    if harm == "turned":
        faces = np.delete(faces, 20, axis=0)
    with caplog.at_level(logging.WARNING):
        closed = close_head(Mesh(ball.vertices, faces), "p/1_neutral.obj")
    assert "p/1_neutral.obj" in caplog.text and "repaired" in caplog.text
    assert judged(closed).volume == pytest.approx(judged(close_loops(ball)).volume, rel=1e-3)
    np.testing.assert_array_equal(closed.vertices[: len(ball.vertices)], ball.vertices)


def test_a_badly_damaged_scan_is_remeshed_and_told(caplog):
    ball = punctured([0, 0, -1], angle=0.3)
    faces = np.concatenate([ball.faces, ball.faces[:200]])
    with caplog.at_level(logging.WARNING):
        closed = close_head(Mesh(ball.vertices, faces), "p/1_neutral.obj", cell=0.5)
    assert "p/1_neutral.obj" in caplog.text and "remeshing" in caplog.text
    assert judged(closed).volume == pytest.approx(sphere_volume(), rel=0.03)
    radius = np.linalg.norm(closed.vertices, axis=1)[closed.vertices[:, 2] > -9]
    assert np.abs(radius - 10).mean() < 0.1


def test_remeshing_takes_the_outer_of_two_bodies():
    closed = remesh_by_winding_number(joined(sphere(10.0), sphere(2.0, 2, (20.0, 0, 0))), 0.5)
    assert judged(closed).volume == pytest.approx(sphere_volume(), rel=0.03)


def test_what_cannot_be_remeshed_is_refused():
    with pytest.raises(GeometryError, match="encloses nothing"):
        remesh_by_winding_number(Mesh(sphere().vertices, sphere().faces[:, ::-1]), 1.0)
    with pytest.raises(GeometryError, match="millimetres_per_unit"):
        remesh_by_winding_number(sphere(10_000.0), 1.0)


ALL = (*SKIN, "gums_tongue", "teeth", "eyeball_left", "eyeball_right")


@pytest.mark.parametrize("part_names", [SKIN, ALL], ids=["skin", "with_eyes_and_teeth"])
def test_a_head_is_closed(open_data, part_names):
    mesh, landmarks = ict_head(open_data, "3_mouth_stretch", part_names)
    closed = close_head(mesh, "head")
    judged(closed)
    np.testing.assert_array_equal(closed.vertices[: len(mesh.vertices)], mesh.vertices)
    behind_nose = landmarks[30] - np.array([0, 0, 30.0])
    in_front = landmarks[30] + np.array([0, 0, 5.0])
    in_the_open_mouth = landmarks[[62, 66]].mean(axis=0)
    points = np.stack([behind_nose, in_front, in_the_open_mouth])
    assert inside_closed(points, closed).tolist() == [True, False, False]
