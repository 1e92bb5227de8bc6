"""Raw scans fitted with a tiny model: any frame, meshes, clouds, together; and what is refused."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from commands import run
from scipy.spatial.transform import Rotation
from synthetic_faces import face, landmark_vertices

from facemill.data.inputs import RawScan, raw_scans
from facemill.errors import ConfigError
from facemill.files import reading_npz
from facemill.imface import fit_one_pictures
from facemill.imface.config import ExtractionConfig
from facemill.imface.fit_one import fit_one
from facemill.imface.interpolate import mesh_of, read_codes
from facemill.imface.model import ImFace, load_model, save_model
from facemill.mesh import pose_search
from facemill.mesh.crop import large_parts
from facemill.mesh.distance import distance_to_mesh
from facemill.mesh.frames import NOSE_TIP, Similarity
from facemill.mesh.io import read_mesh, write_ply
from facemill.mesh.point_cloud import read_point_cloud
from facemill.mesh.sampling import sample_surface
from facemill.mesh.surface import Mesh
from facemill.metrics.scores import read_fit

PERSON = face(np.array([0.4, -0.4, 0.3, 0.2]), "1_neutral")
MARKS = PERSON.vertices[landmark_vertices()]
MOVED = Similarity(
    1.0, Rotation.from_euler("xyz", [170, 20, -80], degrees=True).as_matrix(), np.array([9.0, 5, 7])
)
MADE = {"mesh.ply", "mesh_face_frame.ply", "codes.npz", "scores.csv", "error_map.png"}
SETTINGS = {
    "fit": {
        "steps": 30,
        "points": 256,
        "learning_rate": 5e-2,
        "weights": {"identity_code": 1e3, "expression_code": 1e3},
    },
    "extraction": {"resolution": 32},
    "fit_one": {"points": 3000, "max_residual": 4.0},
}


@pytest.fixture(autouse=True, scope="module")
def small():
    """Fewer rotations, enough for these simple faces, and pictures of a few pixels."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pose_search, "ROTATIONS", 100)
        patch.setattr(fit_one_pictures, "SIZE", 24)
        yield


def settings(**own):
    return SETTINGS | {"fit_one": SETTINGS["fit_one"] | own}


def moved_mesh(path, similarity=MOVED, mesh=PERSON):
    write_ply(path, Mesh(similarity.apply(mesh.vertices), mesh.faces))
    return path


def marks_file(path, numbers=range(68), similarity=MOVED, marks=MARKS):
    rows = [f"{n} {' '.join(map(str, similarity.apply(marks[n])))}\n" for n in numbers]
    path.write_text("".join(rows))
    return path


def cloud_file(path, count=3000, similarity=MOVED, noise=0.5):
    rng = np.random.default_rng(1)
    points = sample_surface(PERSON, count, rng).points
    hole = np.linalg.norm(points[:, :2] - [35, 30], axis=1) < 14
    seen = points[(points[:, 0] > -25) & ~hole]
    np.savetxt(path, similarity.apply(seen + rng.normal(0, noise, seen.shape)), fmt="%.5f")
    return path


def apart(mesh_file, similarity=MOVED) -> float:
    """Mean distance from the inner face as it was scanned to a fitted mesh, mm."""
    mesh = read_mesh(mesh_file)
    points = sample_surface(PERSON, 2000, np.random.default_rng(2)).points
    points = points[np.linalg.norm(points - NOSE_TIP, axis=1) < 60]
    distance, _, _ = distance_to_mesh(similarity.apply(points), mesh)
    return distance.mean() / similarity.scale


@pytest.fixture(scope="module")
def upside_down_mesh(small, tiny_imface, tmp_path_factory):
    """A mesh that lies on its head, fitted without landmarks: its folder of results, and itself."""
    folder = tmp_path_factory.mktemp("fit one")
    scan = RawScan("Zoë", moved_mesh(folder / "Zoë.ply"), None)
    fitted = fit_one(tiny_imface.model, [scan], SETTINGS, folder / "out", threads=1)
    return folder / "out" / "Zoë", fitted[0]


def test_a_mesh_on_its_head_is_fitted_where_it_lies(upside_down_mesh):
    folder, fitted = upside_down_mesh
    assert MADE | {"turntable.png"} == {path.name for path in folder.iterdir()}
    assert apart(folder / "mesh.ply") < 2.5
    turned = Rotation.from_matrix(fitted.source_to_face.rotation @ MOVED.rotation).magnitude()
    assert np.degrees(turned) < 8
    for picture in ("error_map.png", "turntable.png"):
        assert (folder / picture).read_bytes().startswith(b"\x89PNG")


def test_normals_in_the_mesh_file_are_the_surface_s(upside_down_mesh):
    folder, _ = upside_down_mesh
    mesh, normals = read_mesh(folder / "mesh.ply"), read_point_cloud(folder / "mesh.ply").normals
    np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1.0, atol=1e-5)
    a, b, c = mesh.vertices[mesh.faces].transpose(1, 0, 2)
    across = np.cross(b - a, c - a)
    cosine = (across * normals[mesh.faces[:, 0]]).sum(axis=1) / np.linalg.norm(across, axis=1)
    assert np.median(cosine) > 0.97
    front = read_point_cloud(folder / "mesh_face_frame.ply").normals
    np.testing.assert_allclose(front @ MOVED.rotation.T, normals, atol=0.2)


def test_codes_are_filed_like_a_fit_with_the_way_from_the_scan(upside_down_mesh):
    folder, fitted = upside_down_mesh
    assert set(read_codes(folder / "codes.npz")) == set(read_fit(folder / "codes.npz")) == {"Zoë"}
    with reading_npz(folder / "codes.npz") as arrays:
        found = Similarity.from_matrix(arrays["Zoë/source_to_face"])
    inside = found.inverse().apply(fitted.mesh.vertices)
    np.testing.assert_allclose(inside, read_mesh(folder / "mesh.ply").vertices, atol=1e-3)


def test_scores_are_distances_from_the_scan(upside_down_mesh):
    folder, fitted = upside_down_mesh
    lines = (folder / "scores.csv").read_text().splitlines()
    assert lines[0] == "scan,metric,unit,value"
    values = {line.split(",")[1]: float(line.split(",")[3]) for line in lines[1:]}
    own, _, _ = distance_to_mesh(fitted.scan.points, fitted.mesh)
    assert values["completeness_mean"] == pytest.approx(own.mean(), abs=1e-6)
    assert values["completeness_median"] <= values["completeness_p95"]
    assert values["millimetres_per_unit"] == 1.0
    assert "alignment_landmark_rms" not in values


@pytest.mark.parametrize("numbers", [(), (30, 36, 45, 48, 54)])
def test_a_cloud_from_one_side_with_noise_and_a_hole(tiny_imface, tmp_path, numbers):
    scale = Similarity(0.001 if numbers else 1.0, MOVED.rotation, np.array([0.1, 0.2, 0.3]))
    cloud = cloud_file(tmp_path / "a.xyz", similarity=scale)
    marks = marks_file(tmp_path / "p.txt", numbers, scale) if numbers else None
    fit_one(tiny_imface.model, [RawScan("a", cloud, marks)], SETTINGS, tmp_path, threads=1)
    assert apart(tmp_path / "a" / "mesh.ply", scale) < 3.0


def test_scans_of_one_person_share_an_identity_where_wanted(tiny_imface, tmp_path):
    smile = face(np.array([0.4, -0.4, 0.3, 0.2]), "2_smile")
    picked = marks_file(tmp_path / "picked.txt", (30, 36, 39, 42, 45))
    scans = [
        RawScan("a", moved_mesh(tmp_path / "a.ply"), picked),
        RawScan("b", moved_mesh(tmp_path / "b.ply", mesh=smile), picked),
    ]
    few = settings(share_identity=True) | {"fit": SETTINGS["fit"] | {"steps": 5}}
    fit_one(tiny_imface.model, scans, few, tmp_path / "out", threads=1)
    one, other = (read_codes(tmp_path / "out" / n / "codes.npz")[n] for n in ("a", "b"))
    assert (one.identity == other.identity).all()
    assert not (one.expression == other.expression).any()


def test_a_fit_killed_in_the_middle_ends_with_the_same_files(tiny_imface, tmp_path, killed_after):
    marks = marks_file(tmp_path / "picked.txt", (30, 36, 39, 42, 45))
    smile = face(np.array([0.4, -0.4, 0.3, 0.2]), "2_smile")
    scans = [
        RawScan("a", moved_mesh(tmp_path / "a.ply"), marks),
        RawScan("b", moved_mesh(tmp_path / "b.ply", mesh=smile), marks),
    ]
    few = SETTINGS | {"fit": SETTINGS["fit"] | {"steps": 4}}
    work = tmp_path / "work"
    whole, out = tmp_path / "whole", tmp_path / "out"
    fit_one(tiny_imface.model, scans, few, whole, threads=1)
    made = killed_after(6)  # the second step of the second scan
    with pytest.raises(KeyboardInterrupt):
        fit_one(tiny_imface.model, scans, few, out, threads=1, work=work)
    assert work.exists() and not out.exists()
    fit_one(tiny_imface.model, scans, few, out, threads=1, work=work)
    assert len(made) == 8, "no step is made twice"
    assert not work.exists()
    fit_one(tiny_imface.model, scans[1:], few, tmp_path / "alone", threads=1)
    alone = tmp_path / "alone" / "b" / "mesh.ply"
    assert alone.read_bytes() == (out / "b" / "mesh.ply").read_bytes(), "others change nothing"
    for file in ("mesh.ply", "mesh_face_frame.ply", "codes.npz", "scores.csv"):
        for name in ("a", "b"):
            assert (out / name / file).read_bytes() == (whole / name / file).read_bytes()


def test_a_refined_model_s_detail_is_fitted_drawn_and_filed(tiny_imface, tmp_path):
    coarse, about = load_model(tiny_imface.model)
    torch.manual_seed(0)
    people, expressions = about["people"], about["expressions"]
    refined = ImFace(replace(coarse.config, detail_dim=4), len(people), len(expressions))
    refined.load_state_dict(coarse.state_dict(), strict=False)
    save_model(tmp_path / "refined.safetensors", refined, people, expressions)
    scan = RawScan("a", moved_mesh(tmp_path / "a.ply"), marks_file(tmp_path / "p.txt"))
    few = SETTINGS | {"fit": SETTINGS["fit"] | {"steps": 2}}
    fitted = fit_one(tmp_path / "refined.safetensors", [scan], few, tmp_path / "out", threads=1)
    codes = read_codes(tmp_path / "out" / "a" / "codes.npz")["a"]
    assert codes.detail is not None and codes.detail.shape == (4,)
    drawn = large_parts(mesh_of(refined, codes, ExtractionConfig(resolution=32)))
    np.testing.assert_allclose(drawn.vertices, fitted[0].mesh.vertices, atol=1e-4)


def test_input_is_a_file_several_or_a_folder(tmp_path):
    for name in ("b 10.obj", "b 2.ply", "c.xyz", "b 2.landmarks.txt", "notes.md"):
        (tmp_path / name).write_text("x")
    found = raw_scans(str(tmp_path), None)
    assert [scan.name for scan in found] == ["b 2", "b 10", "c"]
    assert [scan.landmarks is not None for scan in found] == [True, False, False]
    assert raw_scans(None, None) == []
    one = raw_scans(str(tmp_path / "b 2.ply"), "none")
    assert len(one) == 1 and one[0].landmarks is None


@pytest.mark.parametrize(
    ("given", "landmarks", "word"),
    [
        ("absent.ply", None, r"absent\.ply is not there"),
        ("notes.md", None, r"none of \.obj"),
        (["a.ply", "sub/a.ply"], None, "two scans called a"),
        ("empty", None, "holds no scan"),
        ("a.ply", "absent.txt", r"fit_one\.landmarks: absent\.txt"),
    ],
)
def test_wrong_input_is_named_by_its_key(tmp_path, monkeypatch, given, landmarks, word):
    monkeypatch.chdir(tmp_path)
    for name in ("a.ply", "notes.md", "sub/a.ply", "empty/x.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    with pytest.raises(ConfigError, match=word):
        raw_scans(given, landmarks)


def metres(folder):
    return cloud_file(folder / "a.xyz", similarity=Similarity(0.001))


def thin(folder):
    return cloud_file(folder / "a.xyz", count=200)


def empty(folder):
    (folder / "a.ply").touch()
    return folder / "a.ply"


def no_face(folder):
    """A sheet folded to teeth of 70 mm, as large as a head: no smooth surface comes near."""
    height, depth = np.linspace(0, 180, 11), np.array([0, 70] * 5 + [0])
    corners = np.array(
        [[x, y, z] for y, z in zip(height, depth, strict=True) for x in (0, 150)], float
    )
    faces = [[a, a + 1, a + 3] for a in range(0, 20, 2)]
    faces += [[a, a + 3, a + 2] for a in range(0, 20, 2)]
    write_ply(folder / "a.ply", Mesh(corners, np.array(faces)))
    return folder / "a.ply"


def of_67_points(folder):
    rows = "".join(" ".join(map(str, row)) + "\n" for row in MARKS[:67])
    (folder / "a.landmarks.txt").write_text(rows)
    return moved_mesh(folder / "a.ply")


def of_another_order(folder):
    marks_file(folder / "a.landmarks.txt", marks=np.roll(MARKS, 9, axis=0))
    return moved_mesh(folder / "a.ply")


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (metres, ["a.xyz", "no head", "It seems to be in metres", "unit: metres"]),
        (thin, ["a.xyz", "points in the file", "at least 300"]),
        (empty, ["a.ply", "the file is empty"]),
        (no_face, ["a.ply", "from the mean face", "Give landmarks"]),
        (of_67_points, ["a.landmarks.txt", "67 lines", "expected 68 lines"]),
        (of_another_order, ["a.ply", "another order than iBUG 68"]),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_scan_that_cannot_be_fitted_is_one_clear_error(
    repository, capsys, tiny_imface, tmp_path, make, words
):
    folder = tmp_path / "têtes gâtées"
    folder.mkdir()
    status, messages = run(
        repository, capsys, "imface_fit_one", "--model", tiny_imface.model, "--input", make(folder),
        "--settings", json.dumps(SETTINGS), "--out", tmp_path / "out", "--threads", 1,
    )  # fmt: skip
    assert status == 1 and "Traceback" not in messages
    assert messages.count("error:") == 1
    assert all(word in messages for word in words), messages
    assert not (tmp_path / "out").exists()


def test_weights_cut_short_or_of_another_system_are_refused(
    repository, capsys, tiny_imface, tmp_path
):
    from safetensors.numpy import save_file

    cut, foreign = tmp_path / "cut.safetensors", tmp_path / "foreign.safetensors"
    cut.write_bytes(tiny_imface.model.read_bytes()[:-1000])
    save_file({"a": np.zeros(3, np.float32)}, foreign, metadata={"facemill": '{"format": "other"}'})
    scan = moved_mesh(tmp_path / "a.ply")
    for model, word in ((cut, "not a whole safetensors file"), (foreign, "weights of 'other'")):
        arguments = ("--model", model, "--input", scan, "--out", tmp_path / "out")
        status, messages = run(repository, capsys, "imface_fit_one", *arguments)
        assert status == 1 and "Traceback" not in messages
        assert model.name in messages and word in messages
    assert not (tmp_path / "out").exists()
