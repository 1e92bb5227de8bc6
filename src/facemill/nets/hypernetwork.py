"""Hyper-networks: a code is mapped to the weights of another network."""

import itertools
import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn


class HyperNetwork(nn.Module):
    """One small ReLU net per generated tensor, all of them evaluated side by side.

    The nets share no weights, but their hidden layers have equal shapes: they are held as
    (tensors, in, out) stacks and run as one batched product per layer. The output layers differ in
    size and stay apart: nearly all weights are theirs, and cutting one stack into pieces would copy
    its whole gradient together again in every step.

    ``shapes`` are the (out, in) of the generated layers; a weight and a bias is made for each. With
    ``groups`` above 1 that many networks are generated, each from its own part of the code.
    """

    def __init__(
        self,
        code_dim: int,
        width: int,
        hidden_layers: int,
        shapes: Sequence[tuple[int, int]],
        groups: int = 1,
    ) -> None:
        super().__init__()
        self.shapes = tuple(shapes)
        self.groups = groups
        self.sizes = [size for out, fan_in in shapes for size in (out * fan_in, out)] * groups
        nets = len(self.sizes)
        widths = [code_dim // groups, *[width] * hidden_layers]
        stacks = list(itertools.pairwise(widths))
        self.hidden_weights = nn.ParameterList(torch.empty(nets, i, o) for i, o in stacks)
        self.hidden_biases = nn.ParameterList(torch.empty(nets, 1, o) for _, o in stacks)
        self.output_weights = nn.ParameterList(torch.empty(s, widths[-1]) for s in self.sizes)
        self.output_biases = nn.ParameterList(torch.empty(s) for s in self.sizes)
        self.initialise()

    @torch.no_grad()
    def initialise(self) -> None:
        """Kaiming-normal weights, a hundredth of that in the output layers, whose biases therefore
        decide what is generated at first: U(+-1/fan_in) for a weight (the fan-in of the generated
        layer), U(+-1/width) for a bias."""
        for weight, bias in zip(self.hidden_weights, self.hidden_biases, strict=True):
            fan_in = weight.shape[1]
            weight.normal_(0, math.sqrt(2 / fan_in))
            bias.uniform_(-1 / math.sqrt(fan_in), 1 / math.sqrt(fan_in))
        width = self.output_weights[0].shape[1]
        fans = [fan for _, fan_in in self.shapes for fan in (fan_in, width)] * self.groups
        for weight, bias, fan in zip(self.output_weights, self.output_biases, fans, strict=True):
            weight.normal_(0, math.sqrt(2 / width) / 100)
            bias.uniform_(-1 / fan, 1 / fan)

    def forward(self, code: Float[Tensor, "b c"]) -> list[tuple[Tensor, Tensor]]:
        """Generated layers: weight (b, out, in) and bias (b, out) of each.

        With more than one group (b, groups, out, in) and (b, groups, out).
        """
        parts = code.unflatten(-1, (self.groups, -1)).transpose(0, 1)
        hidden = parts.repeat_interleave(2 * len(self.shapes), dim=0)
        for weight, bias in zip(self.hidden_weights, self.hidden_biases, strict=True):
            hidden = torch.relu(torch.baddbmm(bias, hidden, weight))
        outputs = zip(hidden, self.output_weights, self.output_biases, strict=True)
        tensors = [F.linear(h, weight, bias) for h, weight, bias in outputs]
        each = [
            [
                (weight.view(-1, out, fan_in), bias)
                for (out, fan_in), weight, bias in zip(
                    self.shapes, group[::2], group[1::2], strict=True
                )
            ]
            for group in equal_parts(tensors, self.groups)
        ]
        if self.groups == 1:
            return each[0]
        return [
            tuple(torch.stack(same, dim=1) for same in zip(*layer, strict=True))
            for layer in zip(*each, strict=True)
        ]


def equal_parts(tensors: list[Tensor], groups: int) -> list[list[Tensor]]:
    """The list cut into equal parts."""
    size = len(tensors) // groups
    return [tensors[i * size : (i + 1) * size] for i in range(groups)]
