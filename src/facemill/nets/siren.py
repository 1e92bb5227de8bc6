"""Sine networks (Sitzmann et al. 2020) whose weights may be shared or generated per batch item."""

import math
from collections.abc import Sequence

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
    if len(weight) == 1:  # one plain product is several times faster than a batch of one
        return F.linear(x, weight[0], bias[0])
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
