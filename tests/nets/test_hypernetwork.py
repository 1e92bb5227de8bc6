"""Stacked hyper-networks equal a loop over small ones; generated weights start as SIREN wants."""

import pytest
import torch
import torch.nn.functional as F

from facemill.nets.hypernetwork import HyperNetwork
from facemill.nets.siren import Siren, scaled_for_sine, siren, siren_shapes


def test_stack_equals_a_loop_of_small_nets():
    torch.manual_seed(0)
    shapes = siren_shapes(15, 8, 2, 10)
    net = HyperNetwork(6, 7, 2, shapes)
    code = torch.randn(4, 6)
    layers = net(code)
    for i, tensor in enumerate(t for layer in layers for t in layer):
        hidden = code
        for weight, bias in zip(net.hidden_weights, net.hidden_biases, strict=True):
            hidden = F.relu(hidden @ weight[i] + bias[i])
        plain = hidden @ net.output_weights[i].T + net.output_biases[i]
        assert torch.allclose(tensor.flatten(1), plain, atol=1e-6)
    assert [tuple(w.shape[1:]) for w, _ in layers] == shapes


def test_generated_weights_hardly_depend_on_the_code_at_first():
    torch.manual_seed(0)
    net = HyperNetwork(128, 128, 2, siren_shapes(15, 128, 3, 30))
    first, hidden, *_ = net(0.01 * torch.randn(2, 128))
    assert first[0].abs().max() < 1.1 / 15  # the biases' bound and a little that the code adds
    assert hidden[0].abs().mean().item() == pytest.approx(0.5 / 128, rel=0.1)
    assert (hidden[0][0] - hidden[0][1]).abs().mean() < 0.1 * hidden[0].abs().mean()


def test_sine_network_equals_its_formula_with_shared_and_with_own_weights():
    torch.manual_seed(0)
    net = Siren(3, 16, 2, 4, omega=30.0)
    layers = net.layers()
    x = torch.rand(2, 50, 3) - 0.5
    plain = x
    for weight, bias in layers[:-1]:
        plain = torch.sin(30 * (plain @ weight.T + bias))
    plain = plain @ layers[-1][0].T + layers[-1][1]
    scaled = scaled_for_sine(layers, 30.0)
    own = [(w.expand(2, *w.shape), b.expand(2, *b.shape)) for w, b in scaled]
    assert torch.allclose(siren(x, scaled), plain, atol=1e-4)
    assert torch.allclose(siren(x, own), plain, atol=1e-4)
    one = [(w[:1], b[:1]) for w, b in own]
    assert torch.allclose(siren(x[:1], one), plain[:1], atol=1e-4)


def test_sine_layers_keep_their_variance_from_layer_to_layer():
    torch.manual_seed(0)
    net = Siren(3, 256, 4, 1, omega=30.0)
    x = torch.rand(1, 2000, 3) * 2 - 1
    for weight, bias in scaled_for_sine(net.layers(), 30.0)[:-1]:
        x = torch.sin(F.linear(x, weight, bias))
        assert x.std().item() == pytest.approx(0.7, abs=0.08)
