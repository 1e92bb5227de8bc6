"""A learned partition of unity over space."""

from copy import copy

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from facemill.nets.siren import affine

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


class FusionSweeps:
    """:class:`FusionNet` with a gradient of its weights pulled back to the points (sweeps.py)."""

    def __init__(self, net: FusionNet) -> None:
        pairs = zip(net.linears, net.norms, strict=True)
        self.layers = [_LayerSweeps(*pair, leaky=pair[0] is not net.linears[-1]) for pair in pairs]

    def fresh(self) -> "FusionSweeps":
        """A copy of the same net for other points."""
        made = copy(self)
        made.layers = [copy(layer) for layer in self.layers]
        return made

    def forward(self, points: Float[Tensor, "b n 3"]) -> Float[Tensor, "b n k"]:
        """The net's weights of every point."""
        x = points.reshape(-1, 3)
        for layer in self.layers:
            x = layer.forward(x)
        self.weights = x.softmax(-1)
        return self.weights.view(*points.shape[:-1], -1)

    def pull(self, gradient: Float[Tensor, "b n k"]) -> Float[Tensor, "b n 3"]:
        """Gradient of the weights to gradient of the points.

        Softmax's Jacobian is symmetric: J g = w (g - <w, g>).
        """
        gradient, shape = gradient.reshape(self.weights.shape), gradient.shape
        self.centred = gradient - _dot(self.weights, gradient)
        self.seed = gradient
        gradient = self.weights * self.centred
        for layer in reversed(self.layers):
            gradient = layer.pull(gradient)
        return gradient.view(*shape[:-1], 3)

    def push(self, of_gradient: Float[Tensor, "b n 3"]) -> Float[Tensor, "b n k"]:
        """Gradient of :meth:`pull`'s result to gradient of its argument."""
        u, shape = of_gradient.reshape(-1, 3), of_gradient.shape
        for layer in self.layers:
            u = layer.push(u)
        mean = _dot(self.weights, u)
        self.of_weights = u * self.centred - mean * self.seed
        return (self.weights * (u - mean)).view(*shape[:-1], -1)

    def back(self, of_weights: Float[Tensor, "b n k"]) -> Float[Tensor, "b n 3"]:
        """Gradient of the weights, with what :meth:`push` left, to gradient of the points."""
        shape = of_weights.shape
        gradient = self.of_weights.add_(of_weights.reshape(self.weights.shape))
        gradient = self.weights * (gradient - _dot(self.weights, gradient))
        for layer in reversed(self.layers):
            gradient = layer.back(gradient)
        return gradient.view(*shape[:-1], 3)

    def gradients(self) -> list[Tensor]:
        """Of the net's parameters, linear layers first, as ``FusionNet.parameters`` has them."""
        each = [layer.gradients() for layer in self.layers]
        return [g for layer in each for g in layer[:2]] + [g for layer in each for g in layer[2:]]


class _LayerSweeps:
    """y = leaky(gain n + shift), n = s h, s = (|h|^2 + k eps)^(-1/2), h = W x + b without its mean.

    That is a linear layer, LayerNorm and a rectifier: the mean over the k features is taken from
    the columns of W and from b instead of from every point's h, and sqrt(k) is in the gain, so that
    n has length 1. Pulled back: v = gain leaky'(.) g, q = s (v - n <v, n>), and q W to x.
    """

    def __init__(self, linear: nn.Linear, norm: nn.LayerNorm, leaky: bool) -> None:
        self.weight = linear.weight - linear.weight.mean(0)
        self.bias = linear.bias - linear.bias.mean()
        self.transposed = self.weight.mT.contiguous()
        features = norm.bias.shape[0]
        self.root, self.eps = features**0.5, features * norm.eps
        # Sums with the gain in are divided by it at the end, hence no zeros.
        tiny = torch.full_like(norm.weight, torch.finfo(norm.weight.dtype).tiny ** 0.25)
        self.own_gain = torch.where(norm.weight == 0, tiny, norm.weight)
        self.gain, self.shift = self.root * self.own_gain, norm.bias
        self.leaky = leaky

    def forward(self, x: Tensor) -> Tensor:
        """The layer's value; keeps it, x, n and s."""
        self.x = x
        h = affine(x, self.transposed, self.bias)
        length = torch.linalg.vector_norm(h, dim=-1, keepdim=True)
        self.s = length.square_().add_(self.eps).rsqrt_()
        self.ones = torch.ones_like(self.s)
        self.n = h.mul_(self.s)
        self.y = torch.addcmul(self.shift, self.n, self.gain)
        return F.leaky_relu_(self.y, SLOPE) if self.leaky else self.y

    def pull(self, gradient: Tensor) -> Tensor:
        """Gradient of y, which is overwritten, to gradient of x; keeps v and <v, n>."""
        self.v = self._sloped(gradient)
        q, self.along = self._projected(self.v)
        return q @ self.weight

    def push(self, of_gradient: Tensor) -> Tensor:
        """Gradient of :meth:`pull`'s result to gradient of its argument.

        With u that of q: v gets V = s (u - n <u, n>), and h, through n and s,
        -s (<v, n> V + <u, n> q + <u, q> n). The bracket waits for :meth:`back`.
        """
        q = torch.addcmul(self.v, self.n, self.along, value=-1).mul_(self.s)
        self.of_weight = q.mT @ of_gradient
        u = of_gradient @ self.transposed
        of_v, across = self._projected(u)
        both = torch.linalg.vecdot(u, q).unsqueeze(-1)
        self.of_gain = self.v.mul_(of_v).sum(0)
        self.waiting = q.mul_(across).addcmul_(of_v, self.along).addcmul_(self.n, both)
        del self.v
        return self._sloped(of_v)

    def back(self, of_y: Tensor) -> Tensor:
        """Gradient of y, which is overwritten, with what :meth:`push` left, to gradient of x."""
        v = self._sloped(of_y)
        of_h, _ = self._projected(v)
        of_h.addcmul_(self.waiting, self.s, value=-1)
        self.of_shift = v.sum(0)
        self.of_gain += v.mul_(self.n).sum(0)
        self.of_bias = of_h.sum(0)
        self.of_weight.addmm_(of_h.mT, self.x)
        return of_h @ self.weight

    def gradients(self) -> list[Tensor]:
        """Of the linear layer's weight and bias and the norm's gain and shift."""
        of_weight = self.of_weight - self.of_weight.mean(0)
        of_bias = self.of_bias - self.of_bias.mean()
        return [of_weight, of_bias, self.of_gain / self.own_gain, self.of_shift / self.gain]

    def _sloped(self, x: Tensor) -> Tensor:
        """gain leaky'(.) x, in place."""
        x.mul_(self.gain)
        if self.leaky:  # the rectifier keeps signs
            torch.ops.aten.leaky_relu_backward.grad_input(x, self.y, SLOPE, True, grad_input=x)
        return x

    def _projected(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """s (x - n <x, n>) and <x, n>: the backward kernel of weight norm, one pass for both."""
        return torch.ops.aten._weight_norm_interface_backward(x, self.n, self.s, self.ones, 0)


def _dot(x: Tensor, y: Tensor) -> Tensor:
    """Scalar product over the last axis, which stays."""
    return (x * y).sum(-1, keepdim=True)
