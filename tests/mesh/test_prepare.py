"""A person's scans become one pack, whole or not at all; a killed job goes on where it stood."""

import json
import logging
import shutil

import numpy as np
import pytest
import trimesh
from synthetic_faces import disc, face

from facemill.data.packs import FacePack
from facemill.data.topology import Topology
from facemill.errors import ConfigError, DataError
from facemill.mesh import prepare
from facemill.mesh.io import write_obj
from facemill.mesh.prepare import PrepareSettings, prepare_person
from facemill.mesh.surface import Mesh

EXPRESSIONS = ("1_neutral", "2_smile", "19_brow_raiser")
ELSEWHERE = np.array([3.0, -7.0, 11.0])


def topology():
    """The made-up faces' own topology, with every landmark that the checks look at in place."""
    points, faces = disc()
    places = np.zeros((68, 2))
    places[:17] = np.column_stack(
        [np.linspace(-70, 70, 17), -75 + 0.01 * np.linspace(-70, 70, 17) ** 2]
    )
    places[17:27] = np.column_stack([np.linspace(-50, 50, 10), np.full(10, 45)])
    places[36], places[45], places[48], places[54] = (-45, 32), (45, 32), (-25, -40), (25, -40)
    nearest = np.linalg.norm(points[:, None] - places, axis=2).argmin(axis=0)
    return Topology("disc", len(points), nearest, "tests", faces=faces)


@pytest.fixture
def tree(tmp_path):
    """One person's folder; the scans stand upright, but their nose tip is not in place."""
    folder = tmp_path / "tree ä" / "p 1"
    for expression in EXPRESSIONS:
        mesh = face(np.zeros(4), expression)
        write_obj(folder / f"{expression}.obj", Mesh(mesh.vertices + ELSEWHERE, mesh.faces))
    return folder


def run(tree, out, expressions=EXPRESSIONS, **settings):
    prepare_person(
        "p 1",
        tree,
        [topology()],
        expressions,
        PrepareSettings(**settings),
        out / "p 1.npz",
        out / "p 1.json",
        out / "work",
    )
    return FacePack(out / "p 1.npz"), json.loads((out / "p 1.json").read_text())


def test_scans_come_out_in_the_face_frame(tree, tmp_path):
    pack, manifest = run(tree, tmp_path / "out")
    assert pack.expressions == EXPRESSIONS
    for expression in EXPRESSIONS:
        source = face(np.zeros(4), expression)
        whole = pack.registered(expression)
        np.testing.assert_allclose(pack.landmarks(expression)[30], [0, 0, 40], atol=1e-4)
        np.testing.assert_allclose(whole.vertices, source.vertices, atol=1e-3)
        np.testing.assert_array_equal(whole.faces, source.faces)
        back = pack.source_to_face(expression).inverse().apply(whole.vertices)
        np.testing.assert_allclose(back, source.vertices + ELSEWHERE, atol=1e-3)
        assert np.linalg.norm(pack.sheet(expression).vertices, axis=1).max() <= 100.001
        closed = pack.closed(expression)
        assert trimesh.Trimesh(closed.vertices, closed.faces, process=False).is_watertight
        assert manifest["scans"][expression]["status"] == "ok"
        assert manifest["scans"][expression]["topology"] == "disc"
    assert manifest["person"] == "p 1" and manifest["stage"] == "mesh_prepare"
    assert not (tmp_path / "out" / "work").exists()


def test_other_units_are_brought_to_millimetres(tree, tmp_path):
    for expression in EXPRESSIONS:
        mesh = face(np.zeros(4), expression)
        write_obj(tree / f"{expression}.obj", Mesh(mesh.vertices / 10, mesh.faces))
    pack, _ = run(tree, tmp_path / "out", millimetres_per_unit=10.0)
    np.testing.assert_allclose(
        pack.registered("1_neutral").vertices, face(np.zeros(4), "1_neutral").vertices, atol=1e-3
    )
    assert pack.source_to_face("1_neutral").scale == pytest.approx(10.0)


def test_a_missing_scan_is_skipped_with_a_line(tree, tmp_path, caplog):
    (tree / "2_smile.obj").unlink()
    with caplog.at_level(logging.INFO):
        pack, manifest = run(tree, tmp_path / "out")
    assert pack.expressions == ("1_neutral", "19_brow_raiser")
    assert manifest["scans"]["2_smile"]["status"] == "missing"
    assert "2_smile.obj" in manifest["scans"]["2_smile"]["reason"] and "2_smile.obj" in caplog.text


def damage(path, how):
    """Spoil a scan in one of the ways that files are spoilt."""
    text = path.read_text()
    lines = text.splitlines()
    spoilt = {
        "empty": "",
        "nan": text.replace(lines[4], "v nan 0 0"),
        "range": text.replace(lines[-1], "f 1 2 999999"),
        "count": "v 0 0 0\n" + text,
        "cut": text[: len(text) // 3],
        "metres": "\n".join(
            "v " + " ".join(str(float(x) / 1000) for x in line.split()[1:])
            if line.startswith("v ")
            else line
            for line in lines
        ),
    }
    path.write_text(spoilt[how])


@pytest.mark.parametrize("how", ["empty", "nan", "range", "count", "cut", "metres"])
def test_a_broken_scan_stops_the_person_and_nothing_is_written(tree, tmp_path, how):
    damage(tree / "2_smile.obj", how)
    with pytest.raises(DataError, match=r"1 of 3 scans failed, 0 are tolerated") as error:
        run(tree, tmp_path / "out")
    assert "2_smile.obj" in str(error.value)
    assert not (tmp_path / "out" / "p 1.npz").exists()
    assert not (tmp_path / "out" / "p 1.json").exists()


def test_as_many_broken_scans_as_tolerated_are_recorded(tree, tmp_path):
    damage(tree / "2_smile.obj", "nan")
    pack, manifest = run(tree, tmp_path / "out", max_failed_scans=1)
    assert pack.expressions == ("1_neutral", "19_brow_raiser")
    entry = manifest["scans"]["2_smile"]
    assert entry["status"] == "failed" and "2_smile.obj" in entry["reason"]


def test_a_person_without_any_scan_is_an_error(tree, tmp_path):
    with pytest.raises(DataError, match="none of 7_jaw_forward"):
        run(tree, tmp_path / "out", ("7_jaw_forward",))


class Killed(BaseException):
    """Stands for the signal that ends a job."""


def test_a_killed_job_goes_on_and_ends_with_the_same_bytes(tree, tmp_path, monkeypatch):
    run(tree, tmp_path / "whole")
    done = []
    true_step = prepare.prepare_scan

    def counted(scan, settings, name):
        if len(done) == 2:
            raise Killed
        done.append(name)
        return true_step(scan, settings, name)

    monkeypatch.setattr(prepare, "prepare_scan", counted)
    with pytest.raises(Killed):
        run(tree, tmp_path / "killed")
    assert not (tmp_path / "killed" / "p 1.npz").exists()

    again = []
    monkeypatch.setattr(
        prepare, "prepare_scan", lambda *args: (again.append(args[2]), true_step(*args))[1]
    )
    run(tree, tmp_path / "killed")
    assert len(again) == 1 and "19_brow_raiser" in again[0]
    assert (tmp_path / "killed" / "p 1.npz").read_bytes() == (
        tmp_path / "whole" / "p 1.npz"
    ).read_bytes()


def test_kept_work_of_another_scan_or_setting_is_not_used(tree, tmp_path):
    out = tmp_path / "out"
    damage(tree / "19_brow_raiser.obj", "nan")
    with pytest.raises(DataError):
        run(tree, out)
    assert (out / "work" / "1_neutral.npz").is_file()
    before = FacePack(out / "work" / "1_neutral.npz").registered("1_neutral").vertices
    shutil.copy(tree / "2_smile.obj", tree / "1_neutral.obj")
    mesh = face(np.zeros(4), "19_brow_raiser")
    write_obj(tree / "19_brow_raiser.obj", mesh)
    pack, _ = run(tree, out, crop_radius=90.0)
    assert not np.allclose(pack.registered("1_neutral").vertices, before, atol=0.1)
    assert np.linalg.norm(pack.sheet("2_smile").vertices, axis=1).max() <= 90.001


@pytest.mark.parametrize("wrong", [{"crop_radius": 0.0}, {"max_failed_scans": -1}])
def test_impossible_settings_are_refused(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        PrepareSettings(**wrong)
