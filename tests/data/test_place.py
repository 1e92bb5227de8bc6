"""Placing raw scans on a mean face: found in any pose, or refused with the reason."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from synthetic_faces import face, landmark_vertices

from facemill.data import place as data_place
from facemill.data.align import Reference
from facemill.data.place import extent, place, require_head_size
from facemill.errors import GeometryError
from facemill.mesh import pose_search
from facemill.mesh.frames import Similarity
from facemill.mesh.pose_search import rotations
from facemill.mesh.sampling import sample_surface
from facemill.mesh.sheet import face_sheet


@pytest.fixture(autouse=True)
def fewer_rotations(monkeypatch):
    """Enough for these simple faces, and quicker."""
    monkeypatch.setattr(pose_search, "ROTATIONS", 100)


MEAN = face(np.zeros(4), "1_neutral")
REFERENCE = Reference(face_sheet(MEAN), MEAN.vertices[landmark_vertices()])
PERSON = face(np.array([0.5, -0.5, 0.5, 0.3]), "1_neutral")
MARKS = PERSON.vertices[landmark_vertices()]
POINTS = sample_surface(PERSON, 3000, np.random.default_rng(0)).points
ANYWHERE = Rotation.from_euler("xyz", [190, 35, 100], degrees=True).as_matrix()


def scan(scale: float = 1.0, rotation=ANYWHERE) -> Similarity:
    return Similarity(scale, rotation, scale * np.array([200.0, -30, 90]))


def turn(found: Similarity, truth: Similarity) -> float:
    return np.degrees(Rotation.from_matrix(found.rotation @ truth.rotation.T).magnitude())


def error(found: Similarity, moved: Similarity) -> float:
    """Mean distance of the placed points from where they belong, mm."""
    return np.linalg.norm(found.apply(moved.apply(POINTS)) - POINTS, axis=1).mean()


@pytest.mark.parametrize("upside_down", [False, True])
def test_a_scan_without_landmarks_is_found_in_any_pose(upside_down):
    rotation = np.diag([-1.0, -1, 1]) if upside_down else ANYWHERE
    moved = scan(rotation=rotation)
    found = place(moved.apply(POINTS), {}, REFERENCE, "auto", 3.0, "a")
    assert error(found.similarity, moved) < 4.0
    assert turn(found.similarity, moved.inverse()) < 6.0
    assert found.similarity.scale == 1.0 and found.surface_residual < 2.0


def test_an_unknown_unit_is_found_with_the_pose(monkeypatch):
    moved = scan(1 / 37.0)
    monkeypatch.setattr(data_place, "UNKNOWN_SIZES", (160.0, 220.0))
    found = place(moved.apply(POINTS), {}, REFERENCE, "unknown", 3.0, "a")
    assert found.similarity.scale == pytest.approx(37.0, rel=0.08)
    assert turn(found.similarity, moved.inverse()) < 8.0


def test_five_landmarks_tell_pose_and_unit():
    moved = scan(0.001)
    given = {k: moved.apply(MARKS[k]) for k in (30, 36, 45, 48, 54)}
    found = place(moved.apply(POINTS), given, REFERENCE, "auto", 6.0, "a")
    assert found.unit == "metres" and found.similarity.scale == 1000.0
    assert error(found.similarity, moved) < 4.0


def test_an_open_mouth_does_not_turn_the_head():
    given = {k: MARKS[k].copy() for k in range(68)}
    for number in (*range(17), *range(48, 68)):
        given[number] += [0, -22, -4]
    found = place(POINTS, given, REFERENCE, "auto", 3.0, "a")
    assert turn(found.similarity, Similarity()) < 3.0
    assert error(found.similarity, Similarity()) < 3.0


def test_metres_without_landmarks_are_detected_and_named():
    with pytest.raises(GeometryError, match=r"a\.xyz.*0\.1.*no head.*in metres.*unit: metres"):
        place(scan(0.001).apply(POINTS), {}, REFERENCE, "auto", 3.0, "a.xyz")
    moved = scan(0.001)
    found = place(moved.apply(POINTS), {}, REFERENCE, "metres", 3.0, "a.xyz")
    assert found.similarity.scale == 1000.0 and error(found.similarity, moved) < 4.0


def test_a_size_of_no_unit_says_how_to_have_it_fitted():
    with pytest.raises(GeometryError, match=r"1e\+06 units.*no usual one.*unit: unknown"):
        require_head_size(1e6, "auto", "a")
    require_head_size(0.25, "metres", "a")


def test_extent_is_that_of_the_scan_without_strays():
    strays = np.concatenate([POINTS, [[1e4, 0, 0], [0, -1e4, 0]]])
    assert extent(strays @ ANYWHERE.T) == pytest.approx(extent(POINTS), rel=0.05)


def test_a_shape_that_is_no_face_is_refused_with_the_residual():
    rng = np.random.default_rng(0)
    box = rng.uniform(-1, 1, (3000, 3))
    side = rng.integers(3, size=3000)
    box[np.arange(3000), side] = np.sign(box[np.arange(3000), side])
    with pytest.raises(GeometryError, match=r"mm \(rms\) from the mean face.*Give landmarks"):
        place(box * [70, 90, 80], {}, REFERENCE, "auto", 3.0, "box.ply")


def test_where_no_place_keeps_its_size_scan_and_way_out_are_named(monkeypatch):
    monkeypatch.setattr(data_place, "find_face", lambda *search: [])
    with pytest.raises(GeometryError, match=r"body\.ply: no face of a usual size .* head alone"):
        place(POINTS, {}, REFERENCE, "auto", 4.0, "body.ply")


def test_landmarks_of_another_order_and_of_exchanged_sides_are_refused():
    rolled = dict(enumerate(np.roll(MARKS, 9, axis=0)))
    with pytest.raises(GeometryError, match=r"eyes and nose lie .* off.*another order"):
        place(POINTS, rolled, REFERENCE, "auto", 3.0, "a")
    noisy = MARKS + np.random.default_rng(0).normal(size=(68, 3))
    mirrored = dict(enumerate(noisy * [-1, 1, 1]))
    with pytest.raises(GeometryError, match="left and right are exchanged"):
        place(POINTS, mirrored, REFERENCE, "auto", 3.0, "a")


def test_a_unit_that_landmarks_deny_is_refused():
    with pytest.raises(GeometryError, match=r"not in inches"):
        place(POINTS, dict(enumerate(MARKS)), REFERENCE, "inches", 3.0, "a")


def test_rotations_are_rotations_and_leave_no_gap():
    found = rotations(300)
    np.testing.assert_allclose(np.linalg.det(found), 1.0)
    wanted = Rotation.random(100, random_state=0)
    best = [min((Rotation.from_matrix(found) * one.inv()).magnitude()) for one in wanted]
    assert np.degrees(max(best)) < 40
