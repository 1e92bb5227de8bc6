"""Sine networks (Sitzmann et al. 2020) whose weights may be shared or generated per batch item."""

import math
from collections.abc import Callable, Sequence
from typing import Any

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


def siren_and_pullback(
    x: Float[Tensor, "b n i"], layers: Layers
) -> tuple[Float[Tensor, "b n o"], Callable[[Tensor], Tensor]]:
    """:func:`siren` and the function that pulls a gradient of its output back to its input.

    What is pulled back can be differentiated again, so that losses on gradients reach weights and
    inputs. Same numbers as autograd with ``create_graph``; sines and cosines are computed once, and
    both passes have their backward written by hand, which saves most of the intermediate arrays.
    """
    tensors = [tensor for layer in layers for tensor in layer]
    shared = tensors[0].dim() == 2
    if not shared and len(tensors[0]) == 1:  # one item: plain products are faster than batched ones
        tensors, shared = [tensor[0] for tensor in tensors], True
    shape = x.shape[:-1]
    output, *cosines = _SineValue.apply(x.flatten(0, 1) if shared else x, *tensors)

    def pullback(gradient: Tensor) -> Tensor:
        gradient = gradient.flatten(0, 1) if shared else gradient
        return _SinePullback.apply(gradient, *cosines, *tensors[::2]).view(*shape, -1)

    return output.view(*shape, -1), pullback


class _SineValue(torch.autograd.Function):
    """x, W_1, b_1, ..., W_H, b_H -> output, cos z_1, ..., cos z_L of z_l = W_l a_(l-1) + b_l."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, *tensors: Tensor) -> tuple[Tensor, ...]:
        ctx.set_materialize_grads(False)
        weights, biases = tensors[::2], tensors[1::2]
        sines, cosines = [x], []
        for weight, bias in zip(weights[:-1], biases[:-1], strict=True):
            phase = _affine(sines[-1], weight, bias)
            cosines.append(phase.cos())
            sines.append(phase.sin_())
        ctx.save_for_backward(*sines, *cosines, *weights)
        return _affine(sines[-1], weights[-1], biases[-1]), *cosines

    @staticmethod
    def backward(ctx: Any, output: Tensor, *cosines: Tensor | None) -> tuple[Tensor, ...]:
        count = len(cosines)
        saved = ctx.saved_tensors
        sines, cos, weights = saved[: count + 1], saved[count + 1 : -count - 1], saved[-count - 1 :]
        found = [output.mT @ sines[-1], output.sum(-2)]
        gradient = output @ weights[-1]
        for layer in reversed(range(count)):
            phase = gradient * cos[layer]
            of_cosine = cosines[layer]
            if of_cosine is not None:
                phase.addcmul_(of_cosine, sines[layer + 1], value=-1)
            found = [phase.mT @ sines[layer], phase.sum(-2), *found]
            gradient = phase @ weights[layer]
        return gradient, *found


class _SinePullback(torch.autograd.Function):
    """gradient of the output, cos z_1, ..., W_1, ..., W_H -> gradient of the input."""

    @staticmethod
    def forward(ctx: Any, output: Tensor, *tensors: Tensor) -> Tensor:
        count = len(tensors) // 2
        cosines, weights = tensors[:count], tensors[count:]
        pulled = [output @ weights[-1]]
        for cosine, weight in zip(reversed(cosines), reversed(weights[:-1]), strict=True):
            pulled.append((pulled[-1] * cosine) @ weight)
        ctx.save_for_backward(output, *pulled[:-1], *tensors)
        return pulled[-1]

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, ...]:
        output, *saved = ctx.saved_tensors
        count = (len(saved) - 1) // 3
        pulled = saved[:count][::-1]
        cosines, weights = saved[count : 2 * count], saved[2 * count :]
        of_cosines, of_weights = [], []
        for layer, cosine in enumerate(cosines):
            of_weights.append((pulled[layer] * cosine).mT @ gradient)
            gradient = gradient @ weights[layer].mT
            of_cosines.append(gradient * pulled[layer])
            gradient.mul_(cosine)
        of_weights.append(output.mT @ gradient)
        return gradient @ weights[-1].mT, *of_cosines, *of_weights


def _affine(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """x W^T + bias for (n, i) with one weight or (b, n, i) with b of them."""
    if weight.dim() == 2:
        return torch.addmm(bias, x, weight.mT)
    return torch.baddbmm(bias.unsqueeze(1), x, weight.mT)


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
