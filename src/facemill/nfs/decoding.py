"""The decoder at work: the numbers of ``Decoder.forward`` without a history, for one CPU.

A frame's activations are tens of megabytes; passed on whole from layer to layer they travel through
memory. Here places go through the layers in blocks that stay in a core's cache, and each thread has
frames of its own. Group norm over all places stands between the layers: its sums are gathered while
a block is at hand, and its scale and shift are applied where the next layer reads.
"""

from collections.abc import Iterator, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from facemill.training.device import in_threads

BLOCK = 1024
"""Places at a time."""

Weights = Sequence[Float[Tensor, "_ _"]]


def decoded_frames(
    weights: Weights,
    norms: Sequence[nn.Module],
    last: nn.Linear,
    target: Float[Tensor, "n c"],
    gates: Float[Tensor, "n z"] | None,
    codes: Float[Tensor, "b z"],
) -> Float[Tensor, "b n o"]:
    """Outputs of frames at all places.

    ``weights`` are transposed, the first of them that of the gated code; ``target`` is the first
    layer's response to what all frames share; ``norms`` are all ``GroupNorm`` or all ``LayerNorm``.
    """
    frame = _group_norm_frame if isinstance(norms[0], nn.GroupNorm) else _layer_norm_frame

    @torch.no_grad()  # which every thread has to say for itself
    def work(code: Float[Tensor, " z"]) -> Float[Tensor, "n o"]:
        if gates is None:
            return frame(weights, norms, last, target + code @ weights[0], None)
        own = [code[:, None] * weights[0], *weights[1:]]
        return frame(own, norms, last, target, gates)

    if not len(codes):
        return target.new_empty(0, len(target), last.out_features)
    return torch.stack(list(in_threads(work, codes, codes.device)))


def _layer_norm_frame(
    weights: Weights,
    norms: Sequence[nn.Module],
    last: nn.Linear,
    target: Float[Tensor, "n c"],
    gates: Float[Tensor, "n z"] | None,
) -> Float[Tensor, "n o"]:
    found = target.new_empty(len(target), last.out_features)
    for block in _blocks(len(target)):
        x = norms[0](_first(weights[0], target[block], gates, block)).relu_()
        for weight, norm in zip(weights[1:], norms[1:], strict=True):
            x = norm(x @ weight).relu_()
        found[block] = last(x)
    return found


def _group_norm_frame(
    weights: Weights,
    norms: Sequence[nn.Module],
    last: nn.Linear,
    target: Float[Tensor, "n c"],
    gates: Float[Tensor, "n z"] | None,
) -> Float[Tensor, "n o"]:
    kept, sums = torch.empty_like(target), _Sums(target)
    for block in _blocks(len(target)):
        kept[block] = sums.with_(_first(weights[0], target[block], gates, block))
    for weight, norm in zip(weights[1:], norms[:-1], strict=True):
        scale, shift = sums.of_group_norm(norm, len(target))
        sums = _Sums(target)
        for block in _blocks(len(target)):
            x = torch.addcmul(shift, kept[block], scale).relu_()
            sums.with_(torch.mm(x, weight, out=kept[block]))
    scale, shift = sums.of_group_norm(norms[-1], len(target))
    found = target.new_empty(len(target), last.out_features)
    for block in _blocks(len(target)):
        found[block] = last(torch.addcmul(shift, kept[block], scale).relu_())
    return found


def _first(
    weight: Float[Tensor, "z c"],
    target: Float[Tensor, "k c"],
    gates: Float[Tensor, "n z"] | None,
    block: slice,
) -> Float[Tensor, "k c"]:
    """The first layer's product in a block."""
    return target.clone() if gates is None else (gates[block] @ weight).add_(target)


def _blocks(count: int) -> Iterator[slice]:
    return (slice(start, start + BLOCK) for start in range(0, count, BLOCK))


class _Sums:
    """Sums over places of every channel and of its square."""

    def __init__(self, like: Float[Tensor, "n c"]) -> None:
        self.first = like.new_zeros(like.shape[1], dtype=torch.float64)
        self.second = torch.zeros_like(self.first)

    def with_(self, x: Float[Tensor, "k c"]) -> Float[Tensor, "k c"]:
        """The same places, counted in."""
        self.first += x.sum(0)
        self.second += torch.linalg.vector_norm(x, dim=0).square()
        return x

    def of_group_norm(
        self, norm: nn.Module, places: int
    ) -> tuple[Float[Tensor, " c"], Float[Tensor, " c"]]:
        """What group norm multiplies every channel with, and what it adds."""
        size = norm.num_channels // norm.num_groups
        mean, square = (
            total.view(-1, size).mean(1).div(places) for total in (self.first, self.second)
        )
        inverse = (square - mean.square()).clamp_min(0).add(norm.eps).rsqrt()
        scale = norm.weight * inverse.repeat_interleave(size)
        shift = norm.bias - mean.repeat_interleave(size) * scale
        return scale.to(norm.weight.dtype), shift.to(norm.weight.dtype)
