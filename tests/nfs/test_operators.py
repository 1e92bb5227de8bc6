"""Operators of files and of people: aligned, traced back to the file, refused in a sentence."""

import numpy as np
import pytest
from small_nfs import OPERATORS

from facemill.mesh.clean import cleaned
from facemill.mesh.closing import close_loops
from facemill.mesh.frames import FACE_TO_NFS, Similarity
from facemill.mesh.io import write_obj
from facemill.mesh.operators import read_operators
from facemill.mesh.surface import Mesh
from facemill.nfs.operators import closed_openings, front_faces, mean_face, operators_build


@pytest.fixture(scope="module")
def face(demo_model) -> Mesh:
    """A drawn face with border vertices of the back of the head left in, unused."""
    return Mesh(
        demo_model.vertices(np.array([0.5, -0.5, 0.3]), np.zeros(19)),
        demo_model.region_faces("narrow")[1],
    )


def built(mesh: Mesh, people, folder, landmarks=None, **settings):
    write_obj(folder / "mesh.obj", mesh)
    if landmarks is not None:
        lines = (" ".join(f"{x:.9g}" for x in point) for point in landmarks)
        (folder / "mesh.landmarks.txt").write_text("\n".join(lines))
    operators_build(
        folder / "mesh.obj",
        people / "people.npz",
        OPERATORS | settings,
        folder / "out.npz",
        None if landmarks is None else folder / "mesh.landmarks.txt",
    )
    return read_operators(folder / "out.npz")


def test_a_file_with_landmarks_is_aligned_and_traced_back(face, demo_model, people, tmp_path):
    pose = Similarity(37.0, np.array([[0.0, 0, 1], [0, 1, 0], [-1, 0, 0]]), np.array([1.0, 2, 3]))
    moved = Mesh(pose.apply(face.vertices), face.faces)
    marks = pose.apply(face.vertices[demo_model.landmarks])
    found = built(moved, people, tmp_path, marks)
    assert found.residual < 8.0 and found.n_source == len(face.vertices)
    offset = found.vertices - face.vertices[found.source]
    assert np.sqrt((offset**2).sum(axis=1).mean()) < 0.1
    np.testing.assert_allclose(found.frame(moved.vertices, "x"), found.vertices, atol=1e-5)


def test_a_file_in_millimetres_needs_no_landmarks(face, people, tmp_path):
    moved = Mesh(FACE_TO_NFS.inverse().apply(face.vertices), face.faces)
    assert built(moved, people, tmp_path).residual < 4.0


def test_lips_and_lids_that_hang_together_are_told(face, demo_model):
    mean = mean_face(demo_model)
    assert closed_openings(face, mean) == []
    closed = close_loops(cleaned(face, "face").mesh)
    assert closed_openings(closed, mean) == ["mouth", "right eye", "left eye"]


def test_of_a_whole_head_s_file_the_front_goes_through_unless_asked(demo_model, people, tmp_path):
    mesh = Mesh(FACE_TO_NFS.inverse().apply(demo_model.neutral), demo_model.faces)
    marks = mesh.vertices[demo_model.landmarks]
    front = built(mesh, people, tmp_path, marks)
    whole = built(mesh, people, tmp_path, marks, front=False)
    assert len(front.vertices) < 0.8 * len(whole.vertices)
    assert front.n_source == whole.n_source == len(mesh.vertices)
    assert front.vertices[:, 2].min() > whole.vertices[:, 2].min() + 0.1
    np.testing.assert_allclose(front.placed.matrix, whole.placed.matrix)


def test_of_a_person_the_front_in_one_piece_is_kept(demo_model):
    mesh = Mesh(FACE_TO_NFS.inverse().apply(demo_model.neutral), demo_model.faces)
    kept = np.unique(front_faces(mesh, 130.0, "person"))
    vertices = mesh.vertices[kept]
    assert vertices[:, 2].min() > -130 and np.linalg.norm(vertices, axis=1).max() <= 130
    assert set(demo_model.landmarks[[30, 36, 45, 48, 54, 8]]) <= set(kept)
