"""Normals, angles and barycentric weights against closed forms and trimesh."""

import numpy as np
import pytest
import trimesh
from shapes import graph, sphere

from facemill.mesh.normals import (
    barycentric,
    corner_angles,
    corner_normals,
    face_normals_and_areas,
    interpolated,
)
from facemill.mesh.surface import Mesh


def test_face_normals_areas_and_angles_are_those_of_trimesh():
    ball = sphere(10.0, 2)
    judge = trimesh.Trimesh(ball.vertices, ball.faces, process=False)
    normals, areas = face_normals_and_areas(ball)
    np.testing.assert_allclose(normals, judge.face_normals, atol=1e-12)
    np.testing.assert_allclose(areas, judge.area_faces, rtol=1e-12)
    np.testing.assert_allclose(corner_angles(ball), judge.face_angles, rtol=1e-9)


def test_without_creases_the_corner_normals_are_the_angle_weighted_vertex_normals():
    hills = graph(lambda x, y: 3 * np.sin(x) * np.cos(y), 5, 0.5)
    mixed = corner_normals(hills, 180.0)
    normals, _ = face_normals_and_areas(hills)
    expected = np.zeros_like(hills.vertices)
    for face, angles, normal in zip(hills.faces, corner_angles(hills), normals, strict=True):
        expected[face] += angles[:, None] * normal
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(mixed, expected[hills.faces], atol=1e-12)


def test_creases_split_the_normals():
    cube = trimesh.creation.box()
    mesh = Mesh(np.array(cube.vertices), np.array(cube.faces, np.int64))
    normals, _ = face_normals_and_areas(mesh)
    np.testing.assert_allclose(corner_normals(mesh), np.repeat(normals[:, None], 3, 1), atol=1e-12)


def test_a_face_without_area_takes_its_neighbours_normal():
    mesh = Mesh(
        np.array([[0, 0, 0], [2, 0, 0], [0, 2, 0], [1, 1, 0.0]]),
        np.array([[0, 1, 2], [1, 3, 2]]),  # the second lies on the line x + y = 2
    )
    assert np.isfinite(corner_normals(mesh)).all()
    np.testing.assert_allclose(corner_normals(mesh)[1, 0], [0, 0, 1], atol=1e-12)


def test_barycentric_weights_come_back():
    rng = np.random.default_rng(0)
    ball = sphere(10.0, 2)
    faces = rng.integers(len(ball.faces), size=200)
    weights = rng.dirichlet(np.ones(3), size=200)
    points = (ball.vertices[ball.faces[faces]] * weights[..., None]).sum(axis=1)
    np.testing.assert_allclose(barycentric(points, ball, faces), weights, atol=1e-9)


def test_interpolated_normals_of_a_sphere_are_radial():
    ball = sphere(10.0, 4)
    faces = np.arange(len(ball.faces))
    weights = np.full((len(faces), 3), 1 / 3)
    normals = interpolated(corner_normals(ball), faces, weights)
    radial = ball.vertices[ball.faces].mean(axis=1)
    radial /= np.linalg.norm(radial, axis=1, keepdims=True)
    assert np.degrees(np.arccos((normals * radial).sum(axis=1).clip(-1, 1))).max() < 0.2
    assert np.linalg.norm(normals, axis=1) == pytest.approx(np.ones(len(faces)))
