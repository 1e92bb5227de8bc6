"""The neural blend field (sec. 3.2) in the three forms that exist of it.

A blend field mixes outputs tied to k landmarks ("anchors") by weights that depend on the place
alone: sum_k w_k(x) psi_k(x - l_k). Its forms:

fused   one sine net sees the offsets to all anchors, and its output is cut into one piece for each
        anchor (ImFace's released code);
local   k sine nets, each sees the offset to its own anchor only and is generated from its own k-th
        part of the code (what the papers draw; ImFace++'s released code);
none    one sine net of x itself and nothing mixed (the paper's ablation).

Layers hold (weight, bias) and act on points: offsets to anchors are folded into biases. Weights
generated for b scans are (b, out, in), where local (b, k, out, in); the template's are without b.
"""

import functools
from collections.abc import Callable
from copy import copy
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from facemill.imface.config import ModelConfig
from facemill.nets.fusion import FusionNet, FusionSweeps
from facemill.nets.hypernetwork import HyperNetwork
from facemill.nets.siren import (
    Layers,
    SineSweeps,
    Siren,
    scaled_for_sine,
    siren,
    siren_shapes,
)

Form = Literal["fused", "local", "none"]


def net_shapes(config: ModelConfig, outputs: int) -> list[tuple[int, int]]:
    """(out, in) of the layers of one sine net of a field with ``outputs`` numbers a point."""
    k = len(config.anchors) if config.blend == "fused" else 1
    return siren_shapes(3 * k, config.width, config.hidden_layers, k * outputs)


def fusion_net(config: ModelConfig) -> FusionNet | None:
    """The weights of the mixture; nothing where nothing is mixed."""
    if config.blend == "none":
        return None
    return FusionNet(config.fusion_width, len(config.anchors))


class HyperBlendField(nn.Module):
    """A blend field whose sine nets are generated from a code: E, I and the refinement."""

    def __init__(self, config: ModelConfig, code_dim: int, outputs: int) -> None:
        super().__init__()
        self.form: Form = config.blend
        self.omega = config.omega
        self.shapes = net_shapes(config, outputs)
        groups = len(config.anchors) if self.form == "local" else 1
        self.hyper = HyperNetwork(
            code_dim, config.hyper_width, config.hyper_layers, self.shapes, groups
        )
        self.fusion = fusion_net(config)

    def layers(
        self, code: Float[Tensor, "b c"], anchors: Float[Tensor, "*b k 3"]
    ) -> list[tuple[Tensor, Tensor]]:
        """The generated layers, acting on points."""
        return on_points(self.hyper(code), anchors, self.omega, self.form)


class TemplateField(nn.Module):
    """The blend field of the template, one for all faces: T. Its head starts at zero."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.form: Form = config.blend
        self.omega = config.omega
        (first, inputs), *hidden, (outputs, _) = net_shapes(config, 1)
        sizes = (inputs, first, len(hidden), outputs)
        if self.form == "local":
            made = [Siren(*sizes, omega=config.omega, zero_head=True) for _ in config.anchors]
            self.sirens = nn.ModuleList(made)
        else:
            self.siren = Siren(*sizes, omega=config.omega, zero_head=True)
        self.fusion = fusion_net(config)

    def layers(self, anchors: Float[Tensor, "k 3"]) -> list[tuple[Tensor, Tensor]]:
        """The layers, acting on points."""
        if self.form == "local":
            each = [net.layers() for net in self.sirens]
            layers = [
                tuple(torch.stack(tensors) for tensors in zip(*same, strict=True))
                for same in zip(*each, strict=True)
            ]
        else:
            layers = self.siren.layers()
        return on_points(layers, anchors, self.omega, self.form)


def on_points(
    layers: Layers, anchors: Float[Tensor, "*b k 3"], omega: float, form: Form
) -> list[tuple[Tensor, Tensor]]:
    """Layers that act on offsets to anchors, rewritten to act on the points themselves.

    Offsets are an affine image of x. Fused: W [x - l_1, ..., x - l_k] + b = (sum_k W_k) x +
    (b - sum_k W_k l_k), the same function with 3 inputs instead of 3 k. Local: W x + (b - W l_k) of
    each net. Omega is multiplied in as well.
    """
    (weight, bias), *rest = layers
    if form == "fused":
        offset = (weight @ anchors.flatten(-2).unsqueeze(-1)).squeeze(-1)
        weight = weight.unflatten(-1, (-1, 3)).sum(-2)
        bias = bias - offset
    elif form == "local":
        bias = bias - (weight @ anchors.unsqueeze(-1)).squeeze(-1)
    return scaled_for_sine([(weight, bias), *rest], omega)


def blend(
    points: Float[Tensor, "b n 3"], layers: Layers, fusion: FusionNet | None, form: Form
) -> Float[Tensor, "b n m"]:
    """The field's m numbers at every point."""
    if fusion is None:
        return siren(points, layers)
    weights = fusion(points)
    if form == "local":
        spread, gather, _ = _by_net(points, layers)
        local = gather(siren(spread, _flat(layers)))
    else:
        local = siren(points, layers).unflatten(-1, (weights.shape[-1], -1))
    return (weights.unsqueeze(-1) * local).sum(-2)


class BlendSweeps:
    """:func:`blend` with a gradient of its output pulled back to the points (nets/sweeps.py).

    All k nets' outputs of a point are one row of k m numbers. Weights and mixtures are spread over
    such rows, and rows summed up, by products with matrices of ones and zeros: products over axes
    of five or seven numbers are slow.
    """

    def __init__(self, layers: Layers, fusion: FusionNet | None, form: Form) -> None:
        self.layers, self.form = layers, form
        self.net = SineSweeps(_flat(layers) if form == "local" else layers)
        self.fusion = None if fusion is None else FusionSweeps(fusion)

    def fresh(self) -> "BlendSweeps":
        """A copy of the same field for other points."""
        made = copy(self)
        made.net = self.net.fresh()
        made.fusion = None if self.fusion is None else self.fusion.fresh()
        return made

    def forward(self, points: Float[Tensor, "b n 3"]) -> Float[Tensor, "b n m"]:
        """The field's m numbers at every point."""
        if self.form == "local":
            points_of_nets, self.gather, self.scatter = _by_net(points, self.layers)
            self.local = self.gather(self.net.forward(points_of_nets)).flatten(-2)
        else:
            self.local = self.net.forward(points)
        if self.fusion is None:
            return self.local
        weights = self.fusion.forward(points)
        self.k = weights.shape[-1]
        m = self.local.shape[-1] // self.k
        self.nets_to_rows, self.mixture_to_rows = _spreads(self.k, m, points.dtype, points.device)
        self.weights = weights @ self.nets_to_rows
        return (self.weights * self.local) @ self.mixture_to_rows.mT

    def pull(self, gradient: Float[Tensor, "b n m"]) -> Float[Tensor, "b n 3"]:
        """Gradient of the output to gradient of the points."""
        if self.fusion is None:
            return self.net.pull(gradient)
        self.seed = gradient @ self.mixture_to_rows
        of_points = self._through_nets(self.net.pull, self.weights * self.seed)
        return of_points + self.fusion.pull((self.local * self.seed) @ self.nets_to_rows.mT)

    def push(self, of_gradient: Float[Tensor, "b n 3"]) -> Float[Tensor, "b n m"]:
        """Gradient of :meth:`pull`'s result to gradient of its argument."""
        if self.fusion is None:
            return self.net.push(of_gradient)
        if self.form == "local":
            each = of_gradient.unsqueeze(-2).expand(-1, -1, self.k, -1)
            of_local = self.gather(self.net.push(self.scatter(each))).flatten(-2)
        else:
            of_local = self.net.push(of_gradient)
        of_weights = self.fusion.push(of_gradient) @ self.nets_to_rows
        of_seed = (self.weights * of_local).addcmul_(self.local, of_weights)
        self.of_weights = (of_local * self.seed) @ self.nets_to_rows.mT
        self.of_local = of_weights.mul_(self.seed)
        return of_seed @ self.mixture_to_rows.mT

    def back(self, of_output: Float[Tensor, "b n m"]) -> Float[Tensor, "b n 3"]:
        """Gradient of the output, with what :meth:`push` left, to gradient of the points."""
        if self.fusion is None:
            return self.net.back(of_output)
        of_rows = of_output @ self.mixture_to_rows
        self.of_weights += (self.local * of_rows) @ self.nets_to_rows.mT
        self.of_local.addcmul_(self.weights, of_rows)
        of_points = self._through_nets(self.net.back, self.of_local)
        return of_points + self.fusion.back(self.of_weights)

    def gradients(self) -> list[Tensor]:
        """Of the layers, weight before bias, then of the fusion net's parameters."""
        of_layers = self.net.gradients()
        if self.form == "local":
            tensors = [tensor for layer in self.layers for tensor in layer]
            of_layers = [g.view(t.shape) for g, t in zip(of_layers, tensors, strict=True)]
        return of_layers + ([] if self.fusion is None else self.fusion.gradients())

    def _through_nets(
        self, sweep: Callable[[Tensor], Tensor], of_local: Float[Tensor, "b n km"]
    ) -> Float[Tensor, "b n 3"]:
        """Gradient of the nets' outputs to gradient of the points, by the sweep of all nets."""
        if self.form == "local":
            of_nets = self.scatter(of_local.unflatten(-1, (self.k, -1)))
            return self.gather(sweep(of_nets)).sum(-2)
        return sweep(of_local)


@functools.cache
def _spreads(
    k: int, m: int, dtype: torch.dtype, device: torch.device
) -> tuple[Float[Tensor, "k km"], Float[Tensor, "m km"]]:
    """Matrices of ones and zeros that spread k or m numbers over rows of k pieces of m numbers."""
    nets = torch.eye(k, dtype=dtype, device=device).repeat_interleave(m, dim=1)
    return nets, torch.eye(m, dtype=dtype, device=device).repeat(1, k)


def parameters_of(layers: Layers, fusion: FusionNet | None) -> list[Tensor]:
    """What :meth:`BlendSweeps.gradients` gives gradients of."""
    of_layers = [tensor for layer in layers for tensor in layer]
    return of_layers + ([] if fusion is None else list(fusion.parameters()))


def _flat(layers: Layers) -> Layers:
    """Layers with one batch item for each local net: all small nets of all scans are one product.

    Generated ones come as (b, k, out, in), the template's as (k, out, in).
    """
    if layers[0][0].dim() == 3:
        return layers
    return [(weight.flatten(0, 1), bias.flatten(0, 1)) for weight, bias in layers]


def _by_net(
    points: Float[Tensor, "b n 3"], layers: Layers
) -> tuple[Tensor, Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]:
    """Points with one batch item for each net of :func:`_flat`, and the ways back and forth.

    ``gather`` brings the nets' outputs to (b, n, k, m), ``scatter`` is its inverse.
    """
    first = layers[0][0]
    b, n, _ = points.shape
    if first.dim() == 4:  # generated: (b, k, out, in)
        k = first.shape[1]
        return (
            points.unsqueeze(1).expand(-1, k, -1, -1).flatten(0, 1),
            lambda values: values.unflatten(0, (b, k)).transpose(1, 2),
            lambda values: values.transpose(1, 2).flatten(0, 1),
        )
    return (  # the template's: (k, out, in)
        points.flatten(0, 1).expand(len(first), -1, -1),
        lambda values: values.unflatten(1, (b, n)).permute(1, 2, 0, 3),
        lambda values: values.permute(2, 0, 1, 3).flatten(1, 2),
    )
