"""Sine networks (Sitzmann et al. 2020) whose weights may be shared or generated per batch item."""

import math
from collections.abc import Sequence
from copy import copy

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

Layers = Sequence[tuple[Tensor, Tensor]]
"""(weight, bias) by layer: (out, in), (out,) if shared by all items; else with b in front."""


def siren_shapes(
    inputs: int, width: int, hidden_layers: int, outputs: int
) -> list[tuple[int, int]]:
    """(out, in) of every layer: a first one, ``hidden_layers`` of ``width``, a linear head."""
    return [(width, inputs), *[(width, width)] * hidden_layers, (outputs, width)]


def linear(x: Float[Tensor, "b n i"], weight: Tensor, bias: Tensor) -> Float[Tensor, "b n o"]:
    """x W^T + bias, with one weight for all items (o, i) or one for each (b, o, i)."""
    if weight.dim() == 2:
        return F.linear(x, weight, bias)
    return torch.baddbmm(bias.unsqueeze(1), x, weight.transpose(1, 2))


def scaled_for_sine(layers: Layers, omega: float) -> list[tuple[Tensor, Tensor]]:
    """Layers with omega multiplied into all but the head: sin(omega (W x + b)) = sin(W' x + b')."""
    *sines, head = layers
    return [*[(omega * weight, omega * bias) for weight, bias in sines], head]


def siren(x: Float[Tensor, "b n i"], layers: Layers) -> Float[Tensor, "b n o"]:
    """Sine layers and a linear head; ``layers`` come from :func:`scaled_for_sine`."""
    *sines, (head_weight, head_bias) = layers
    for weight, bias in sines:
        x = torch.sin(linear(x, weight, bias))
    return linear(x, head_weight, head_bias)


class SineSweeps:
    """:func:`siren` with the gradient of its output pulled back to x, in four sweeps (sweeps.py).

    Layer l: z_l = W_l a_(l-1) + b_l, a_l = sin z_l; pulled back: q_l = g_l cos z_l,
    g_(l-1) = q_l W_l. Weights are shared by all points or one for each batch item.
    """

    def __init__(self, layers: Layers) -> None:
        self.weights = [weight for weight, _ in layers]
        self.biases = [bias for _, bias in layers]
        self.one_item = self.weights[0].dim() == 3 and len(self.weights[0]) == 1
        if self.one_item:  # plain products are faster than batched ones
            self.weights = [weight[0] for weight in self.weights]
            self.biases = [bias[0] for bias in self.biases]
        self.shared = self.weights[0].dim() == 2
        # Products with matrices that lie in memory as they are used are faster.
        self.transposed = [weight.mT.contiguous() for weight in self.weights]

    def fresh(self) -> "SineSweeps":
        """A copy with the same layers for other points."""
        return copy(self)

    def forward(self, x: Float[Tensor, "b n i"]) -> Float[Tensor, "b n o"]:
        """Values; keeps sines and cosines of every layer."""
        self.shape = x.shape[:-1]
        self.sines, self.cosines = [self._flat(x)], []
        for transposed, bias in zip(self.transposed[:-1], self.biases[:-1], strict=True):
            phase = affine(self.sines[-1], transposed, bias)
            self.cosines.append(phase.cos())
            self.sines.append(phase.sin_())
        return self._shaped(affine(self.sines[-1], self.transposed[-1], self.biases[-1]))

    def pull(self, gradient: Float[Tensor, "b n o"]) -> Float[Tensor, "b n i"]:
        """Gradient of the output to gradient of x; keeps g_l, which costs less than q_l as well."""
        self.seed = self._flat(gradient)
        self.of_sines: list[Tensor] = []
        gradient = self.seed @ self.weights[-1]
        for cosine, weight in zip(self.cosines[::-1], self.weights[-2::-1], strict=True):
            self.of_sines.insert(0, gradient)
            gradient = (gradient * cosine) @ weight
        return self._shaped(gradient)

    def push(self, of_gradient: Float[Tensor, "b n i"]) -> Float[Tensor, "b n o"]:
        """Gradient of :meth:`pull`'s result to gradient of its argument.

        What it asks of cos z_l is left in ``of_sines``, for :meth:`back`.
        """
        u = self._flat(of_gradient)
        self.of_weights = []
        for layer, cosine in enumerate(self.cosines):
            of_phase = self.of_sines[layer] * cosine
            self.of_weights.append(of_phase.mT @ u)
            u = u @ self.transposed[layer]
            self.of_sines[layer].mul_(u)
            u.mul_(cosine)
        self.of_weights.append(self.seed.mT @ u)
        return self._shaped(u @ self.transposed[-1])

    def back(self, of_output: Float[Tensor, "b n o"]) -> Float[Tensor, "b n i"]:
        """Gradient of the output, with what :meth:`push` left, to gradient of x."""
        gradient = self._flat(of_output)
        self.of_biases = [gradient.sum(-2)]
        add_product(self.of_weights[-1], gradient.mT, self.sines[-1])
        for layer in reversed(range(len(self.cosines))):
            gradient = gradient @ self.weights[layer + 1]
            gradient.mul_(self.cosines[layer])
            gradient.addcmul_(self.of_sines[layer], self.sines[layer + 1], value=-1)
            self.of_biases.insert(0, gradient.sum(-2))
            add_product(self.of_weights[layer], gradient.mT, self.sines[layer])
        return self._shaped(gradient @ self.weights[0])

    def gradients(self) -> list[Tensor]:
        """Of weight, bias, weight, ... after :meth:`back`."""
        found = [
            tensor for pair in zip(self.of_weights, self.of_biases, strict=True) for tensor in pair
        ]
        return [tensor.unsqueeze(0) for tensor in found] if self.one_item else found

    def _flat(self, x: Tensor) -> Tensor:
        return x.reshape(-1, x.shape[-1]) if self.shared else x

    def _shaped(self, x: Tensor) -> Tensor:
        return x.view(*self.shape, -1)


def affine(x: Tensor, transposed: Tensor, bias: Tensor) -> Tensor:
    """x W^T + bias for (n, i) with one W^T or (b, n, i) with b of them.

    On a CPU the sum after the product is faster than a product that starts from a copied bias.
    """
    return (x @ transposed).add_(bias.unsqueeze(-2))


def add_product(total: Tensor, x: Tensor, y: Tensor) -> None:
    """total += x y, of matrices or stacks of matrices."""
    (total.addmm_ if total.dim() == 2 else total.baddbmm_)(x, y)


class Siren(nn.Module):
    """The weights of a sine network shared by all items, with SIREN's initialisation.

    First layer U(+-1/fan_in), hidden layers U(+-sqrt(6/fan_in)/omega), head zero if
    ``zero_head`` (the network then starts as the zero function), else as a hidden layer.
    Hidden biases keep the framework's default U(+-1/sqrt(fan_in)).
    """

    def __init__(
        self,
        inputs: int,
        width: int,
        hidden_layers: int,
        outputs: int,
        omega: float,
        zero_head: bool = False,
    ) -> None:
        super().__init__()
        shapes = siren_shapes(inputs, width, hidden_layers, outputs)
        self.linears = nn.ModuleList(nn.Linear(fan_in, fan_out) for fan_out, fan_in in shapes)
        with torch.no_grad():
            for number, layer in enumerate(self.linears):
                fan_in = layer.in_features
                bound = 1 / fan_in if number == 0 else math.sqrt(6 / fan_in) / omega
                layer.weight.uniform_(-bound, bound)
            if zero_head:
                self.linears[-1].weight.zero_()
                self.linears[-1].bias.zero_()

    def layers(self) -> list[tuple[Tensor, Tensor]]:
        """(weight, bias) of every layer, first to head."""
        return [(layer.weight, layer.bias) for layer in self.linears]
