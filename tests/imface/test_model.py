"""ImFace's networks: the published counts, the start, the plain twin, gradients, files."""

import importlib.util

import pytest
import torch
from small_imface import small_batch, small_model

from facemill.errors import ConfigError, DataError
from facemill.imface.config import LossWeights, ModelConfig
from facemill.imface.losses import training_terms, weighted
from facemill.imface.model import ImFace, load_model, parameter_counts, save_model
from facemill.training.device import reproducible


@pytest.mark.parametrize(
    "warp, total, without_codes",
    [("se3", 16_234_526, 15_507_486), ("translation", 15_731_426, 15_004_386)],
)
def test_counts_are_the_published_ones(warp, total, without_codes):
    counts = parameter_counts(ImFace(ModelConfig(warp=warp), 355, 15))
    codes = counts["identity_codes"] + counts["expression_codes"]
    assert counts["total"] == total
    assert counts["total"] - codes == without_codes
    assert (counts["identity_codes"], counts["expression_codes"]) == (45_440, 681_600)
    assert counts["observed_landmark_net"] == 135_439
    assert counts["neutral_landmark_net"] == 102_671
    assert counts["template_siren"] == 52_229
    assert counts["template_fusion"] == counts["expression_fusion"] == 18_191
    if warp == "se3":
        assert counts["expression_hyper"] == 7_483_806
        assert counts["expression_unread"] == 55_454
        assert counts["identity_hyper"] == 7_567_011
        assert sum(counts[f"identity_{p}"] for p in ("hyper", "fusion", "unread")) == 7_641_301


def test_counted_numbers_are_held_except_those_the_release_never_reads():
    model = ImFace(ModelConfig(), 3, 2)
    counts = parameter_counts(model)
    held = sum(p.numel() for p in model.parameters()) + model.template_landmarks.numel()
    assert held == counts["total"] - counts["expression_unread"] - counts["identity_unread"]


def test_training_starts_from_a_zero_template_and_a_flat_field():
    torch.manual_seed(0)
    model = ImFace(ModelConfig(), 3, 2)
    points = torch.rand(2, 500, 3) - 0.5
    condition = model.condition(*model.codes(torch.tensor([0, 2]), torch.tensor([0, 1])))
    output, gradient, _ = model.field_and_gradients(points, condition)
    assert model.template_sdf(points).abs().max() == 0
    assert torch.equal(output.sdf, output.correction)
    assert output.deformation.abs().mean() < 0.1
    eikonal = (gradient.norm(dim=-1) - 1).abs().mean()
    assert 0.75 < eikonal < 0.97  # 44 of a weight of 50 in the release's first step


@pytest.mark.parametrize("warp", ["se3", "translation"])
def test_fast_path_equals_the_plain_one_in_value_and_weight_gradient(warp, repository):
    path = repository / "benchmarks" / "plain_imface.py"
    spec = importlib.util.spec_from_file_location("plain_imface", path)
    plain = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(plain)
    model, batch = small_model(warp), small_batch()
    results = []
    for terms in (training_terms(model, batch), plain.terms(model, batch)):
        loss = sum(weighted(terms, LossWeights()).values())
        gradients = torch.autograd.grad(loss, list(model.parameters()))
        results.append((terms, gradients))
    (ours, our_gradients), (theirs, their_gradients) = results
    for name, value in theirs.items():
        assert torch.allclose(ours[name], value, rtol=1e-6), name
    for (name, _), a, b in zip(
        model.named_parameters(), our_gradients, their_gradients, strict=True
    ):
        assert torch.allclose(a, b, rtol=1e-5, atol=1e-5 * b.abs().max().item() + 1e-12), name


def test_products_in_bfloat16_leave_the_loss_as_it_is():
    """Published size. On a processor without units for bfloat16 both are the same."""
    torch.manual_seed(0)
    model = ImFace(ModelConfig(), 3, 2)
    batch = small_batch(torch.float32, points=700)

    def loss(precision: str) -> float:
        with reproducible(torch.device("cpu"), 1, precision):
            terms = weighted(training_terms(model, batch), LossWeights())
        return sum(value.item() for value in terms.values())

    exact = loss("highest")
    assert abs(loss("medium") - exact) < 1e-4 * exact


@pytest.mark.parametrize("warp", ["se3", "translation"])
def test_gradients_match_central_differences(warp):
    model, batch = small_model(warp), small_batch()
    condition = model.condition(*model.codes(batch.identity, batch.expression))
    with torch.no_grad():
        output, gradient, neutral_gradient = model.field_and_gradients(batch.points, condition)
        neutral = output.neutral_points
        for axis in range(3):
            shift = torch.zeros(3, dtype=torch.float64)
            shift[axis] = 1e-6
            up, down = (model.field(batch.points + s, condition).sdf for s in (shift, -shift))
            assert torch.allclose(gradient[..., axis], (up - down) / 2e-6, atol=1e-5, rtol=1e-5)
            sides = []
            for s in (shift, -shift):
                template_points, correction = model.to_template(neutral + s, condition)
                sides.append(model.template_sdf(template_points) + correction)
            slope = (sides[0] - sides[1]) / 2e-6
            assert torch.allclose(neutral_gradient[..., axis], slope, atol=1e-5, rtol=1e-5)


def test_losses_on_gradients_match_finite_differences_on_weights():
    model, batch = small_model(), small_batch()

    def loss() -> torch.Tensor:
        terms = training_terms(model, batch)
        return terms["normal"] + terms["eikonal"] + terms["eikonal_neutral"]

    model.zero_grad()
    loss().backward()
    generator = torch.Generator().manual_seed(2)
    for name, parameter in model.named_parameters():
        if parameter.grad is None or "landmark_net" in name:
            continue
        direction = torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype)
        direction /= direction.norm()
        values = []
        for step in (1e-6, -1e-6):
            with torch.no_grad():
                parameter += step * direction
                values.append(loss().item())
                parameter -= step * direction
        slope = (values[0] - values[1]) / 2e-6
        assert (parameter.grad * direction).sum().item() == pytest.approx(
            slope, rel=1e-4, abs=1e-6
        ), name


def test_bypass_takes_the_points_as_neutral_ones():
    model, batch = small_model(), small_batch()
    condition = model.condition(*model.codes(batch.identity, batch.expression))
    bypass = torch.tensor([True, False, False])
    output = model.field(batch.points, condition, bypass)
    assert torch.equal(output.neutral_points[0], batch.points[0])
    assert not torch.allclose(output.neutral_points[1], batch.points[1])
    whole, gradient, neutral_gradient = model.field_and_gradients(batch.points, condition, bypass)
    assert torch.allclose(gradient[0], neutral_gradient[0])
    assert torch.allclose(whole.sdf, output.sdf)


def test_a_row_of_a_condition_gives_the_same_field():
    model, batch = small_model(), small_batch()
    condition = model.condition(*model.codes(batch.identity, batch.expression))
    whole = model.field(batch.points, condition)
    one = model.field(batch.points[1:2], condition.rows(slice(1, 2)).detach())
    assert torch.allclose(one.sdf[0], whole.sdf[1], rtol=1e-10)


def test_codes_are_found_by_person_and_expression():
    model = small_model()
    _, expression = model.codes(torch.tensor([2]), torch.tensor([1]))
    assert torch.equal(expression[0], model.expression_codes.weight[1 * 3 + 2])


def test_a_model_comes_back_from_disk_with_its_config(tmp_path):
    model = small_model("translation", dtype=torch.float32)
    path = tmp_path / "a model.safetensors"
    save_model(path, model, ["p1", "p2", "p3"], ["1_neutral", "2_smile"], {"note": [1, 2]})
    again, metadata = load_model(path)
    assert again.config == model.config
    assert (metadata["people"][2], metadata["note"]) == ("p3", [1, 2])
    for name, value in model.state_dict().items():
        assert torch.equal(value, again.state_dict()[name])
    with pytest.raises(ConfigError, match="name every row"):
        save_model(path, model, ["p1"], ["1_neutral"])


def test_a_truncated_or_foreign_model_file_is_refused(tmp_path):
    path = tmp_path / "model.safetensors"
    with pytest.raises(DataError, match="no such file"):
        load_model(path)
    save_model(path, small_model(dtype=torch.float32), ["a", "b", "c"], ["1_neutral", "2_smile"])
    whole = path.read_bytes()
    for kept in (len(whole) // 2, 20):
        path.write_bytes(whole[:kept])
        with pytest.raises(DataError, match="not a whole safetensors file"):
            load_model(path)
    from safetensors.torch import save_file

    save_file({"x": torch.zeros(2)}, path)
    with pytest.raises(DataError, match=r"facemill\.imface"):
        load_model(path)
