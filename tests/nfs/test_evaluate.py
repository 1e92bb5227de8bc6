"""Numbers of NFS: masks, metrics and baselines in closed form, a table of an untrained model."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from small_nfs import SMALL, made

from facemill.data.packs import PreparedScan, write_face_pack
from facemill.mesh.frames import FACE_TO_NFS, Similarity
from facemill.mesh.operators import read_operators
from facemill.mesh.surface import Mesh
from facemill.nfs.baselines import copy_neutral, nearest_point_transfer
from facemill.nfs.error_maps import error_maps
from facemill.nfs.evaluate import evaluate, person_case, scanned_case
from facemill.nfs.figures import retarget_figure
from facemill.nfs.measures import inner_mask, rig_metrics, unit_metrics, vertex_metrics
from facemill.nfs.model import save_model
from facemill.nfs.operators import operators_build
from facemill.nfs.people import read_people
from facemill.nfs.published import PUBLISHED
from facemill.nfs.table import (
    CLONED,
    CYCLE,
    CYCLE_SCANNED,
    DRIVEN,
    NEUTRAL,
    RIG,
    SELF,
    SELF_SCANNED,
    table,
)


@pytest.fixture(scope="module")
def labelled(people):
    return read_people(people / "people.npz")


@pytest.fixture(scope="module")
def case(people, labelled):
    return person_case(labelled, people, "test000", "narrow")


def metrics(found, case) -> dict[str, float]:
    return {name: value for name, _, value in vertex_metrics(found, case)}


def test_the_mask_is_one_at_the_nose_and_falls_smoothly_to_nothing():
    away = np.array([0.0, 1.0, 1.625, 2.25, 9.0])
    mask = inner_mask(np.stack([away, 0 * away, 0 * away], axis=1), np.zeros(3))
    np.testing.assert_allclose(mask, [1.0, 1.0, 0.5, 0.0, 0.0], atol=1e-12)


def test_a_shift_has_its_own_length_in_both_units(case):
    moved = case.frames + np.array([0.03, 0.0, 0.04])
    found = metrics(moved, case)
    assert found["vertex_rms_inner"] == pytest.approx(5.0)
    assert found["vertex_max"] == pytest.approx(5.0)
    square = (case.mask**2).mean() * 0.0025 / 3
    assert found["vertex_mse_inner"] == pytest.approx(1e4 * square)
    assert found["laplacian_mse_inner"] < 1e-4, "a shift bends nothing"


def test_a_vertex_that_sticks_out_has_the_laplacian_error_of_its_ring(case):
    """L of a lone step h is its column of L, times h."""
    vertex = int(case.mask.argmax())
    moved = case.frames.copy()
    moved[:, vertex, 2] += 0.01
    column = case.operators.laplacian[:, [vertex]].toarray()[:, 0]
    square = ((0.01 * column * case.mask) ** 2).sum() / (3 * len(case.mask))
    found = metrics(moved, case)
    assert found["laplacian_mse_inner"] == pytest.approx(1e4 * square, rel=1e-4)


def test_the_truth_costs_nothing(case):
    assert set(metrics(case.frames, case).values()) == {0.0}


def test_transfer_to_the_same_mesh_gives_the_source_back(case):
    mesh = case.operators.mesh
    found = nearest_point_transfer(mesh, case.frames[:2], mesh)
    np.testing.assert_allclose(found, case.frames[:2], atol=2e-4)


def test_transfer_to_other_triangles_beats_copying_the_neutral(people, labelled, case):
    other = read_operators(people / "train000-narrow.npz")
    true = labelled.frames("train000", labelled.expressions["test"], other.source)
    found = nearest_point_transfer(case.operators.mesh, case.frames, other.mesh)
    still = copy_neutral(other.mesh, len(true))
    assert ((found - true) ** 2).mean() < 0.5 * ((still - true) ** 2).mean()


def test_true_codes_are_a_perfect_rig(labelled):
    true = labelled.expressions["test"]
    found = rig_metrics(true, torch.from_numpy(true).float())
    assert found["rig_correlation"] == pytest.approx(1.0)
    assert found["rig_error_active"] == pytest.approx(0.0, abs=1e-6)


def test_a_unit_s_error_is_its_share_of_the_motion():
    """Units that move nothing have no share; those of half the length miss half of it."""
    true = np.zeros((3, 4, 3))
    true[0, :, 1], true[1, 0, 2] = 2.0, 5.0
    found = true * np.array([0.5, 1.2, 1.0])[:, None, None]
    found[2, 0, 0] = 0.1
    measured = unit_metrics(found, true)
    assert measured == pytest.approx({"unit_error": 35.0, "unit_error_worst": 50.0})


@pytest.fixture(scope="module")
def scanned(labelled, people, tmp_path_factory) -> Path:
    """Face pack and operators of somebody like a person of the data set: other mesh, own frame."""
    folder = tmp_path_factory.mktemp("scanned")
    model, person = labelled.model, "train001"
    weights = np.concatenate([np.zeros((1, len(model.units))), labelled.expressions["test"][:2]])
    everything = np.arange(len(model.neutral))
    frames = FACE_TO_NFS.inverse().apply(labelled.frames(person, weights, everything))
    faces = model.region_faces("face")[1]
    names = ("1_neutral", "2_smile", "3_mouth_stretch")
    scans = {}
    for name, frame in zip(names, frames, strict=True):
        mesh = Mesh(frame, faces)
        scans[name] = PreparedScan(mesh, frame[model.landmarks], mesh, mesh, Similarity())
    write_face_pack(folder / "faces/d007.npz", scans)
    settings = {"eigenfunctions": 16, "picture_size": 16}
    source, out = folder / "faces/d007.npz", folder / "operators/d007.npz"
    operators_build(source, people / "people.npz", settings, out)
    return folder


def test_a_person_of_the_data_set_is_masked_about_their_own_nose(scanned, labelled):
    case = scanned_case("d007", scanned / "operators/d007.npz", scanned / "faces/d007.npz")
    assert case.frames.shape == (3, len(case.mask), 3)
    np.testing.assert_allclose(case.frames[0], case.operators.vertices, atol=1e-5)
    everything = np.arange(len(labelled.model.neutral))
    zero = np.zeros((1, len(labelled.model.units)))
    nose = labelled.frames("train001", zero, everything)[0][labelled.model.landmarks[30]]
    placed = inner_mask(case.operators.mesh.vertices, nose)
    assert np.abs(case.mask - placed).max() < 0.1, "alignment may move the face a little"


@pytest.fixture(scope="module")
def scores(people, scanned, tmp_path_factory) -> Path:
    """Scores of an untrained network."""
    folder = tmp_path_factory.mktemp("scores")
    save_model(folder / "model.safetensors", made(replace(SMALL, anchored=True)), ("x",), {})
    evaluate(
        folder / "model.safetensors", people, "new2", 1, folder / "scores.csv",
        ["d007"], scanned / "operators", scanned / "faces",
    )  # fmt: skip
    return folder / "scores.csv"


def test_every_split_and_method_reaches_the_table(scores, tmp_path):
    table([scores], tmp_path / "nfs.csv", tmp_path / "nfs.md")
    with open(tmp_path / "nfs.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    own = {(row["split"], row["method"], row["metric"]): float(row["value"]) for row in rows}
    by = {split: {m for s, m, _ in own if s == split} for split, _, _ in own}
    transfers = {"nearest_point_transfer", "known_transfer"}
    assert by == {
        SELF: {"new2", "copy_neutral", "blendshape_oracle"},
        CLONED: {"new2", "copy_neutral", "blendshape_oracle", *transfers},
        NEUTRAL: {"new2"},
        RIG: {"new2"},
        DRIVEN: {"new2", "copy_neutral", "blendshape_oracle"},
        SELF_SCANNED: {"new2", "copy_neutral"},
        CYCLE: {"new2", "copy_neutral", "nearest_point_transfer"},
        CYCLE_SCANNED: {"new2", "copy_neutral", "nearest_point_transfer"},
    }
    assert own[SELF, "copy_neutral", "vertex_rms_inner"] > 0.1
    assert own[NEUTRAL, "new2", "vertex_max"] == 0.0
    assert 0 <= own[RIG, "new2", "segment_accuracy"] <= 1
    for split in (SELF, CLONED, DRIVEN):
        assert own[split, "blendshape_oracle", "vertex_max"] < 1e-4, "mm"
    errors = [own[CLONED, m, "vertex_mse_inner"] for m in (*sorted(transfers), "copy_neutral")]
    assert errors[0] < errors[1] < errors[2], "known, nearest, none"
    assert own[CYCLE, "copy_neutral", "intermediate_energy"] == 0.0
    assert own[CYCLE, "nearest_point_transfer", "intermediate_energy"] > 50
    assert own[DRIVEN, "copy_neutral", "unit_error_worst"] == pytest.approx(100.0)
    counts = {row["split"]: int(row["n"]) for row in rows}
    assert counts[CLONED] == counts[CYCLE] == counts[CYCLE_SCANNED] == 2


def test_a_cycle_is_weighed_against_the_way_to_oneself(scores, tmp_path):
    table([scores], tmp_path / "nfs.csv", tmp_path / "nfs.md")
    with open(scores, newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["method"] == "new2"]
    value = {(r["split"], r["person"], r["metric"]): float(r["value"]) for r in rows}
    for person in ("test000", "test001"):
        ratio = value[CYCLE, f"{person} over d007", "cycle_over_self"]
        cycle = value[CYCLE, f"{person} over d007", "vertex_mse_inner"]
        assert ratio == pytest.approx(cycle / value[SELF, person, "vertex_mse_inner"], rel=1e-4)


def test_variants_stand_in_one_table_and_baselines_once(people, scores, tmp_path):
    small = replace(SMALL, design="nfr")
    save_model(tmp_path / "model.safetensors", made(small), ("x",), {})
    evaluate(tmp_path / "model.safetensors", people, "nfr", 1, tmp_path / "scores.csv")
    rows = table([scores, tmp_path / "scores.csv"], tmp_path / "nfs.csv", tmp_path / "nfs.md")
    errors = [r for r in rows if (r.split, r.metric) == (CLONED, "vertex_mse_inner")]
    assert sorted(r.method for r in errors) == [
        "blendshape_oracle", "copy_neutral", "known_transfer", "nearest_point_transfer", "new2",
        "nfr",
    ]  # fmt: skip


def test_the_page_shows_published_numbers_and_no_oracle_as_the_best(scores, tmp_path):
    table([scores], tmp_path / "nfs.csv", tmp_path / "nfs.md")
    page = (tmp_path / "nfs.md").read_text()
    assert all(value in page for *_, values in PUBLISHED for value in values)
    assert "PDB, Tables 2 to 4" in page and "mm²" in page and "dm²" in page
    for line in page.splitlines():
        assert "blendshape_oracle" not in line or "**" not in line


def test_the_figures_are_pictures(people, tmp_path):
    save_model(tmp_path / "model.safetensors", made(SMALL), ("x",), {})
    target = people / "train000-narrow.npz"
    out = tmp_path / "figure.png"
    retarget_figure(tmp_path / "model.safetensors", people, [target], out, rows=1, size=60)
    assert np.asarray(Image.open(out)).std() > 5
    error_maps(tmp_path / "model.safetensors", people, out, persons=1, expressions=1, size=60)
    picture = np.asarray(Image.open(out).convert("RGB")).astype(int)
    assert (np.ptp(picture, axis=2) > 60).any(), "errors are coloured"
