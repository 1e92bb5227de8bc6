"""The align step: a mesh of any frame and unit finds its place, or is refused with the reason."""

import json

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from facemill.data import align, folder, sources
from facemill.data.scans import BESIDE, read_landmarks, read_scan
from facemill.errors import DataError, GeometryError
from facemill.mesh.frames import Similarity
from facemill.mesh.io import read_mesh, write_obj, write_ply
from facemill.mesh.surface import Mesh

ANYWHERE = Similarity(
    0.001,
    Rotation.from_euler("xyz", [80, 30, 200], degrees=True).as_matrix(),
    np.array([3.0, 1, -2]),
)


def bumpy_head():
    """A head-like surface with 68 landmarks on it: an ellipsoid with a nose, mm."""
    polar, around = np.linspace(0.05, np.pi - 0.05, 60), np.arange(80) * np.pi / 40
    u, v = np.meshgrid(polar, around)
    direction = np.stack([np.sin(u) * np.sin(v), np.cos(u), np.sin(u) * np.cos(v)], axis=-1)
    direction = direction.reshape(-1, 3)
    nose = 35 * np.exp(-((direction[:, :2] - [0, -0.1]) ** 2).sum(axis=1) / 0.03)
    vertices = direction * [75, 110, 90] + np.where(direction[:, 2:] > 0, nose[:, None], 0) * [
        0,
        0,
        1,
    ]
    number = np.arange(80 * 60).reshape(80, 60)
    a, b = number[:, :-1], np.roll(number, -1, axis=0)[:, :-1]
    faces = np.stack([np.stack([a, b, b + 1]), np.stack([a, b + 1, a + 1])]).reshape(2, 3, -1)
    faces = np.concatenate(list(faces), axis=1).T
    spots = np.random.default_rng(1).uniform([-40, -60], [40, 40], (68, 2))
    spots[17:27, 1], spots[8], spots[30] = 50, [0, -80], [0, -11]
    spots[36], spots[45] = [-45, 30], [45, 30]
    front = np.flatnonzero(direction[:, 2] > 0.2)
    nearest = [front[np.argmin(((vertices[front, :2] - s) ** 2).sum(axis=1))] for s in spots]
    return Mesh(vertices, faces), vertices[nearest], np.array(nearest)


HEAD, LANDMARKS, NUMBERS = bumpy_head()
REFERENCE = align.Reference(HEAD, LANDMARKS)


def points_file(path, points, numbers=None):
    lines = [" ".join(f"{x:.9g}" for x in point) for point in points]
    if numbers is not None:
        lines = [f"{n} {line}" for n, line in zip(numbers, lines, strict=True)]
    path.write_text("# picked by hand\n" + "\n".join(lines) + "\n")
    return path


def moved(path, similarity=ANYWHERE, write=write_obj):
    write(path, Mesh(similarity.apply(HEAD.vertices), HEAD.faces))
    return path


def test_a_mesh_in_metres_and_any_pose_comes_back_in_place_at_its_true_size(tmp_path, caplog):
    mesh = moved(tmp_path / "Zoë Müller.ply", write=write_ply)
    points = points_file(tmp_path / "p.txt", ANYWHERE.apply(LANDMARKS))
    with caplog.at_level("INFO"):
        found = align.align_scan(mesh, points, REFERENCE)
    assert np.abs(found.mesh.vertices - HEAD.vertices).max() < 0.01
    assert found.similarity.scale == pytest.approx(1000.0, rel=1e-12)
    assert "unit taken as metres" in caplog.text and "residual" in caplog.text


def test_a_large_head_in_a_known_unit_stays_large(tmp_path):
    large = Similarity(1.1, ANYWHERE.rotation, ANYWHERE.translation)
    found = align.align_scan(
        moved(tmp_path / "a.obj", large),
        points_file(tmp_path / "p.txt", large.apply(LANDMARKS)),
        REFERENCE,
        max_residual=20.0,
    )
    assert found.similarity.scale == pytest.approx(1.0)


def test_an_unknown_unit_is_fitted(tmp_path):
    odd = Similarity(1 / 50.0, ANYWHERE.rotation, ANYWHERE.translation)
    found = align.align_scan(
        moved(tmp_path / "a.obj", odd),
        points_file(tmp_path / "p.txt", odd.apply(LANDMARKS)),
        REFERENCE,
    )
    assert found.similarity.scale == pytest.approx(50.0, rel=1e-3)


def test_five_picked_points_are_enough_and_the_rest_is_carried_over(tmp_path, caplog):
    picked = [30, 36, 45, 48, 54]
    with caplog.at_level("INFO"):
        found = align.align_scan(
            moved(tmp_path / "a.obj"),
            points_file(tmp_path / "p.txt", ANYWHERE.apply(LANDMARKS[picked]), picked),
            REFERENCE,
        )
    assert np.abs(found.landmarks - LANDMARKS).max() < 0.5
    assert "63 carried over" in caplog.text


def test_landmarks_may_be_vertex_numbers(tmp_path):
    path = tmp_path / "p.txt"
    path.write_text("\n".join(map(str, NUMBERS)))
    found = align.read_points(path, HEAD)
    np.testing.assert_array_equal(np.stack([found[k] for k in range(68)]), LANDMARKS)
    path.write_text("\n".join(map(str, NUMBERS + 10**6)))
    with pytest.raises(DataError, match="belongs to another mesh"):
        align.read_points(path, HEAD)


@pytest.mark.parametrize(
    "text",
    ["1 2 3\n" * 67, "1 2 3 4\n" * 5, "99 1 2 3\n1 1 1 1\n2 1 1 1\n3 1 1 1\n4 1 1 1\n", "a\n"],
)
def test_points_of_another_form_are_refused(tmp_path, text):
    (tmp_path / "p.txt").write_text(text)
    with pytest.raises(DataError, match=r"p\.txt"):
        align.read_points(tmp_path / "p.txt", HEAD)


def test_landmarks_in_another_order_are_refused_with_the_residual(tmp_path):
    points = points_file(tmp_path / "p.txt", ANYWHERE.apply(np.roll(LANDMARKS, 7, axis=0)))
    with pytest.raises(GeometryError, match=r"rms.*max_residual = 5 .*another order than iBUG"):
        align.align_scan(moved(tmp_path / "a.obj"), points, REFERENCE)


def test_exchanged_sides_are_refused(tmp_path):
    mirror = LANDMARKS * [-1, 1, 1] + np.random.default_rng(0).normal(size=(68, 3))
    points = points_file(tmp_path / "p.txt", ANYWHERE.apply(mirror))
    with pytest.raises(GeometryError, match="left and right are exchanged"):
        align.align_scan(moved(tmp_path / "a.obj"), points, REFERENCE)


def test_seams_are_welded_and_only_they():
    corners = np.array([[0.0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]])
    split = Mesh(
        np.concatenate([corners[[0, 1, 2]], corners[[0, 2, 3]]]),
        np.array([[0, 1, 2], [3, 4, 5]]),
        np.zeros((6, 2)),
        np.array([[0, 1, 2], [3, 4, 5]]),
    )
    welded = align.welded_seams(split)
    assert len(welded.vertices) == 4
    np.testing.assert_array_equal(welded.faces, [[0, 1, 2], [0, 2, 3]])
    np.testing.assert_array_equal(welded.faces_uv, split.faces_uv)
    assert align.welded_seams(welded) is welded
    assert align.welded_seams(HEAD).vertices.shape == HEAD.vertices.shape


def test_a_mesh_without_landmarks_says_where_they_are_looked_for(tmp_path):
    with pytest.raises(DataError, match=r"a\.landmarks\.txt.*at least five picked points"):
        folder.landmark_file(tmp_path / "a.obj", "a", None)


@pytest.fixture(scope="module")
def picked_scan(open_data):
    """The real scan's landmarks in its own units, its known place, and the scan's path."""
    known = json.loads((open_data / "leeperrysmith" / "to_ict_frame.json").read_text())
    truth = Similarity(10 * known["scale"], np.array(known["R"]), 10 * np.array(known["t"]))
    with (
        np.load(open_data / "ict_textures" / "lps_registered_to_ict.npz") as registered,
        np.load(open_data / "ict" / "ict_face_model_light.npz") as model,
    ):
        landmarks = 10.0 * registered["vertices_cm"][model["landmarks68"]].astype(np.float64)
    return open_data / "leeperrysmith", truth.inverse().apply(landmarks), truth


@pytest.mark.parametrize("numbers", [range(68), [8, 30, 36, 39, 42, 45, 48, 54]])
def test_a_real_scan_finds_its_place(picked_scan, open_data, tmp_path, numbers):
    scan, landmarks, truth = picked_scan
    reference = align.reference_head({"ict_model": str(open_data / "ict")})
    points = points_file(tmp_path / "p.txt", landmarks[list(numbers)], list(numbers))
    found = align.align_scan(scan / "LeePerrySmith.glb", points, reference)
    assert len(found.mesh.vertices) == 8844, "the glb is cut along its texture seams"
    assert found.surface_residual < 1.5
    assert abs(found.similarity.scale / truth.scale - 1) < 0.05
    turn = Rotation.from_matrix(found.similarity.rotation @ truth.rotation.T).magnitude()
    assert np.degrees(turn) < 2.0
    vertices = read_mesh(scan / "LeePerrySmith.glb").vertices
    face = np.linalg.norm(truth.apply(vertices) - truth.apply(landmarks[30]), axis=1) < 80
    apart = found.similarity.apply(vertices[face]) - truth.apply(vertices[face])
    assert np.linalg.norm(apart, axis=1).mean() < 3.0
    carried = np.linalg.norm(found.landmarks - found.similarity.apply(landmarks), axis=1)
    assert carried.mean() < 3.0


def test_a_folder_of_meshes_becomes_a_tree(picked_scan, open_data, tmp_path):
    import shutil

    scan, landmarks, _ = picked_scan
    home = tmp_path / "meine Köpfe"
    home.mkdir()
    for name in ("LeePerrySmith.obj", "LeePerrySmith.mtl", "Map-COL.jpg"):
        shutil.copyfile(scan / name, home / name)
    points_file(home / "LeePerrySmith.landmarks.txt", landmarks)
    settings = {"dataset": str(home), "expressions": "all", "ict_model": str(open_data / "ict")}
    assert sources.people(settings) == ["LeePerrySmith"]
    assert sources.expressions(settings) == ["1_neutral"]
    out = tmp_path / "aligned" / "LeePerrySmith"
    sources.write_person(settings, "LeePerrySmith", out)
    found = read_scan(out, "1_neutral", [])
    assert found.topology == BESIDE and found.texture == out / "1_neutral.jpg"
    np.testing.assert_allclose(read_landmarks(out / "1_neutral.landmarks.txt"), found.landmarks)
    (home / "LeePerrySmith.landmarks.txt").unlink()
    with pytest.raises(DataError, match="no landmarks"):
        sources.write_person(settings, "LeePerrySmith", tmp_path / "other")
    assert not (tmp_path / "other").exists()
