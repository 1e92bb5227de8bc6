"""Fitting to an unseen person, with a tiny model trained for seconds on made-up faces."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from synthetic_faces import EXPRESSIONS

from facemill.data.packs import SamplePack
from facemill.errors import ConfigError, TrainingError
from facemill.files import reading_npz
from facemill.imface import fit as fitting
from facemill.imface.config import FitConfig, FitWeights
from facemill.imface.data import landmarks_to_unit_ball
from facemill.imface.fit import RawScans, fit_person, fit_scans, groups_of_scans
from facemill.imface.fit_one import SamplesInMemory
from facemill.imface.model import load_model
from facemill.imface.pose import motion, moved
from facemill.imface.refine import decay
from facemill.imface.start import start_codes
from facemill.mesh.frames import Similarity
from facemill.metrics.scores import read_fit

LIGHT = FitWeights(identity_code=1e3, expression_code=1e3)
REFINED = {"refined_sdf", "refined_normal", "refined_eikonal", "detail_code"}
QUICK = FitConfig(steps=25, points=256, learning_rate=5e-2, weights=LIGHT)
SETTINGS = {
    "fit": {
        "steps": 4,
        "points": 128,
        "batch_scans": 2,
        "weights": {"identity_code": 1e3, "expression_code": 1e3},
    },
    "extraction": {"resolution": 24},
}


@pytest.fixture
def model(tiny_imface):
    return load_model(tiny_imface.model)[0]


@pytest.fixture
def pack(tiny_imface):
    data = tiny_imface.data
    return SamplePack(data.samples(data.test[0]))


def sdf_loss(model, pack, expression, codes, item=0):
    rows = torch.from_numpy(fitting._block(pack, expression, 999, FitConfig(points=2000)))[None]
    terms = fitting.fit_terms(
        model, codes.identity[item : item + 1], codes.expression[item : item + 1], rows, None
    )
    return terms["sdf"].item()


def test_fit_lowers_the_distance_and_leaves_the_networks_alone(model, pack):
    before = {name: value.clone() for name, value in model.state_dict().items()}
    start = start_codes(model, pack.path.stem, ["2_smile"], QUICK)
    first = fitting.Codes(start[0].detach(), start[1].detach(), {})
    codes = fit_scans(model, pack, ["2_smile"], QUICK)
    assert sdf_loss(model, pack, "2_smile", codes) < 0.8 * sdf_loss(model, pack, "2_smile", first)
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert set(codes.losses) == {name for name in vars(LIGHT) if name not in REFINED}


def test_what_a_scan_gets_does_not_depend_on_the_scans_beside_it(model, pack):
    config = FitConfig(steps=5, points=128, weights=LIGHT)
    alone = fit_scans(model, pack, ["2_smile"], config)
    beside = fit_scans(model, pack, ["1_neutral", "2_smile", "19_brow_raiser"], config)
    torch.testing.assert_close(alone.identity[0], beside.identity[1], rtol=1e-3, atol=1e-5)
    torch.testing.assert_close(alone.expression[0], beside.expression[1], rtol=1e-3, atol=1e-5)


def test_one_identity_for_all_scans_of_a_person_where_wanted(model, pack):
    config = FitConfig(steps=3, points=128, share_identity=True, weights=LIGHT)
    codes = fit_scans(model, pack, list(EXPRESSIONS), config)
    assert torch.equal(codes.identity[0], codes.identity[-1])
    assert not torch.equal(codes.expression[0], codes.expression[-1])
    assert groups_of_scans(EXPRESSIONS, config) == [list(EXPRESSIONS)]
    own = FitConfig(batch_scans=3)
    assert [len(group) for group in groups_of_scans(EXPRESSIONS, own)] == [3, 1]


def test_many_points_are_taken_in_parts_with_the_same_result(model, pack, monkeypatch):
    config = FitConfig(steps=3, points=128, share_identity=True, weights=LIGHT)
    whole = fit_scans(model, pack, list(EXPRESSIONS), config)
    monkeypatch.setattr(fitting, "POINTS_AT_ONCE", 128)
    parts = fit_scans(model, pack, list(EXPRESSIONS), config)
    torch.testing.assert_close(whole.identity, parts.identity, rtol=1e-3, atol=1e-5)


def test_landmarks_are_used_only_where_wanted(model, pack, monkeypatch):
    config = FitConfig(steps=2, points=128, landmarks=False, weights=LIGHT)
    without = fit_scans(model, pack, ["2_smile"], config)
    assert "landmark_template" not in without.losses
    weightless = FitWeights(identity_code=1e3, expression_code=1e3, landmark_template=0.0)
    same = fit_scans(model, pack, ["2_smile"], FitConfig(steps=2, points=128, weights=weightless))
    torch.testing.assert_close(without.identity, same.identity)


def rows_of(pack, expression="2_smile", count=600):
    return torch.from_numpy(fitting._block(pack, expression, 0, FitConfig(points=count)))[None]


def terms_at_start(model, rows, landmarks=None, truncation=None):
    codes = start_codes(model, "p", ["2_smile"], FitConfig())
    return fitting.fit_terms(model, *codes, rows, landmarks, truncation), codes


def test_strays_do_not_pull_where_they_are_truncated(model, pack):
    rows = rows_of(pack)
    strays = rows.clone()
    strays[:, ::10, 6] += 3.0  # a tenth of the points, far off
    others = rows[:, torch.arange(rows.shape[1]) % 10 != 0]

    def gradients(given, truncation):
        terms, codes = terms_at_start(model, given, truncation=truncation)
        return [torch.autograd.grad(terms[n], codes[0], retain_graph=True)[0] for n in pulling]

    pulling = ("sdf", "normal")
    for truncated, alone in zip(gradients(strays, 1.0), gradients(others, None), strict=True):
        torch.testing.assert_close(truncated, 0.9 * alone, rtol=1e-3, atol=1e-5)
    for kept, plain in zip(gradients(rows, 2.0), gradients(rows, None), strict=True):
        torch.testing.assert_close(kept, plain)


def test_landmarks_nobody_gave_do_not_count(model, pack):
    rows, full = rows_of(pack), torch.from_numpy(landmarks_to_unit_ball(pack.landmarks("2_smile")))
    five = torch.full((1, 68, 3), float("nan"))
    five[0, [30, 36, 45, 48, 54]] = full[[30, 36, 45, 48, 54]]
    whole, codes = terms_at_start(model, rows, full[None])
    condition = model.condition(*codes)
    template, _ = model.to_template(model.to_neutral(full[None], condition)[0], condition)
    each = (template - model.template_landmarks).abs().mean(dim=-1)[0]
    torch.testing.assert_close(whole["landmark_template"], each.mean())
    some, codes = terms_at_start(model, rows, five)
    torch.testing.assert_close(some["landmark_template"], each[[30, 36, 45, 48, 54]].mean())
    some["landmark_template"].backward()
    assert codes[0].grad.isfinite().all()


def test_a_motion_moves_points_normals_and_landmarks_as_its_similarity_says(pack):
    rows, marks = rows_of(pack), torch.full((1, 68, 3), float("nan"))
    marks[0, 30] = torch.tensor([0.1, 0.2, 0.3])
    pose = torch.tensor([[0.2, -0.1, 0.3, 0.02, 0.01, -0.03, 0.05]], requires_grad=True)
    there, marks_there = moved(rows, marks, pose, with_scale=True)
    similarity = motion(pose[0].detach(), with_scale=True)
    in_mm = 100.0 * rows[0, :, :3].numpy()
    np.testing.assert_allclose(
        100.0 * there[0, :, :3].detach().numpy(), similarity.apply(in_mm), atol=1e-4
    )
    np.testing.assert_allclose(
        there[0, :, 3:6].detach().numpy(),
        similarity.apply_to_normals(rows[0, :, 3:6].numpy()),
        atol=1e-6,
    )
    torch.testing.assert_close(there[..., 6], np.exp(0.05) * rows[..., 6])
    assert similarity.scale == pytest.approx(np.exp(0.05))
    assert marks_there.isfinite().sum() == 3
    marks_there[0, 30].sum().backward()
    assert pose.grad.isfinite().all()


def test_a_scan_in_a_slightly_wrong_place_is_moved_back(model, pack):
    off = Similarity(1.0, np.eye(3), np.array([3.0, -2.0, 0.0]))
    rows = np.array(pack.scan("1_neutral"))
    rows[:, :3] = off.apply(rows[:, :3])
    marks = off.apply(pack.landmarks("1_neutral")).astype(np.float32)
    given = SamplesInMemory(pack.path, len(rows), {"a": rows}, {"a": marks})
    config = replace(QUICK, steps=40)
    found = fit_scans(model, given, ["a"], config, RawScans(pose_rate=5e-3)).motions[0]
    assert np.linalg.norm(found.translation[:2] + off.translation[:2]) < 1.5
    assert found.scale == 1.0
    stands = fit_scans(model, given, ["a"], replace(QUICK, steps=1), RawScans(pose_rate=0.0))
    np.testing.assert_array_equal(stands.motions[0].matrix, np.eye(4))


def test_learning_rate_falls_along_a_cosine_or_the_published_staircase():
    cosine = FitConfig(steps=100)
    assert decay(cosine, 0) == 1.0
    assert decay(cosine, 50) == pytest.approx(0.505)
    stairs = FitConfig(steps=1500, schedule="staircase")
    assert [decay(stairs, step) for step in (0, 199, 200, 209, 210)] == pytest.approx(
        [1.0, 1.0, 0.95, 0.95, 0.95**2]
    )
    # All updates together let a code coordinate travel no further than 0.04 at 1e-4.
    assert 1e-4 * sum(decay(stairs, s) for s in range(1500)) == pytest.approx(0.04, rel=0.03)


def fitted(tiny_imface, folder, settings=SETTINGS):
    data = tiny_imface.data
    out = folder / "fit.npz"
    fit_person(
        tiny_imface.model, data.samples(data.test[0]), settings, folder / "work", out, threads=1
    )
    return out


def test_file_holds_meshes_in_millimetres_and_codes(tiny_imface, tmp_path):
    out = fitted(tiny_imface, tmp_path)
    meshes = read_fit(out)
    assert set(meshes) == set(EXPRESSIONS)
    for mesh in meshes.values():
        mesh.check("fit")
        reach = np.linalg.norm(mesh.vertices, axis=1).max()
        assert 60 < reach < 100.001
        a, b, c = mesh.vertices[mesh.faces].transpose(1, 0, 2)
        assert np.mean(np.cross(b - a, c - a)[:, 2] > 0) > 0.9
    with reading_npz(out) as arrays:
        assert arrays["2_smile/identity_code"].shape == (8,)
        assert len(arrays["2_smile/losses"]) == len(arrays["loss_names"]) == 6
    assert not (tmp_path / "work").exists()


def test_fit_killed_between_groups_ends_with_the_same_bytes(tiny_imface, tmp_path, monkeypatch):
    (tmp_path / "whole").mkdir()
    (tmp_path / "killed").mkdir()
    whole = fitted(tiny_imface, tmp_path / "whole").read_bytes()
    calls = []

    def killed_at_the_second(*args, **named):
        calls.append(args)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return fit_scans(*args, **named)

    monkeypatch.setattr(fitting, "fit_scans", killed_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        fitted(tiny_imface, tmp_path / "killed")
    assert not (tmp_path / "killed" / "fit.npz").exists()
    resumed = fitted(tiny_imface, tmp_path / "killed").read_bytes()
    assert len(calls) == 3, "the group that was done is not done again"
    assert resumed == whole


def test_fit_killed_in_the_middle_of_a_group_ends_with_the_same_bytes(
    tiny_imface, tmp_path, killed_after
):
    (tmp_path / "whole").mkdir()
    (tmp_path / "killed").mkdir()
    whole = fitted(tiny_imface, tmp_path / "whole").read_bytes()
    made = killed_after(6)  # the second step of the second group
    with pytest.raises(KeyboardInterrupt):
        fitted(tiny_imface, tmp_path / "killed")
    resumed = fitted(tiny_imface, tmp_path / "killed").read_bytes()
    groups = -(-len(EXPRESSIONS) // 2)
    assert len(made) == 4 * groups, "no step is made twice"
    assert resumed == whole and not (tmp_path / "killed" / "work").exists()


def test_loss_that_is_no_number_is_reported_with_scan_and_way_out(model, pack):
    with torch.no_grad():
        model.template_field.siren.layers()[0][0].fill_(float("nan"))
        for parameter in model.template_field.parameters():
            parameter.fill_(float("nan"))
    with pytest.raises(TrainingError, match=r"2_smile: the loss is nan at step 0.*learning_rate"):
        fit_scans(model, pack, ["2_smile"], FitConfig(steps=2, points=64))


def test_settings_are_checked_by_name(tiny_imface, tmp_path):
    with pytest.raises(ConfigError, match=r"imface\.fit\.step: unknown key; did you mean 'steps'"):
        fitted(tiny_imface, tmp_path, {"fit": {"step": 3}})
    with pytest.raises(ConfigError, match=r"imface\.fit\.points: found 0"):
        fitted(tiny_imface, tmp_path, {"fit": {"points": 0}})
    with pytest.raises(ConfigError, match=r"imface\.extraction\.resolution: found 2"):
        fitted(tiny_imface, tmp_path, {"extraction": {"resolution": 2}})
