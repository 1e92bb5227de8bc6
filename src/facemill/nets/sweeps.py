"""A function and its gradient in x together, differentiable once more, in four sweeps.

Losses on a field's gradient ask for second derivatives. Autograd finds them by recording the
reverse pass and reversing it; written out by hand it is four sweeps through the layers:

forward   x to the value y
pull      a gradient of y to the gradient of x
push      gradient of what ``pull`` gave to gradient of what it was given. ``pull`` is linear in
          that, so this sweep runs forwards through the layers. What it asks of the numbers that
          ``forward`` kept waits for the last sweep.
back      gradient of y, and what waits, to gradients of x and all parameters

Each sweep is called once and in this order; later ones overwrite what earlier ones kept. Composed
functions call their parts' sweeps. What follows from the parameters alone is computed when the
object is made, and shared by its ``fresh`` copies: one for each part of the points.
"""

from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor


@runtime_checkable
class Sweeps(Protocol):
    """Sweeps of a function with one argument and one value."""

    def fresh(self) -> "Sweeps":
        """A copy for other points, to be made before the first sweep."""

    def forward(self, x: Tensor) -> Tensor: ...

    def pull(self, gradient: Tensor) -> Tensor: ...

    def push(self, of_gradient: Tensor) -> Tensor: ...

    def back(self, of_value: Tensor) -> Tensor: ...

    def gradients(self) -> list[Tensor]:
        """Of the parameters, once ``back`` has run."""


@runtime_checkable
class Outputs(Protocol):
    """A whole pass with outputs of any kind: values, gradients, what lies between."""

    def outputs(self, x: Tensor) -> tuple[Tensor, ...]: ...

    def backward(self, *of_outputs: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Gradient of x and of the parameters."""


def swept(passes: Outputs, x: Tensor, parameters: list[Tensor]) -> tuple[Tensor, ...]:
    """The outputs of a pass, to autograd a function of x and ``parameters``."""
    return _Swept.apply(passes, x, *parameters)


class _Swept(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, passes: Outputs, x: Tensor, *parameters: Tensor) -> tuple[Tensor, ...]:
        ctx.passes, ctx.spent = passes, False
        ctx.save_for_backward(x)
        # Outputs refer to ctx, and it must not refer to them.
        return tuple(output.detach() for output in passes.outputs(x))

    @staticmethod
    def backward(ctx: Any, *of_outputs: Tensor) -> tuple[Tensor | None, ...]:
        (x,) = ctx.saved_tensors
        if ctx.spent:  # a retained graph: what the first time overwrote is computed anew
            ctx.passes.outputs(x)
        ctx.spent = True
        of_x, of_parameters = ctx.passes.backward(*of_outputs)
        return None, of_x, *of_parameters
