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

from collections.abc import Callable
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from facemill.imface.config import ModelConfig
from facemill.nets.fusion import FusionNet
from facemill.nets.hypernetwork import HyperNetwork
from facemill.nets.siren import (
    Layers,
    Siren,
    scaled_for_sine,
    siren,
    siren_and_pullback,
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
        spread, flat, gather, _ = _by_net(points, layers)
        local = gather(siren(spread, flat))
    else:
        local = siren(points, layers).unflatten(-1, (weights.shape[-1], -1))
    return (weights.unsqueeze(-1) * local).sum(-2)


def blend_and_pullback(
    points: Float[Tensor, "b n 3"], layers: Layers, fusion: FusionNet | None, form: Form
) -> tuple[Float[Tensor, "b n m"], Callable[[Tensor], Tensor]]:
    """:func:`blend` and the function that pulls a gradient of its output back to the points."""
    if fusion is None:
        return siren_and_pullback(points, layers)
    weights, weights_pullback = fusion.and_pullback(points)
    if form == "local":
        spread, flat, gather, scatter = _by_net(points, layers)
        values, net_pullback = siren_and_pullback(spread, flat)
        local = gather(values)
    else:
        values, net_pullback = siren_and_pullback(points, layers)
        local = values.unflatten(-1, (weights.shape[-1], -1))

    def pullback(gradient: Tensor) -> Tensor:
        of_weights = (local * gradient.unsqueeze(-2)).sum(-1)
        of_local = weights.unsqueeze(-1) * gradient.unsqueeze(-2)
        if form == "local":
            of_points = gather(net_pullback(scatter(of_local))).sum(-2)
        else:
            of_points = net_pullback(of_local.flatten(-2))
        return weights_pullback(of_weights) + of_points

    return (weights.unsqueeze(-1) * local).sum(-2), pullback


def _by_net(
    points: Float[Tensor, "b n 3"], layers: Layers
) -> tuple[Tensor, Layers, Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]:
    """Points and layers with one batch item for each local net, and the ways back and forth.

    ``gather`` brings the nets' outputs to (b, n, k, m), ``scatter`` is its inverse. All small nets
    of all scans run as one batched product.
    """
    first = layers[0][0]
    b, n, _ = points.shape
    if first.dim() == 4:  # generated: (b, k, out, in)
        k = first.shape[1]
        spread = points.unsqueeze(1).expand(-1, k, -1, -1).flatten(0, 1)
        flat = [(weight.flatten(0, 1), bias.flatten(0, 1)) for weight, bias in layers]
        return (
            spread,
            flat,
            lambda values: values.unflatten(0, (b, k)).transpose(1, 2),
            lambda values: values.transpose(1, 2).flatten(0, 1),
        )
    spread = points.flatten(0, 1).expand(len(first), -1, -1)  # the template's: (k, out, in)
    return (
        spread,
        layers,
        lambda values: values.unflatten(1, (b, n)).permute(1, 2, 0, 3),
        lambda values: values.permute(2, 0, 1, 3).flatten(1, 2),
    )
