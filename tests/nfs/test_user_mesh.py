"""From a file to the network's vertices and back: welded seams, waste, foreign operators."""

import numpy as np
import pytest
from small_nfs_uses import face_of, with_operators

from facemill.mesh.frames import FACE_TO_NFS, Similarity
from facemill.mesh.surface import Mesh
from facemill.nfs.user_mesh import Followers, back_map

QUARTER = np.array([[0.0, 0, 1], [0, 1, 0], [-1, 0, 0]])


@pytest.fixture(scope="module")
def face(demo_model) -> Mesh:
    return face_of(demo_model)


def seamed(mesh: Mesh) -> Mesh:
    """The mesh with its first used vertex doubled for one of its faces, and a far loose face."""
    vertex = mesh.faces[0, 0]
    n = len(mesh.vertices)
    loose = np.array([[500.0, 0, 0], [501, 0, 0], [500, 1, 0]])
    vertices = np.concatenate([mesh.vertices, mesh.vertices[[vertex]], loose])
    faces = mesh.faces.copy()
    faces[0, 0] = n
    return Mesh(vertices, np.concatenate([faces, [[n + 1, n + 2, n + 3]]]))


def test_vertices_at_one_place_move_together_and_waste_stays(face):
    mesh = seamed(face)
    held = with_operators(mesh)
    n, vertex = len(face.vertices), int(face.faces[0, 0])
    assert held.back[n] == held.back[vertex] >= 0
    assert (held.back[n + 1 :] == -1).all()
    moved = held.operators.vertices.astype(np.float64)[None] + [0.0, 0.1, 0.0]
    found = held.restored(moved)[0]
    kept = held.back >= 0
    np.testing.assert_allclose(found[kept], mesh.vertices[kept] + [0.0, 10.0, 0.0], atol=1e-6)
    np.testing.assert_array_equal(found[~kept], mesh.vertices[~kept])


def test_where_nothing_moves_the_file_comes_back_untouched(face):
    pose = Similarity(0.37, QUARTER, np.array([3.0, 2.0, 1.0]))
    mesh = Mesh(pose.apply(face.vertices), face.faces)
    held = with_operators(mesh, placed=FACE_TO_NFS.after(pose.inverse()))
    still = held.operators.vertices.astype(np.float64)
    np.testing.assert_array_equal(held.restored(still[None])[0], mesh.vertices)
    up = held.restored(still[None] + [0.0, 0.0, 0.01])[0] - mesh.vertices
    used = held.back >= 0
    np.testing.assert_allclose(up[used], np.tile(0.37 * QUARTER[:, 2], (used.sum(), 1)), atol=1e-6)


def test_a_kept_vertex_goes_to_itself_even_where_others_share_its_place():
    vertices = np.array([[0.0, 0, 0], [1, 0, 0], [0, 0, 0], [2, 0, 0]])
    np.testing.assert_array_equal(back_map(vertices, np.array([0, 1, 2])), [0, 1, 2, -1])
    np.testing.assert_array_equal(back_map(vertices, np.array([1, 2])), [1, 0, 1, -1])


def strip(columns: int) -> Mesh:
    """A band one unit wide along x, a unit between columns, and a loose triangle beside it."""
    x = np.repeat(np.arange(float(columns)), 2)
    y = np.tile([0.0, 1.0], columns)
    band = np.stack([x, y, 0 * x], axis=1)
    loose = np.array([[0.0, 5, 0], [1, 5, 0], [0, 6, 0]])
    first = 2 * np.arange(columns - 1)
    faces = [np.stack([first, first + 2, first + 1], axis=1)]
    faces += [np.stack([first + 1, first + 2, first + 3], axis=1), 2 * columns + np.arange(3)[None]]
    faces = np.concatenate(faces)
    return Mesh(np.concatenate([band, loose]), faces)


def test_what_hangs_together_with_the_moved_follows_and_dies_away():
    mesh = strip(12)
    back = np.full(len(mesh.vertices), -1)
    back[:2] = [0, 1]
    offsets = np.zeros((1, len(back), 3))
    offsets[0, :2, 2] = 1.0
    Followers(mesh, back, reach=3.0).follow(offsets)
    height = offsets[0, :24, 2].reshape(12, 2).mean(axis=1)
    assert (np.diff(height) < 0).all() and (height > 0).all()
    ratio = height[2:7] / height[1:6]
    np.testing.assert_allclose(ratio, ratio[0], rtol=0.02)  # an exponential, away from the far end
    assert np.exp(-0.5) < ratio[0] < np.exp(-0.15)
    assert np.abs(offsets[0, 24:]).max() == 0, "the loose triangle stays"


def test_a_texture_seam_among_those_that_follow_does_not_tear():
    mesh = strip(12)
    n = len(mesh.vertices)
    vertices = np.concatenate([mesh.vertices, mesh.vertices[8:10]])
    faces = mesh.faces.copy()
    beyond = (faces >= 8).all(axis=1) & (faces < 24).all(axis=1)
    faces[beyond] = np.where(faces[beyond] < 10, faces[beyond] - 8 + n, faces[beyond])
    back = np.full(len(vertices), -1)
    back[:2] = [0, 1]
    whole, cut = np.zeros((1, n, 3)), np.zeros((1, n + 2, 3))
    whole[0, :2, 2] = cut[0, :2, 2] = 1.0
    Followers(mesh, back[:n], reach=3.0).follow(whole)
    Followers(Mesh(vertices, faces), back, reach=3.0).follow(cut)
    np.testing.assert_allclose(cut[:, :n], whole, atol=1e-9)
    np.testing.assert_allclose(cut[:, n:], whole[:, 8:10], atol=1e-9)


def test_nothing_follows_where_nothing_was_left_out():
    mesh = strip(3)
    back = np.arange(len(mesh.vertices))
    offsets = np.ones((1, len(back), 3))
    Followers(mesh, back, reach=3.0).follow(offsets)
    assert (offsets == 1).all()
