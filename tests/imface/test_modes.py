"""ImFace's modes: local blend fields, shared codes, one warp for all, the refinement."""

import pytest
import torch
from small_imface import SMALL, small_batch, small_model

from facemill.errors import ConfigError
from facemill.imface import losses
from facemill.imface.blend import blend
from facemill.imface.config import LossWeights, ModelConfig, TrainSettings
from facemill.imface.data import open_training_set
from facemill.imface.model import DISPLACEMENT, load_model, save_model
from facemill.imface.train import initial_model, train
from facemill.nets.siren import siren

FIVES = {"identity_dim": 10, "expression_dim": 5}
MODES = {
    "fused": {},
    "local": {"blend": "local", **FIVES},
    "none": {"blend": "none"},
    "joint": {"disentangle": False},
    "shared": {"expression_codes": "shared"},
    "local_joint_translation": {
        "blend": "local", "disentangle": False, "warp": "translation", **FIVES
    },
    "refined": {"detail_dim": 4},
    "local_refined": {"blend": "local", "detail_dim": 5, **FIVES},
}  # fmt: skip


def conditioned(model, batch):
    details = model.details(batch.identity, batch.expression)
    return model.condition(*model.codes(batch.identity, batch.expression), details)


@pytest.mark.parametrize("mode", MODES)
def test_gradients_in_every_mode_match_central_differences(mode):
    model, batch = small_model(**MODES[mode]), small_batch()
    with torch.no_grad():
        condition = conditioned(model, batch)
        _, gradient, _ = model.field_and_gradients(batch.points, condition)
        for axis in range(3):
            shift = torch.zeros(3, dtype=torch.float64)
            shift[axis] = 1e-6
            up, down = (model.field(batch.points + s, condition).sdf for s in (shift, -shift))
            assert torch.allclose(gradient[..., axis], (up - down) / 2e-6, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("at_once", [12, 40])
@pytest.mark.parametrize("mode", MODES)
def test_points_in_parts_give_the_gradients_of_the_whole_batch(mode, at_once):
    model, batch = small_model(**MODES[mode]), small_batch()
    refine = model.config.detail_dim > 0
    terms = losses.weighted(losses.training_terms(model, batch, refine), LossWeights())
    of_detail = {name: terms.pop(name) for name in list(terms) if name.startswith("refined")}
    detail = [p for name, p in model.named_parameters() if name.startswith("detail")]
    sum(terms.values()).backward(retain_graph=refine)
    if refine:
        sum(of_detail.values()).backward(inputs=detail)
    wanted = {name: p.grad for name, p in model.named_parameters()}
    model.zero_grad()
    found = losses.backward(model, batch, LossWeights(), at_once, refine)
    for name, value in (terms | of_detail).items():
        assert torch.allclose(found[name], value, rtol=1e-9), name
    for name, parameter in model.named_parameters():
        scale = wanted[name].abs().max().item() + 1e-30
        assert torch.allclose(parameter.grad, wanted[name], rtol=1e-7, atol=1e-9 * scale), name


def test_a_local_net_sees_the_offset_to_its_own_anchor_and_its_own_part_of_the_code():
    model, batch = small_model(blend="local", **FIVES), small_batch()
    identity_code, _ = model.codes(batch.identity, batch.expression)
    field, anchors = model.identity_field, torch.rand(3, 5, 3, dtype=torch.float64)
    raw = field.hyper(identity_code)
    weights = field.fusion(batch.points)
    plain = 0
    for k in range(5):
        layers = [(weight[:, k], bias[:, k]) for weight, bias in raw]
        scaled = [(30 * weight, 30 * bias) for weight, bias in layers[:-1]] + [layers[-1]]
        plain = plain + weights[..., k, None] * siren(batch.points - anchors[:, k, None], scaled)
    layers = field.layers(identity_code, anchors)
    assert torch.allclose(blend(batch.points, layers, field.fusion, "local"), plain, rtol=1e-9)

    changed = identity_code.clone()
    changed[:, 2:4] += 1  # the second net's part
    differs = [
        bool((new[0][:, k] != old[0][:, k]).any())
        for k in range(5)
        for new, old in [(field.hyper(changed)[1], raw[1])]
    ]
    assert differs == [False, True, False, False, False]


def test_code_lengths_must_divide_among_local_nets():
    with pytest.raises(ConfigError, match="identity_dim: found 8, expected a multiple of 5"):
        ModelConfig(**SMALL, blend="local")


def test_shared_expression_codes_are_one_for_each_expression():
    model = small_model(expression_codes="shared")
    assert len(model.expression_codes.weight) == 2
    _, codes = model.codes(torch.tensor([0, 2]), torch.tensor([1, 1]))
    assert torch.equal(codes[0], codes[1])


def test_without_disentangling_both_codes_drive_one_warp():
    model, batch = small_model(disentangle=False), small_batch()
    identity, expression = model.codes(batch.identity, batch.expression)
    first = model.field(batch.points, model.condition(identity, expression))
    assert torch.equal(first.neutral_points, batch.points)
    other = model.field(batch.points, model.condition(identity, expression + 0.1))
    assert not torch.allclose(first.template_points, other.template_points)
    assert not any("expression_field" in name for name, _ in model.named_parameters())


def on_surface(model, points, condition):
    """The points moved to the zero of the coarse field, as far as a few Newton steps go."""
    for _ in range(30):
        output, gradient, _ = model.field_and_gradients(points, condition)
        step = output.sdf[..., None] * gradient / gradient.square().sum(-1, keepdim=True)
        points = (points - step.clamp(-0.05, 0.05)).detach()
    return points, model.field(points, condition).sdf


def test_refinement_moves_little_and_only_near_the_surface():
    model, batch = small_model(detail_dim=4), small_batch()
    condition = conditioned(model, batch)
    points, coarse = on_surface(model, batch.points, condition)
    near = coarse.abs() < 1e-3
    assert near.sum() >= 5
    slope = model.field_and_gradients(points, condition)[1].norm(dim=-1)
    moved = (model.refined_sdf(points, condition) - coarse)[near]
    assert 1e-4 < moved.abs().max() < 1.5 * DISPLACEMENT * slope[near].max()

    coarse = model.field(batch.points, condition).sdf
    far = coarse.abs() > 0.2
    assert far.any()
    assert (model.refined_sdf(batch.points, condition) - coarse)[far].abs().max() < 1e-3


def test_the_refined_fields_gradient_matches_central_differences_with_its_direction_held():
    model, batch = small_model(detail_dim=4), small_batch()
    condition = conditioned(model, batch)
    points = batch.points.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(model.refined_sdf(points, condition).sum(), points)
    with torch.no_grad():
        coarse = model.field(points, condition)
        direction = torch.nn.functional.normalize(
            model.field_and_gradients(points, condition)[1], dim=-1
        )

        def refined(at):
            held = model.field(at, condition)
            raw = model._blend(model.detail_field, held.template_points, condition.detail_layers)
            r = DISPLACEMENT * torch.tanh(raw[..., 0]) / (1 + (held.sdf / 0.02) ** 4)
            return model.field(at + r[..., None] * direction, condition).sdf

        assert torch.allclose(refined(points), model.refined_sdf(points, condition))
        for axis in range(3):
            shift = torch.zeros(3, dtype=torch.float64)
            shift[axis] = 1e-7
            slope = (refined(points + shift) - refined(points - shift)) / 2e-7
            assert torch.allclose(gradient[..., axis], slope, atol=1e-4, rtol=1e-4)
    assert coarse.sdf.shape == gradient.shape[:2]


@pytest.mark.parametrize("mode", ["local_refined", "local_joint_translation", "shared", "none"])
def test_every_mode_is_trained_and_comes_back_from_disk(mode, made_data, tmp_path):
    settings = {
        "model": SMALL | MODES[mode],
        "train": {"steps": 6, "batch_scans": 2, "points": 32, "refine_from": 0.5, "mirror": True},
    }
    paths = [tmp_path / name for name in ("model.safetensors", "history.csv", "run.json")]
    train(*made_data(), settings, tmp_path / "work", *paths)
    model, metadata = load_model(paths[0])
    assert model.config == ModelConfig(**settings["model"])
    assert metadata["people"] == ["d001", "d002", "d001 mirrored", "d002 mirrored"]
    header, *rows = paths[1].read_text().splitlines()
    at = header.split(",").index("refined_sdf")
    assert (float(rows[-1].split(",")[at]) > 0) == (mode == "local_refined")


def test_weights_of_another_mode_are_refused_by_name(tmp_path):
    import json

    from safetensors.torch import load_file, save_file

    from facemill.errors import DataError

    path = tmp_path / "model.safetensors"
    save_model(path, small_model(dtype=torch.float32), ["a", "b", "c"], ["1_neutral", "2_smile"])
    from safetensors import safe_open

    with safe_open(path, "pt") as file:
        metadata = json.loads(file.metadata()["facemill"])
    metadata["config"]["blend"] = "none"
    save_file(load_file(path), path, {"facemill": json.dumps(metadata)})
    with pytest.raises(DataError, match="do not fit their own config"):
        load_model(path)


def test_mirror_images_are_other_people_with_mirrored_samples(made_data):
    data = open_training_set(
        *made_data(expressions=("1_neutral", "2_smile", "5_jaw_left"), unseen=())
    )
    both = data.with_mirror_images()
    assert both.people == ("d001", "d002", "d001 mirrored", "d002 mirrored")
    # The mirror image of a jaw to the left is one to the right, which nobody shows.
    assert [scan for scan in both.scans if scan[0] >= 2] == [(2, 0), (2, 1), (3, 0), (3, 1)]
    for scan in both.scans[len(data.scans) :]:
        of = both.landmarks[scan[0] - 2, scan[1]]
        assert torch.allclose(
            torch.from_numpy(both.landmarks[scan][[36, 8, 48]]),
            torch.from_numpy(of[[45, 8, 54]]) * torch.tensor([-1.0, 1, 1]),
        )
    batch = both.batch(0, 0, len(both.scans), 400)
    one, image = (int((batch.identity == p).nonzero()[0, 0]) for p in (0, 2))
    assert both.template_landmarks[27:31, 0] == pytest.approx(0, abs=1e-6)
    assert sorted(batch.sdf[one].tolist()) == pytest.approx(
        sorted(batch.sdf[image].tolist())
    ) or bool(batch.expression[one] != batch.expression[image])
    model = initial_model(TrainSettings(model=ModelConfig(**SMALL)), both)
    assert model.n_identities == 4
