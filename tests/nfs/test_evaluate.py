"""Numbers of NFS: masks, metrics and baselines in closed form, a table of an untrained model."""

import csv
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from small_nfs import SMALL, made

from facemill.mesh.operators import read_operators
from facemill.nfs.baselines import copy_neutral, nearest_point_transfer
from facemill.nfs.evaluate import evaluate, inner_mask, person_case, rig_metrics, vertex_metrics
from facemill.nfs.figures import retarget_figure
from facemill.nfs.model import save_model
from facemill.nfs.people import read_people
from facemill.nfs.table import CLONED, NEUTRAL, RIG, SELF, table


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
    assert found["laplacian_rms"] < 1e-3, "a shift bends nothing"


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
    import torch

    true = torch.from_numpy(labelled.expressions["test"]).float()
    found = rig_metrics(made(SMALL), labelled, true)
    assert found["rig_correlation"] == pytest.approx(1.0)
    assert found["rig_error_active"] == pytest.approx(0.0, abs=1e-6)


def test_every_split_and_method_reaches_the_table(people, tmp_path):
    model = made(replace(SMALL, anchored=True))
    save_model(tmp_path / "model.safetensors", model, ("x",), {})
    evaluate(tmp_path / "model.safetensors", people, "new2", 1, tmp_path / "scores.csv")
    table([tmp_path / "scores.csv"], tmp_path / "nfs.csv")
    with open(tmp_path / "nfs.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["split"] for row in rows} == {SELF, NEUTRAL, RIG}, "one test person: no pairs"
    own = {(row["split"], row["method"], row["metric"]): float(row["value"]) for row in rows}
    assert own[SELF, "copy_neutral", "vertex_rms_inner"] > 0.1
    assert own[NEUTRAL, "new2", "vertex_max"] == 0.0
    assert 0 <= own[RIG, "new2", "segment_accuracy"] <= 1
    assert CLONED not in {row["split"] for row in rows}


def test_the_figure_is_a_picture(people, tmp_path):
    save_model(tmp_path / "model.safetensors", made(SMALL), ("x",), {})
    target = people / "train000-narrow.npz"
    out = tmp_path / "figure.png"
    retarget_figure(tmp_path / "model.safetensors", people, [target], out, rows=1, size=60)
    assert np.asarray(Image.open(out)).std() > 5
