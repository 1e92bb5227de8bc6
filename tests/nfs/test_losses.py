"""Loss terms: zero where they must be, closed forms, who learns from what, BP and BR apart."""

from dataclasses import replace

import pytest
import torch
from small_nfs import SMALL, made

from facemill.nfs import losses
from facemill.nfs.config import LossWeights
from facemill.nfs.data import open_training_set
from facemill.nfs.losses import TERMS


@pytest.fixture(scope="module")
def data(people):
    return open_training_set(people, None, None)


@pytest.fixture(scope="module")
def batch(data):
    return data.labelled_batch("train000", "narrow", data.expressions[:3], SMALL)


def found(model, batch, data, weights=None, **more):
    generic = data.generic("narrow")
    weights = LossWeights() if weights is None else weights
    return losses.terms(model, batch.surface, batch.truth, generic, weights, **more)


def test_truth_costs_nothing(batch):
    truth, surface = batch.truth, batch.surface
    frames = truth.frames
    assert losses.vertex_error(frames, frames) == 0
    assert losses.normal_error(frames, frames, surface.faces) == 0
    assert losses.jacobian_error(frames, frames, surface.vertices, surface.faces) == 0
    assert losses.range_error(torch.tensor([0.0, 0.5, 1.0])) == 0
    bp = losses.blendshape_error(truth.face, truth.identity, truth.expression, frames)
    assert bp < 1e-12, "labels, operators and face model belong together"


def test_closed_forms():
    a = torch.zeros(1, 4, 3)
    b = torch.ones(1, 4, 3)
    assert losses.vertex_error(a, b) == 1 and losses.vertex_error(a, b, free=True) == 0
    assert losses.range_error(torch.tensor([-1.0, 3.0, 0.5, 0.5])).item() == pytest.approx(0.75)
    even = losses.segment_error(torch.zeros(5, 20), torch.arange(5))
    assert even.item() == pytest.approx(torch.tensor(20.0).log().item())


@pytest.mark.parametrize("balance", [0.5, 1.0])
def test_balance_lifts_what_moves_little(balance):
    motion = torch.tensor([4.0, 1.0, 0.01, 0.0])
    weights = losses.balanced(motion, balance)
    assert (weights.diff() > 0).all()
    expected = (4.0 + losses.STILL * motion.mean()) / (1.0 + losses.STILL * motion.mean())
    assert (weights[1] / weights[0]).item() == pytest.approx(expected.item() ** balance)

    still = torch.zeros(1, 4, 3)
    tenth = 0.1 * motion.sqrt()[None, :, None].expand(1, 4, 3)
    plain = losses.vertex_error(still, tenth)
    assert losses.vertex_error(still, tenth, weights=weights).item() == pytest.approx(plain.item())
    same = torch.ones_like(motion)
    assert torch.equal(losses.balanced(torch.zeros(4), balance), same), "nobody moves"
    assert losses.balanced(motion, 0.0) is None


def test_balance_reaches_the_vertices_and_the_mean_face(batch, data):
    plain, lifted = (found(made(SMALL), batch, data, balance=b) for b in (0.0, 0.5))
    changed = {name for name in plain if not torch.equal(plain[name], lifted[name])}
    assert changed == {"vertices", "generic"}


def test_jacobians_of_a_uniform_growth_cost_its_square(batch):
    neutral, faces = batch.surface.vertices, batch.surface.faces
    cost = losses.jacobian_error(1.2 * neutral[None], neutral[None], neutral, faces)
    assert cost.item() == pytest.approx(0.2**2 / 3, rel=1e-3)


def test_labelled_people_have_every_term_but_cycle_and_ranges(batch, data):
    model = made(SMALL)
    values = found(model, batch, data)
    assert set(values) == set(TERMS) - {"cycle", "range_identity", "range_expression"}
    double = found(model, batch, data, LossWeights(vertices=20.0))
    assert double["vertices"].item() == pytest.approx(2 * values["vertices"].item(), rel=1e-5)


def test_unlabelled_people_have_reconstruction_and_ranges(batch, data):
    model = made(SMALL)
    blind = replace(batch, truth=losses.Truth(batch.truth.frames, batch.truth.motion))
    values = found(model, blind, data)
    assert set(values) == {"vertices", "normals", "jacobians", "range_expression"}
    assert "range_identity" in found(model, blind, data, hinge="all")


def test_what_is_cloned_onto_unlabelled_people_is_read_off_again(batch, data):
    """By the encoder alone: meshes and codes are given."""
    model = made(SMALL)
    truth = losses.Truth(batch.truth.frames, batch.truth.motion, cloned=batch.truth.expression)
    blind = replace(batch, truth=truth)
    assert "cycle" not in found(model, blind, data), "0 by default"
    value = found(model, blind, data, LossWeights(cycle=2.0))["cycle"]
    target = model.target(batch.surface)
    again = model.codes(target, model.decode(target, truth.cloned))
    assert value.item() == pytest.approx(2 * (again - truth.cloned).square().mean().item())
    parts = gradient(model, value)
    assert parts["expression"] > 0 and parts["decoder"] == parts["skinning"] == 0


def gradient(model, value) -> dict[str, float]:
    parts = dict.fromkeys(("identity", "expression", "skinning", "decoder"), 0.0)
    names, weights = zip(*model.named_parameters(), strict=True)
    grads = torch.autograd.grad(value, weights, allow_unused=True, retain_graph=True)
    for name, grad in zip(names, grads, strict=True):
        part = name.split(".")[0]
        if part in parts and grad is not None:
            parts[part] += grad.abs().sum().item()
    return parts


def test_bp_teaches_the_encoders_and_br_the_decoder(batch, data):
    model = made(SMALL)
    values = found(model, batch, data)
    bp, br = gradient(model, values["blendshapes"]), gradient(model, values["generic"])
    assert bp["identity"] > 0 and bp["expression"] > 0 and bp["decoder"] == 0
    assert br["decoder"] > 0 and br["identity"] == br["expression"] == br["skinning"] == 0


def test_warming_up_decodes_the_labels(batch, data):
    model = made(SMALL)
    cold, warm = (found(model, batch, data, true_codes=share)["vertices"] for share in (0.0, 1.0))
    assert cold.item() != warm.item()
    assert gradient(model, warm)["expression"] == 0


def test_a_share_of_a_batch_is_decoded_from_its_labels(batch, data):
    """Frames of the share do not reach the encoder; with the others they make up the error."""
    model = made(SMALL)
    errors = {
        share: found(model, batch, data, true_codes=share)["vertices"].item()
        for share in (0.0, 0.5, 1.0)
    }
    own = round(0.5 * len(batch.truth.frames))
    target = model.target(batch.surface)
    expression = batch.truth.expression.clone()
    expression[own:] = model.codes(target, batch.truth.frames[own:]).detach()
    half = replace(batch, truth=replace(batch.truth, expression=expression))
    by_hand = found(model, half, data, true_codes=1.0)["vertices"].item()
    assert errors[0.5] == pytest.approx(by_hand, rel=1e-5)
    assert errors[0.5] not in (errors[0.0], errors[1.0])


@pytest.mark.parametrize("decoder", ["vert", "jacobian"])
def test_other_decoders_have_the_same_terms(people, decoder):
    config = replace(SMALL, decoder=decoder)
    data = open_training_set(people, None, None, poisson=decoder == "jacobian")
    batch = data.labelled_batch("train000", "narrow", data.expressions[:2], config)
    values = found(made(config), batch, data)
    assert all(torch.isfinite(value) for value in values.values())


def test_shared_passes_change_nothing(batch, data):
    """The neutral encoded once, against once for every frame."""
    model = made(SMALL)
    shared = found(model, batch, data)["vertices"]
    plain = []
    for frame in batch.truth.frames:
        target = model.target(batch.surface)
        moved = model.decode(target, model.codes(target, frame[None]))
        plain.append(10.0 * losses.vertex_error(moved, frame[None]))
    torch.testing.assert_close(shared, torch.stack(plain).mean(), atol=1e-6, rtol=1e-5)
