"""Carrying colours between views: exact on a plane, blind to what only one view sees."""

import numpy as np
import pytest

from facemill.errors import DataError
from facemill.mesh.surface import Mesh
from facemill.render.cameras import look_at, orbit
from facemill.render.mesh_view import DEPTH_UNITS, MeshView
from facemill.render.reprojection import View, carried, reprojection_error


def on_plane(camera, pattern) -> View:
    """The plane z = 0 with colours by place, as a camera sees it."""
    pixels = camera.pixel_centres
    directions = camera.directions(pixels)
    depth = -camera.centre[2] / directions[:, 2]
    points = camera.unproject(pixels, depth)
    shape = (camera.height, camera.width)
    return View(pattern(points).reshape(*shape, 3), depth.reshape(shape), camera)


def ramp(points):
    return np.stack([0.5 + points[:, 0] / 400, 0.5 + points[:, 1] / 400, 0 * points[:, 0]], axis=1)


def cameras(size=48):
    return [orbit(yaw, 10, 600, 1.5 * size, size, size) for yaw in (0, 9)]


def test_a_plane_s_colours_are_carried_exactly():
    one, two = (on_plane(camera, ramp) for camera in cameras())
    colours, valid = carried(one, two)
    assert valid.mean() > 0.7
    # A ramp is linear on the plane; seen in perspective it is linear but for a small term.
    assert np.abs(colours - one.colour)[valid].max() < 1e-3
    assert reprojection_error(one, two) < 2e-4


def test_a_veil_over_one_view_is_the_error():
    one, two = (on_plane(camera, ramp) for camera in cameras())
    veiled = View(two.colour + np.array([0.06, 0, 0]), two.depth, two.camera)
    assert reprojection_error(one, veiled) == pytest.approx(0.02, abs=2e-4)


def test_a_wrong_camera_or_depth_shows():
    one, two = (on_plane(camera, ramp) for camera in cameras())
    moved = View(np.roll(two.colour, 3, axis=1), two.depth, two.camera)
    assert reprojection_error(one, moved) > 5 * reprojection_error(one, two)
    with pytest.raises(DataError, match="no point"):
        reprojection_error(one, View(two.colour, two.depth + 50, two.camera))


def test_what_a_screen_hides_does_not_count():
    """A small square before a wall: its shadow on the wall is seen by one view only."""
    wall = np.array([[-300, -300, 0], [300, -300, 0], [300, 300, 0], [-300, 300, 0.0]])
    square = np.array([[-40, -40, 80], [40, -40, 80], [40, 40, 80], [-40, 40, 80.0]])
    quad = np.array([[0, 1, 2], [0, 2, 3]])
    mesh = Mesh(np.concatenate([wall, square]), np.concatenate([quad, quad + 4]))
    size = 96
    found = []
    for x in (-100, 100):
        camera = look_at(np.array([x, 0, 500.0]), np.zeros(3), 130, size, size)
        depth = MeshView(mesh, np.zeros((1, 1, 3), np.uint8), camera).render(camera)[1]
        depth = depth / DEPTH_UNITS
        points = camera.unproject(camera.pixel_centres, depth.ravel())
        colour = np.where(points[:, 2:] < 40, 0.8, 0.0) * np.ones(3)  # light wall, black square
        found.append(View(colour.reshape(size, size, 3), depth, camera))
    colours, valid = carried(*found)
    difference = np.abs(colours - found[0].colour).max(axis=2)
    hidden = ~valid & (found[0].depth > 0)
    assert hidden.sum() > 100
    assert difference[valid].max() < 0.02
    # Without the test of depth the shadow would be compared with the square.
    blind, everything = carried(*found, tolerance=1e6)
    assert np.abs(blind - found[0].colour).max(axis=2)[everything].max() > 0.5
