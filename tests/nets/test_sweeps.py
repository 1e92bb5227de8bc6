"""Gradients written out by hand equal autograd's, in value and when differentiated once more."""

import weakref

import pytest
import torch

from facemill.nets.fusion import FusionNet, FusionSweeps
from facemill.nets.siren import SineSweeps, Siren, scaled_for_sine, siren
from facemill.nets.sweeps import Sweeps, swept


def both_orders(forward, sweeps: Sweeps, x, parameters):
    """(value, pulled gradient, gradients of a loss on both) by hand and by autograd."""
    seed = torch.randn_like(forward(x)).requires_grad_()
    value, results = forward(x), []
    (pulled,) = torch.autograd.grad(value, x, seed, create_graph=True)
    of_value, of_pulled = 2 * value.detach(), 2 * pulled.detach()
    loss = value.square().sum() + pulled.square().sum()
    results.append((value, pulled, *torch.autograd.grad(loss, [seed, x, *parameters])))
    with torch.no_grad():
        value, pulled = sweeps.forward(x), sweeps.pull(seed.clone())
        of_seed = sweeps.push(of_pulled)
        of_x = sweeps.back(of_value)
    return [(value, pulled, of_seed, of_x, *sweeps.gradients()), *results]


def assert_equal(results):
    for ours, theirs in zip(*results, strict=True):
        assert torch.allclose(ours, theirs, rtol=1e-8, atol=1e-10)


def points(items: int) -> torch.Tensor:
    x = torch.rand(items, 30, 3, dtype=torch.float64) - 0.5
    return x.requires_grad_()


def test_sine_network_with_shared_weights():
    torch.manual_seed(0)
    net = Siren(3, 12, 2, 4, omega=5.0).double()
    layers = [
        (weight.detach().requires_grad_(), bias.detach().requires_grad_())
        for weight, bias in scaled_for_sine(net.layers(), 5.0)
    ]
    results = both_orders(
        lambda x: siren(x, layers),
        SineSweeps(layers),
        points(2),
        [tensor for layer in layers for tensor in layer],
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
        SineSweeps(layers),
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
        net.norms[1].weight[3] = 0
    results = both_orders(net.forward, FusionSweeps(net), points(2), list(net.parameters()))
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
    assert torch.allclose(FusionSweeps(net).forward(x), plain, atol=1e-12)


class Cubed:
    """x^3 and its gradient, as the simplest pass."""

    def outputs(self, x):
        self.x = x
        return x**3, 3 * x**2

    def backward(self, of_value, of_gradient):
        return 3 * self.x**2 * of_value + 6 * self.x * of_gradient, []


def test_a_pass_is_a_function_to_autograd():
    x = torch.tensor([2.0, -1.0], requires_grad=True)
    value, gradient = swept(Cubed(), x, [])
    loss = value.sum() + gradient.square().sum()
    for retain in (True, False):
        (found,) = torch.autograd.grad(loss, x, retain_graph=retain)
        assert torch.equal(found, 3 * x**2 + 36 * x**3)
    with pytest.raises(RuntimeError, match="second time"):
        torch.autograd.grad(loss, x)
    with torch.no_grad():
        assert not swept(Cubed(), x, [])[1].requires_grad


def test_a_pass_forgotten_without_its_backward_leaves_no_memory_behind():
    held = []

    class Seen(Cubed):
        def outputs(self, x):
            found = super().outputs(x)
            self.kept = found
            held.append(weakref.ref(self))
            return found

    x = torch.ones(3, requires_grad=True)
    swept(Seen(), x, [])
    assert held[0]() is None
