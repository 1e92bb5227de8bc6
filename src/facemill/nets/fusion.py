"""A learned partition of unity over space."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

SLOPE = 0.01
"""Of the leaky rectifiers, for negative values."""


class FusionNet(nn.Module):
    """Points to positive weights that sum to one, k of them (ImFace's fusion network).

    Linear, LayerNorm, LeakyReLU twice, then a linear layer whose k logits are normalised as well
    before the softmax: that bounds how peaked the weights can become.
    """

    def __init__(self, width: int, outputs: int) -> None:
        super().__init__()
        sizes = [(3, width), (width, width), (width, outputs)]
        self.linears = nn.ModuleList(nn.Linear(fan_in, out) for fan_in, out in sizes)
        self.norms = nn.ModuleList(nn.LayerNorm(out) for _, out in sizes)

    def forward(self, points: Float[Tensor, "b n 3"]) -> Float[Tensor, "b n k"]:
        """Weights of every point; depends on nothing but where the point is."""
        x = points
        for linear, norm in zip(self.linears, self.norms, strict=True):
            last = linear is self.linears[-1]
            x = norm(linear(x))
            x = x.softmax(-1) if last else F.leaky_relu(x, SLOPE)
        return x

    def and_pullback(
        self, points: Float[Tensor, "b n 3"]
    ) -> tuple[Float[Tensor, "b n k"], Callable[[Tensor], Tensor]]:
        """:meth:`forward` and the function that pulls a gradient of the weights back to the points.

        What is pulled back can be differentiated once more. Same numbers as autograd with
        ``create_graph``, a third of its time: LayerNorm's double backward is written out.
        """
        x, kept = points, []
        for linear, norm in zip(self.linears, self.norms, strict=True):
            slope = 1.0 if linear is self.linears[-1] else SLOPE
            x, normalised, scale = _NormLeaky.apply(
                linear(x), norm.weight, norm.bias, norm.eps, slope
            )
            kept.append((linear.weight, norm.weight, x, normalised, scale, slope))
        weights = x.softmax(-1)

        def pullback(gradient: Tensor) -> Tensor:
            weighted = weights * gradient
            gradient = weighted - weights * weighted.sum(-1, keepdim=True)
            for weight, gain, value, normalised, scale, slope in reversed(kept):
                pulled = _NormLeakyPullback.apply(gradient, value, normalised, scale, gain, slope)
                gradient = pulled @ weight
            return gradient

        return weights, pullback


def _leaky_backward(gradient: Tensor, value: Tensor, slope: float) -> Tensor:
    """Gradient before a leaky rectifier from the one behind it and its value (same sign)."""
    if slope == 1.0:
        return gradient
    return torch.ops.aten.leaky_relu_backward(gradient, value, slope, True)


def _mean(x: Tensor) -> Tensor:
    return x.mean(-1, keepdim=True)


class _NormLeaky(torch.autograd.Function):
    """h -> leaky(gain n + bias), n = (h - mean h) r, r = 1/std h; n and r are outputs as well."""

    @staticmethod
    def forward(
        ctx: Any, h: Tensor, gain: Tensor, bias: Tensor, eps: float, slope: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        ctx.set_materialize_grads(False)
        normalised, _, scale = torch.native_layer_norm(h, h.shape[-1:], None, None, eps)
        value = torch.addcmul(bias, normalised, gain)
        if slope != 1.0:
            value = F.leaky_relu_(value, slope)
        ctx.save_for_backward(value, normalised, scale, gain)
        ctx.slope = slope
        return value, normalised, scale

    @staticmethod
    def backward(
        ctx: Any, of_value: Tensor, of_normalised: Tensor | None, of_scale: Tensor | None
    ) -> tuple[Tensor | None, ...]:
        value, n, scale, gain = ctx.saved_tensors
        of_bias = _leaky_backward(of_value, value, ctx.slope)
        v = of_bias * gain
        if of_normalised is not None:
            v += of_normalised
        along = _mean(v * n)
        if of_scale is not None:
            along += of_scale * scale / n.shape[-1]
        of_h = (v - _mean(v)).addcmul_(n, along, value=-1).mul_(scale)
        axes = tuple(range(n.dim() - 1))
        return of_h, (of_bias * n).sum(axes), of_bias.sum(axes), None, None


class _NormLeakyPullback(torch.autograd.Function):
    """Gradient of :class:`_NormLeaky`'s value to gradient of h, differentiable once more."""

    @staticmethod
    def forward(
        ctx: Any,
        of_value: Tensor,
        value: Tensor,
        n: Tensor,
        scale: Tensor,
        gain: Tensor,
        slope: float,
    ) -> Tensor:
        of_bias = _leaky_backward(of_value, value, slope)
        v = of_bias * gain
        along = _mean(v * n)
        ctx.save_for_backward(of_bias, value, n, scale, gain, along)
        ctx.slope = slope
        return (v - _mean(v)).addcmul_(n, along, value=-1).mul_(scale)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        of_bias, value, n, scale, gain, along = ctx.saved_tensors
        v = of_bias * gain
        across = _mean(gradient * n)
        projected = (gradient - _mean(gradient)).addcmul_(n, across, value=-1)
        of_scale = (projected * v).sum(-1, keepdim=True)
        of_v = projected.mul_(scale)
        of_n = (gradient * along).addcmul_(v, across).mul_(-scale)
        of_gain = (of_v * of_bias).sum(tuple(range(n.dim() - 1)))
        of_value = _leaky_backward(of_v * gain, value, ctx.slope)
        return of_value, None, of_n, of_scale, of_gain, None
