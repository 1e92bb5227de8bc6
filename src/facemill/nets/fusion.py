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


def _projected(
    x: Tensor, n: Tensor, gain: Tensor | None, of_parameters: bool = False
) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """v - mean v - n mean(v n) of v = gain x, and on demand the sums of x n and of x over points.

    LayerNorm's own backward kernel for an input with mean 0 and deviation 1 does it in one pass.
    """
    zero = n.new_zeros(*n.shape[:-1], 1)
    mask = [True, of_parameters, of_parameters]
    bias = gain if of_parameters else None  # only its shape counts
    return torch.ops.aten.native_layer_norm_backward(
        x, n, n.shape[-1:], zero, zero + 1, gain, bias, mask
    )


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
        before = _leaky_backward(of_value, value, ctx.slope)
        of_h, of_gain, of_bias = _projected(before, n, gain, of_parameters=True)
        if of_normalised is not None:
            of_h += _projected(of_normalised, n, None)[0]
        if of_scale is not None:
            of_h.addcmul_(n, of_scale * scale / n.shape[-1], value=-1)
        return of_h.mul_(scale), of_gain, of_bias, None, None


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
        before = _leaky_backward(of_value, value, slope)
        ctx.save_for_backward(before, value, n, scale, gain)
        ctx.slope = slope
        return _projected(before, n, gain)[0].mul_(scale)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        before, value, n, scale, gain = ctx.saved_tensors
        v = before * gain
        across = -scale * _mean(gradient * n)
        along = -scale * _mean(v * n)
        of_n = (gradient * along).addcmul_(v, across)
        projected = _projected(gradient, n, None)[0]
        of_scale = v.mul_(projected).sum(-1, keepdim=True)
        of_v = projected.mul_(scale)
        of_gain = (of_v * before).sum(tuple(range(n.dim() - 1)))
        of_value = _leaky_backward(of_v * gain, value, ctx.slope)
        return of_value, None, of_n, of_scale, of_gain, None
