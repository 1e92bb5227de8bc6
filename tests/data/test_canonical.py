"""Alignment to the canonical frame: found from landmarks and without, refused where it must be."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from facemill.data import canonical
from facemill.data.blendshape_sources import demo_blendshapes
from facemill.data.canonical import MeanFace, to_canonical
from facemill.errors import GeometryError
from facemill.mesh.frames import FACE_TO_NFS, Similarity
from facemill.mesh.surface import Mesh

TURN = Rotation.from_euler("yxz", [40, 15, -10], degrees=True).as_matrix()
POSE = Similarity(0.03, TURN, np.array([3.0, -1.0, 2.0]))


@pytest.fixture(scope="module")
def model():
    return demo_blendshapes(0, 2)


@pytest.fixture(scope="module")
def mean(model):
    return MeanFace(model.neutral, model.faces, model.neutral[model.landmarks])


@pytest.fixture(scope="module")
def face(model) -> Mesh:
    """Somebody else's face without the back of the head."""
    vertices = model.vertices(np.array([0.8, -0.5]), np.zeros(19))
    return Mesh(vertices, model.region_faces("face")[1])


def away(found: Similarity, pose: Similarity, mesh: Mesh) -> float:
    """How far the vertices end from where they came from, mm rms."""
    used = np.unique(mesh.faces)
    offset = found.apply(pose.apply(mesh.vertices))[used] - mesh.vertices[used]
    return 100 * float(np.sqrt((offset**2).sum(axis=1).mean()))


def test_landmarks_lead_to_the_canonical_frame_from_any_pose(face, model, mean):
    marks = dict(enumerate(POSE.apply(face.vertices[model.landmarks])))
    moved = Mesh(POSE.apply(face.vertices), face.faces)
    found, residual = to_canonical(moved, marks, mean, 4.0, "posed")
    assert residual < 5.0 and away(found, POSE, face) < 8.0
    exact = dict(enumerate(POSE.apply(mean.landmarks)))
    found, residual = to_canonical(moved, exact, mean, 4.0, "posed")
    assert residual < 1e-6
    np.testing.assert_allclose(found.matrix, POSE.inverse().matrix, atol=1e-9)


def test_landmarks_in_millimetres_keep_their_size(face, model, mean):
    pose = Similarity(1.1 / FACE_TO_NFS.scale, TURN)
    marks = dict(enumerate(pose.apply(mean.landmarks)))
    moved = Mesh(pose.apply(face.vertices), face.faces)
    found, _ = to_canonical(moved, marks, mean, 20.0, "posed", with_scale=False)
    assert found.scale == FACE_TO_NFS.scale


def test_exchanged_sides_are_refused(face, model, mean):
    mirrored = dict(enumerate(mean.landmarks * [-1.0, 1.0, 1.0]))
    with pytest.raises(GeometryError, match="left and right"):
        to_canonical(face, mirrored, mean, 4.0, "mirror")


def test_landmarks_of_something_else_are_refused(face, mean):
    wild = dict(enumerate(np.random.default_rng(0).standard_normal((68, 3))))
    with pytest.raises(GeometryError, match=r"wild: .* nfs.operators.max_residual = 4"):
        to_canonical(face, wild, mean, 4.0, "wild")


@pytest.mark.parametrize("pose", [Similarity(), FACE_TO_NFS.inverse()], ids=["canonical", "mm"])
def test_known_frames_are_recognised_without_landmarks(face, mean, pose):
    moved = Mesh(pose.apply(face.vertices), face.faces)
    found, residual = to_canonical(moved, {}, mean, 4.0, "face")
    assert residual < 3.0 and away(found, pose, face) < 6.0


def test_a_turned_face_in_metres_is_found(face, mean):
    pose = Similarity(0.1, TURN, np.array([1.0, 2.0, 3.0]))
    moved = Mesh(pose.apply(face.vertices), face.faces)
    found, residual = to_canonical(moved, {}, mean, 4.0, "metres")
    assert residual < 3.0 and away(found, pose, face) < 8.0


def test_a_turned_face_in_millimetres_keeps_its_size(face, mean):
    pose = Similarity(100.0, TURN, np.array([10.0, 200.0, -30.0]))
    large = Mesh(pose.apply(1.04 * face.vertices), face.faces)
    found, residual = to_canonical(large, {}, mean, 6.0, "large", with_scale=False)
    assert found.scale == pytest.approx(FACE_TO_NFS.scale) and residual < 6.0
    turn = np.degrees(Rotation.from_matrix(found.rotation @ TURN).magnitude())
    assert turn < 5.0
    with pytest.raises(GeometryError, match=r"small: .* mm"):
        small = Mesh(0.2 * large.vertices, face.faces)
        to_canonical(small, {}, mean, 2.0, "small", with_scale=False)


def test_no_head_in_any_unit_is_refused(mean):
    tiny = Mesh(np.array([[0, 0, 0], [1e-6, 0, 0], [0, 1e-6, 0.0]]), np.array([[0, 1, 2]]))
    with pytest.raises(GeometryError, match="in no usual unit is a head"):
        to_canonical(tiny, {}, mean, 4.0, "dust")


def test_a_mesh_in_no_usual_unit_is_placed_by_its_size_with_a_warning(
    face, mean, caplog, monkeypatch
):
    pose = Similarity(1.0 / (47.0 * FACE_TO_NFS.scale), TURN, np.array([0.3, 0.1, -0.2]))
    moved = Mesh(pose.apply(face.vertices), face.faces)
    known = FACE_TO_NFS.inverse().after(pose.inverse())

    def searched(points, scales, reference, with_scale):
        """What the search, which takes a minute here, says of scales near and far."""
        near = any(abs(np.log(scale / 47.0)) < np.log(1.25) for scale in scales)
        return [(known, 1.5, 1.5)] if near else [(Similarity(25.4), 9.0, 9.0)]

    monkeypatch.setattr(canonical, "_searched", searched)
    found, residual = to_canonical(moved, {}, mean, 4.0, "odd")
    assert residual == 1.5 and away(found, pose, face) < 1e-6
    assert "odd: in none of the usual units; one of its units is taken as 47 mm" in caplog.text


def test_where_no_place_keeps_its_size_mesh_and_way_out_are_named(face, mean, monkeypatch):
    monkeypatch.setattr(canonical, "find_face", lambda *search: [])
    turned = Mesh(face.vertices * [-1.0, -1.0, 1.0], face.faces)
    with pytest.raises(GeometryError, match=r"body: no face was found in the mesh\. Of a whole"):
        to_canonical(turned, {}, mean, 4.0, "body")
