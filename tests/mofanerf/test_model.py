"""The networks: published sizes, exact conditioning laws, both profiles behind one interface."""

import json

import pytest
import safetensors.torch
import torch

from facemill.errors import ConfigError, DataError
from facemill.mofanerf.canonical import unwrap
from facemill.mofanerf.config import ModelConfig
from facemill.mofanerf.layers import CodeLinear, encode
from facemill.mofanerf.model import (
    MoFaNeRF,
    load_model,
    macs_per_point,
    parameter_counts,
    save_model,
)

SMALL = {
    "faithful": ModelConfig(profile="faithful", coarse_width=16, fine_width=24),
    "fast": ModelConfig(
        texture_size=16, map_height=8, map_width=12, appearance_maps=3, width=16, warp_width=16
    ),
}


@pytest.fixture(params=["faithful", "fast"])
def model(request) -> MoFaNeRF:
    torch.manual_seed(0)
    made = MoFaNeRF(SMALL[request.param], 4)
    if request.param == "fast":  # a warp that moves nothing would hide what depends on it
        torch.nn.init.normal_(made.fine.warp.head.weight, std=0.1)
    return made


def inputs(b: int = 2, r: int = 3, s: int = 5) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(1)
    make = lambda *shape: torch.randn(*shape, generator=generator)  # noqa: E731
    return make(b, r, s, 3), make(b, r, 3), make(b, 50), make(b, 30), make(b, 256)


def test_published_parameter_counts():
    with torch.device("meta"):
        model = MoFaNeRF(ModelConfig(profile="faithful"), 20)
    assert parameter_counts(model) == {
        "modulation": 225_852,
        "texture": 3_297_088,
        "coarse": 1_598_852,
        "fine": 27_502_084,
        "expression_codes": 600,
    }


def test_published_multiply_adds():
    with torch.device("meta"):
        model = MoFaNeRF(ModelConfig(profile="faithful"), 20)
    assert macs_per_point(model.coarse) == pytest.approx(1.594e6, rel=1e-3)
    assert macs_per_point(model.fine) == pytest.approx(27.477e6, rel=1e-4)


def test_encoding_lists_the_place_then_sines_and_cosines_without_pi():
    x = torch.tensor([[0.3, -1.0, 2.0]])
    assert encode(x, 10).shape == (1, 63) and encode(x, 4).shape == (1, 27)
    code = encode(x, 2)[0]
    torch.testing.assert_close(code[:3], x[0])
    torch.testing.assert_close(
        code[3:9].sort().values, torch.sin(torch.cat([x, 2 * x])).flatten().sort().values
    )
    torch.testing.assert_close(
        code[9:].sort().values, torch.cos(torch.cat([x, 2 * x])).flatten().sort().values
    )


def test_a_code_as_bias_is_the_layer_over_the_concatenation():
    layer = CodeLinear(4, 6, 5)
    x, code = torch.randn(2, 7, 3, 6), torch.randn(2, 4)
    plain = torch.nn.functional.linear(
        torch.cat([code[:, None, None].expand(2, 7, 3, 4), x], -1), layer.weight, layer.bias
    )
    torch.testing.assert_close(layer(x, code), plain)
    per_ray = torch.randn(2, 7, 4)
    plain = torch.nn.functional.linear(
        torch.cat([per_ray[:, :, None].expand(2, 7, 3, 4), x], -1), layer.weight, layer.bias
    )
    torch.testing.assert_close(layer(x, per_ray), plain)


def test_modulation_is_a_scale_and_a_shift_by_the_shape(model):
    _, _, shape, expression, _ = inputs()
    none, one = torch.zeros_like(expression), torch.ones_like(expression)
    shift = model.modulation(shape, none)
    scale = model.modulation(shape, one) - shift
    torch.testing.assert_close(model.modulation(shape, expression), scale * expression + shift)


def test_neither_appearance_nor_view_reaches_the_density(model):
    points, view, shape, expression, appearance = inputs()
    appearance.requires_grad_()
    view.requires_grad_()
    codes = model.condition(shape, expression, appearance)
    density, colour = model.field(points, view, codes)
    gradients = torch.autograd.grad(
        density.sum(), (appearance, view), allow_unused=True, retain_graph=True
    )
    assert all(g is None or (g == 0).all() for g in gradients)
    other = model.condition(shape, expression, appearance + 1)
    assert torch.equal(model.field(points, -view, other)[0], density)
    to_colour = torch.autograd.grad(colour.sum(), (appearance, view))
    assert all(g.abs().sum() > 0 for g in to_colour)


def test_shape_and_expression_reach_the_density(model):
    points, view, shape, expression, appearance = inputs()
    shape.requires_grad_()
    expression.requires_grad_()
    density, _ = model.field(points, view, model.condition(shape, expression, appearance))
    for gradient in torch.autograd.grad(density.sum(), (shape, expression)):
        assert gradient.abs().sum() > 0


def test_fields_give_densities_and_colours(model):
    points, view, *codes = inputs()
    density, colour = model.field(points, view, model.condition(*codes))
    assert density.shape == (2, 3, 5) and colour.shape == (2, 3, 5, 3)
    assert (density >= 0).all() and (colour >= 0).all() and (colour <= 1).all()


def test_images_of_a_batch_do_not_mix(model):
    points, view, *codes = inputs()
    both = model.field(points, view, model.condition(*codes))
    alone = model.field(points[1:], view[1:], model.condition(*[c[1:] for c in codes]))
    torch.testing.assert_close(both[0][1:], alone[0])
    torch.testing.assert_close(both[1][1:], alone[1])


def test_the_texture_network_averages_what_is_larger(model):
    size = model.config.texture_size
    texture = torch.rand(2, 3, size, size)
    larger = texture.repeat_interleave(2, -1).repeat_interleave(2, -2)
    if model.config.profile == "fast":
        torch.testing.assert_close(model.appearance(larger), model.appearance(texture))
    assert model.appearance(texture).shape == (2, 256)


def test_unwrapping_goes_round_the_head():
    points = torch.tensor([[0, 0, 1.0], [1, 0, 0], [-2, 0, 0], [0, 1, 1], [0, -3, 3]])
    expected = torch.tensor([[0, 0], [0.5, 0], [-0.5, 0], [0, 0.5], [0, -0.5]])
    torch.testing.assert_close(unwrap(points), expected)
    axis = torch.zeros(1, 3, requires_grad=True)
    unwrap(axis).sum().backward()
    assert axis.grad.isfinite().all()


def test_a_model_comes_back_from_its_file(model, tmp_path):
    path = tmp_path / "model.safetensors"
    save_model(path, model, list("abcd"), "0" * 64, {"people": ["p"]})
    back, metadata = load_model(path, "0" * 64)
    assert metadata["expressions"] == list("abcd") and back.config == model.config
    for name, value in model.state_dict().items():
        assert torch.equal(value, back.state_dict()[name])


def test_foreign_damaged_and_mismatched_files_are_refused(tmp_path):
    path = tmp_path / "model.safetensors"
    model = MoFaNeRF(SMALL["fast"], 2)
    with pytest.raises(ConfigError, match="name every row"):
        save_model(path, model, ["a"], "0")
    save_model(path, model, ["a", "b"], "0" * 64)
    with pytest.raises(DataError, match="trained with codes of checksum"):
        load_model(path, "1" * 64)
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(DataError, match="not a whole safetensors file"):
        load_model(path)
    with pytest.raises(DataError, match="no such file"):
        load_model(tmp_path / "none.safetensors")
    about = {"facemill": json.dumps({"format": "another.1"})}
    safetensors.torch.save_file({"x": torch.zeros(1)}, path, about)
    with pytest.raises(DataError, match=r"weights of 'another\.1'"):
        load_model(path)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"texture_size": 100}, "power of two"),
        ({"profile": "faithful", "texture_size": 128}, "expected 512"),
        ({"width": 0}, "at least 1"),
        ({"fine_depth": 4}, "at least 6"),
    ],
)
def test_sizes_that_cannot_be_are_refused(keys, message):
    with pytest.raises(ConfigError, match=message):
        ModelConfig(**keys)
