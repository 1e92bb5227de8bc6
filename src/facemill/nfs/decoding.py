"""The decoder at work: the numbers of ``Decoder.forward`` without a history, for one CPU.

A frame's activations are tens of megabytes; passed on whole from layer to layer they travel through
memory. Here places go through the layers in blocks that stay in a core's cache, and each thread has
frames of its own. Group norm over all places stands between the layers: its sums are gathered while
a block is at hand, and its scale and shift are applied where the next layer reads.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from facemill.training.device import in_threads

BLOCK = 1024
"""Places at a time."""

First = Callable[[slice], Tensor]
"""The first layer's product at a block of places, (k, c)."""


@dataclass(frozen=True)
class Decoding:
    """A decoder's layers: products with ``weights``, a norm and a rectifier after each, ``last``.

    Weights are transposed, (inputs, outputs), the first of them that of the gated code; norms are
    all ``GroupNorm`` or all ``LayerNorm``.
    """

    weights: Sequence[Tensor]
    norms: Sequence[nn.Module]
    last: nn.Linear

    def frames(
        self,
        target: Float[Tensor, "n c"],
        gates: Float[Tensor, "n z"] | None,
        codes: Float[Tensor, "b z"],
    ) -> Float[Tensor, "b n o"]:
        """Outputs at all places; ``target`` is the first layer's response to what frames share."""
        grouped = isinstance(self.norms[0], nn.GroupNorm)
        through = self._through_group_norms if grouped else self._through_layer_norms

        @torch.no_grad()  # which every thread has to say for itself
        def frame(code: Float[Tensor, " z"]) -> Float[Tensor, "n o"]:
            return through(self._first(target, gates, code), len(target))

        if not len(codes):
            return target.new_empty(0, len(target), self.last.out_features)
        return torch.stack(list(in_threads(frame, codes, codes.device)))

    def _first(
        self,
        target: Float[Tensor, "n c"],
        gates: Float[Tensor, "n z"] | None,
        code: Float[Tensor, " z"],
    ) -> First:
        weight = self.weights[0]
        if gates is None:
            return (target + code @ weight).__getitem__
        weight = code[:, None] * weight
        return lambda block: (gates[block] @ weight).add_(target[block])

    def _through_layer_norms(self, first: First, places: int) -> Float[Tensor, "n o"]:
        found = self._empty(places, self.last.out_features)
        for block in _blocks(places):
            x = self.norms[0](first(block)).relu_()
            for weight, norm in zip(self.weights[1:], self.norms[1:], strict=True):
                x = norm(x @ weight).relu_()
            found[block] = self.last(x)
        return found

    def _through_group_norms(self, first: First, places: int) -> Float[Tensor, "n o"]:
        width = self.last.in_features
        kept, sums = self._empty(places, width), _Sums(width)
        for block in _blocks(places):
            kept[block] = sums.counted(first(block))
        for weight, norm in zip(self.weights[1:], self.norms[:-1], strict=True):
            scale, shift = sums.of_group_norm(norm, places)
            sums = _Sums(width)
            for block in _blocks(places):
                x = torch.addcmul(shift, kept[block], scale).relu_()
                sums.counted(torch.mm(x, weight, out=kept[block]))
        scale, shift = sums.of_group_norm(self.norms[-1], places)
        found = self._empty(places, self.last.out_features)
        for block in _blocks(places):
            found[block] = self.last(torch.addcmul(shift, kept[block], scale).relu_())
        return found

    def _empty(self, places: int, width: int) -> Float[Tensor, "{places} {width}"]:
        return self.last.weight.new_empty(places, width)


def _blocks(count: int) -> Iterator[slice]:
    return (slice(start, start + BLOCK) for start in range(0, count, BLOCK))


class _Sums:
    """Sums over places of every channel and of its square."""

    def __init__(self, width: int) -> None:
        self.first, self.second = torch.zeros(2, width, dtype=torch.float64)

    def counted(self, x: Float[Tensor, "k c"]) -> Float[Tensor, "k c"]:
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
