"""Gradients written out by hand equal autograd's, in value and when differentiated once more."""

import pytest
import torch

from facemill.nets.fusion import FusionNet
from facemill.nets.siren import Siren, scaled_for_sine, siren, siren_and_pullback


def both_orders(forward, and_pullback, x, parameters):
    """(value, pulled gradient, gradients of a loss on both) by hand and by autograd."""
    results = []
    for by_hand in (True, False):
        if by_hand:
            value, pullback = and_pullback(x)
            cotangent = value.sin()  # depends on the value, as the next field's gradient does
            pulled = pullback(cotangent)
        else:
            value = forward(x)
            cotangent = value.sin()
            (pulled,) = torch.autograd.grad(value, x, cotangent, create_graph=True)
        loss = value.square().sum() + pulled.square().sum()
        gradients = torch.autograd.grad(loss, [x, *parameters], retain_graph=True)
        results.append((value, pulled, *gradients))
    return results


def assert_equal(results):
    for ours, theirs in zip(*results, strict=True):
        assert torch.allclose(ours, theirs, rtol=1e-8, atol=1e-10)


def points(items: int) -> torch.Tensor:
    x = torch.rand(items, 30, 3, dtype=torch.float64) - 0.5
    return x.requires_grad_()


def test_sine_network_with_shared_weights():
    torch.manual_seed(0)
    net = Siren(3, 12, 2, 4, omega=5.0).double()
    layers = scaled_for_sine(net.layers(), 5.0)
    results = both_orders(
        lambda x: siren(x, layers),
        lambda x: siren_and_pullback(x, layers),
        points(2),
        list(net.parameters()),
    )
    assert_equal(results)


@pytest.mark.parametrize("items", [1, 3])
def test_sine_network_with_weights_of_its_own_for_each_item(items):
    torch.manual_seed(0)
    layers = [
        (
            torch.randn(items, out, fan_in, dtype=torch.float64).requires_grad_(),
            torch.randn(items, out, dtype=torch.float64).requires_grad_(),
        )
        for out, fan_in in [(6, 3), (6, 6), (4, 6)]
    ]
    results = both_orders(
        lambda x: siren(x, layers),
        lambda x: siren_and_pullback(x, layers),
        points(items),
        [tensor for layer in layers for tensor in layer],
    )
    assert_equal(results)


def test_fusion_net():
    torch.manual_seed(0)
    net = FusionNet(10, 5).double()
    with torch.no_grad():
        for norm in net.norms:
            norm.weight.uniform_(0.5, 1.5)
            norm.bias.uniform_(-0.5, 0.5)
    results = both_orders(net.forward, net.and_pullback, points(2), list(net.parameters()))
    assert_equal(results)
    weights = results[0][0]
    assert torch.allclose(weights.sum(-1), torch.ones(2, 30, dtype=torch.float64))
    assert (weights > 0).all()


def test_fusion_net_equals_the_layers_it_is_made_of():
    torch.manual_seed(0)
    net = FusionNet(10, 5).double()
    (a, b, c), (na, nb, nc) = net.linears, net.norms
    x = points(1)
    leaky = torch.nn.LeakyReLU(0.01)
    plain = torch.softmax(nc(c(leaky(nb(b(leaky(na(a(x)))))))), -1)
    assert torch.allclose(net(x), plain, atol=1e-12)
    assert torch.allclose(net.and_pullback(x)[0], plain, atol=1e-12)


def test_no_graph_is_needed():
    net = FusionNet(10, 5)
    layers = scaled_for_sine(Siren(3, 12, 2, 4, omega=5.0).layers(), 5.0)
    x = torch.rand(1, 8, 3)
    with torch.no_grad():
        for value, pullback in (net.and_pullback(x), siren_and_pullback(x, layers)):
            assert pullback(torch.ones_like(value)).shape == x.shape
