"""Scans that cannot be a face are refused with one clear message; FaceScape's two vertex orders."""

import numpy as np
import pytest

from facemill.data import facescape
from facemill.data.expressions import EXPRESSIONS
from facemill.data.scans import BESIDE, MissingScan, read_landmarks, read_scan, write_landmarks
from facemill.data.topology import Topology
from facemill.errors import ConfigError, DataError, FacemillError, GeometryError
from facemill.mesh.io import write_obj
from facemill.mesh.surface import Mesh

RNG = np.random.default_rng(0)


def face_landmarks():
    """68 points in roughly human places, mm."""
    points = RNG.uniform([-30, -30, 30], [30, 30, 90], (68, 3))
    points[17:27, 1] = 45
    points[8] = [0, -70, 70]
    points[30] = [0, 0, 110]
    points[36], points[45] = [-45, 35, 75], [45, 35, 75]
    return points


LANDMARKS = face_landmarks()
VERTICES = np.concatenate([LANDMARKS, RNG.uniform(-80, 80, (32, 3))])
FACES = np.arange(99).reshape(33, 3)
TOPOLOGY = Topology("test", 100, np.arange(68), "test", faces=FACES)


def scan(folder, vertices=VERTICES, faces=FACES, inner=""):
    write_obj(folder / inner / "1_neutral.obj", Mesh(vertices, faces))
    return folder


@pytest.mark.parametrize("inner", ["", "models_reg"])
def test_a_scan_is_read_with_its_landmarks(tmp_path, inner):
    folder = scan(tmp_path / "Müller, Jürgen", inner=inner)
    found = read_scan(folder, "1_neutral", [TOPOLOGY])
    np.testing.assert_allclose(found.landmarks, LANDMARKS, atol=1e-5)
    assert found.topology == "test" and found.texture is None


def test_landmarks_beside_the_mesh_serve_any_topology(tmp_path):
    scan(tmp_path)
    write_landmarks(tmp_path / "1_neutral.landmarks.txt", LANDMARKS)
    found = read_scan(tmp_path, "1_neutral", [])
    assert found.topology == BESIDE
    np.testing.assert_allclose(found.landmarks, LANDMARKS, atol=1e-5)


def test_a_missing_scan_is_told_from_a_broken_one(tmp_path):
    with pytest.raises(MissingScan, match="2_smile"):
        read_scan(tmp_path, "2_smile", [TOPOLOGY])
    (tmp_path / "1_neutral.obj").write_bytes(b"")
    with pytest.raises(DataError, match="empty") as caught:
        read_scan(tmp_path, "1_neutral", [TOPOLOGY])
    assert not isinstance(caught.value, MissingScan)


@pytest.mark.parametrize(
    ("vertices", "faces", "error", "says"),
    [
        (VERTICES[:99], FACES[:30], DataError, "99 vertices fit no known topology"),
        (VERTICES, FACES[:30], DataError, "cut short"),
        (VERTICES * 0.001, FACES, GeometryError, "in metres: set .*millimetres_per_unit to 1000"),
        (VERTICES * 0.1, FACES, GeometryError, "in centimetres: set .* to 10"),
        (VERTICES * 10.0, FACES, GeometryError, "set .* to 0.1"),
        (VERTICES * 1000.0, FACES, GeometryError, "in micrometres: set .* to 0.001"),
        (VERTICES * 4.0, FACES, GeometryError, "check the unit"),
        (VERTICES * [-1, -1, 1], FACES, GeometryError, "upside down"),
        (VERTICES * [-1, 1, -1], FACES, GeometryError, "in front of the eyes"),
        (VERTICES * [-1, 1, 1], FACES, GeometryError, "mirrored"),
    ],
)
def test_what_is_no_upright_face_is_refused(tmp_path, vertices, faces, error, says):
    with pytest.raises(error, match=says) as caught:
        read_scan(scan(tmp_path, vertices, faces), "1_neutral", [TOPOLOGY])
    assert "1_neutral.obj" in str(caught.value)


def test_the_unit_of_the_config_mends_the_scale(tmp_path):
    folder = scan(tmp_path, VERTICES * 0.001)
    assert read_scan(folder, "1_neutral", [TOPOLOGY], 1000.0).landmarks.shape == (68, 3)


@pytest.mark.parametrize("text", ["1 2 3\n" * 67, "1 2\n" * 68, "a b c\n" * 68, "nan 0 0\n" * 68])
def test_a_landmark_file_of_another_form_is_refused(tmp_path, text):
    path = tmp_path / "1_neutral.landmarks.txt"
    path.write_text(text)
    with pytest.raises(DataError, match=r"1_neutral\.landmarks\.txt"):
        read_landmarks(path)


@pytest.fixture
def toolkit(tmp_path):
    folder = tmp_path / "toolkit" / "predef"
    folder.mkdir(parents=True)
    v10, v16 = np.arange(68) * 300, np.arange(68) * 300 + 7
    np.savez(folder / "landmark_indices.npz", v10=v10, v16=v16)
    return folder


def test_both_facescape_topologies_are_told_apart_by_count(tmp_path, toolkit):
    np.save(toolkit / "sym_dict.npy", np.arange(26278)[::-1])
    np.save(toolkit / "sym_dict_old.npy", np.roll(np.arange(26317), 1))
    tu, v16 = facescape.topologies(tmp_path, {})
    assert (tu.name, tu.n_vertices, tu.landmarks[30]) == ("facescape_tu", 26317, 9000)
    assert (v16.name, v16.n_vertices, v16.landmarks[30]) == ("facescape_v16", 26278, 9007)
    assert v16.mirror[0] == 26277
    assert tu.mirror is None, "a table that does not mirror back is left out"


def test_the_corrected_table_replaces_jaw_and_brows_of_the_tu_order_only(tmp_path, toolkit):
    plain = facescape.topologies(tmp_path, {"landmark_table": "toolkit"})
    corrected = facescape.topologies(tmp_path, {"landmark_table": "corrected"})
    assert list(corrected[0].landmarks[:3]) == [5696, 23350, 5702]
    assert corrected[0].landmarks[26] == 14968
    np.testing.assert_array_equal(corrected[0].landmarks[27:], plain[0].landmarks[27:])
    np.testing.assert_array_equal(corrected[1].landmarks, plain[1].landmarks)


def test_a_landmark_table_of_67_points_or_for_another_mesh_is_refused(tmp_path, toolkit):
    path = toolkit / "landmark_indices.npz"
    np.savez(path, v10=np.arange(67), v16=np.arange(68))
    with pytest.raises(DataError, match="67 numbers"):
        facescape.topologies(tmp_path, {})
    np.savez(path, v10=np.arange(68), v16=np.full(68, 26300))
    with pytest.raises(DataError, match="another topology"):
        facescape.topologies(tmp_path, {})
    np.savez(path, v10=np.arange(68))
    with pytest.raises(DataError, match="v16"):
        facescape.topologies(tmp_path, {})
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(DataError, match=r"not a whole \.npz"):
        facescape.topologies(tmp_path, {})


def test_an_absent_landmark_table_names_its_key(tmp_path):
    with pytest.raises(ConfigError, match=r"facescape\.landmarks"):
        facescape.topologies(tmp_path, {})
    with pytest.raises(ConfigError, match="is not there"):
        facescape.topologies(tmp_path, {"landmarks": str(tmp_path / "none.npz")})


def test_a_tree_of_mixed_topologies_gives_each_scan_its_own(tmp_path, toolkit):
    topologies = facescape.topologies(tmp_path, {})
    for expression, topology in zip(EXPRESSIONS, topologies, strict=False):
        vertices = np.zeros((topology.n_vertices, 3))
        vertices[topology.landmarks] = LANDMARKS
        write_obj(tmp_path / "1" / f"{expression}.obj", Mesh(vertices, FACES))
        assert read_scan(tmp_path / "1", expression, topologies).topology == topology.name
    write_obj(tmp_path / "1" / f"{EXPRESSIONS[2]}.obj", Mesh(VERTICES, FACES))
    with pytest.raises(FacemillError, match="100 vertices fit no known topology"):
        read_scan(tmp_path / "1", EXPRESSIONS[2], topologies)
