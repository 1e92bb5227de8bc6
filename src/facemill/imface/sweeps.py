"""ImFace's field with both of its gradients, ready for losses on all of them (nets/sweeps.py).

Same numbers as :meth:`ImFace.field` and autograd's double backward, without recording any of it.
"""

from copy import copy

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from facemill.imface.blend import BlendSweeps
from facemill.nets.screw import ScrewSweeps


class TranslationSweeps:
    """Points + displacements, in the form of :class:`ScrewSweeps`."""

    def forward(self, points: Tensor, raw: Tensor) -> Tensor:
        return points + raw

    def pull(self, gradient: Tensor) -> tuple[Tensor, Tensor]:
        return gradient, gradient

    def push(self, of_points: Tensor, of_raw: Tensor) -> Tensor:
        return of_points + of_raw

    def back(self, of_moved: Tensor) -> tuple[Tensor, Tensor]:
        return of_moved, of_moved


class WarpSweeps:
    """E or I: a blend field's raw output moves the points; channels beyond the motion's are left.

    Scans of ``bypass`` stay where they are; their raw output is computed all the same.
    """

    def __init__(
        self, blend: BlendSweeps, warp: str, bypass: Bool[Tensor, " b"] | None = None
    ) -> None:
        self.blend = blend
        self.motion = ScrewSweeps() if warp == "se3" else TranslationSweeps()
        self.size = 6 if warp == "se3" else 3
        self.bypass = None if bypass is None else bypass[:, None, None]

    def fresh(self) -> "WarpSweeps":
        """A copy of the same warp for other points."""
        made = copy(self)
        made.blend = self.blend.fresh()
        made.motion = type(self.motion)()
        return made

    def forward(
        self, points: Float[Tensor, "b n 3"]
    ) -> tuple[Float[Tensor, "b n 3"], Float[Tensor, "b n m"]]:
        """Moved points and raw output."""
        self.raw = self.blend.forward(points)
        moved = self.motion.forward(points, self.raw[..., : self.size])
        return self._instead(points, moved), self.raw

    def pull(
        self, gradient: Float[Tensor, "b n 3"], of_rest: float = 0.0
    ) -> Float[Tensor, "b n 3"]:
        """Gradient of the moved points, and one for the channels that are left, to the points'."""
        direct, of_raw = self.motion.pull(self._through(gradient))
        if self.raw.shape[-1] > self.size:
            rest = torch.full_like(self.raw[..., self.size :], of_rest)
            of_raw = torch.cat([of_raw, rest], dim=-1)
        return self._around(gradient, direct + self.blend.pull(of_raw))

    def push(self, of_gradient: Float[Tensor, "b n 3"]) -> Float[Tensor, "b n 3"]:
        """Gradient of :meth:`pull`'s result to gradient of its first argument."""
        of_raw = self.blend.push(of_gradient)[..., : self.size]
        return self._instead(of_gradient, self.motion.push(of_gradient, of_raw))

    def back(
        self,
        of_moved: Float[Tensor, "b n 3"],
        of_raw: Float[Tensor, "b n m"] | None = None,
        of_rest: Float[Tensor, "b n 1"] | None = None,
    ) -> Float[Tensor, "b n 3"]:
        """Gradients of moved points and raw output, or of its last channel, to the points'."""
        direct, of_motion = self.motion.back(self._through(of_moved))
        if of_rest is not None:
            of_motion = torch.cat([of_motion, of_rest], dim=-1)
        if of_raw is not None:
            of_motion = of_motion + of_raw
        return self._around(of_moved, direct + self.blend.back(of_motion))

    def _instead(self, points: Tensor, moved: Tensor) -> Tensor:
        """The first for scans of ``bypass``, else the second."""
        return moved if self.bypass is None else torch.where(self.bypass, points, moved)

    def _through(self, gradient: Tensor) -> Tensor:
        """What of the moved points' gradient goes through the motion."""
        return gradient if self.bypass is None else gradient.masked_fill(self.bypass, 0)

    def _around(self, gradient: Tensor, through: Tensor) -> Tensor:
        """What came through and what went around."""
        return through if self.bypass is None else through + gradient * self.bypass


class FieldSweeps:
    """f = T(I(E(x))) + d with the gradients in x and x'; E may be missing.

    Outputs, as in ``model.FieldOutput``: f, d, x', x'', E's raw output; then grad_x f, grad_x' f.
    """

    def __init__(
        self, expression: WarpSweeps | None, identity: WarpSweeps, template: BlendSweeps
    ) -> None:
        self.expression, self.identity, self.template = expression, identity, template

    def fresh(self) -> "FieldSweeps":
        """A copy of the same fields for other points."""
        made = copy(self)
        made.expression = None if self.expression is None else self.expression.fresh()
        made.identity, made.template = self.identity.fresh(), self.template.fresh()
        return made

    def outputs(self, x: Float[Tensor, "b n 3"]) -> tuple[Tensor, ...]:
        """All outputs: values on the way to the template, gradients on the way back."""
        if self.expression is None:
            neutral_points, deformation = x.clone(), torch.zeros_like(x)
        else:
            neutral_points, deformation = self.expression.forward(x)
        template_points, identity_raw = self.identity.forward(neutral_points)
        value = self.template.forward(template_points)
        correction = identity_raw[..., -1:]
        sdf = value + correction

        of_template = self.template.pull(torch.ones_like(value))
        neutral_gradient = self.identity.pull(of_template, of_rest=1.0)
        if self.expression is None:
            gradient = neutral_gradient.clone()
        else:
            gradient = self.expression.pull(neutral_gradient)
        values = (sdf[..., 0], correction[..., 0].clone(), neutral_points, template_points)
        return *values, deformation, gradient, neutral_gradient

    def backward(
        self,
        of_sdf: Float[Tensor, "b n"],
        of_correction: Float[Tensor, "b n"],
        of_neutral_points: Float[Tensor, "b n 3"] | None,
        of_template_points: Float[Tensor, "b n 3"] | None,
        of_deformation: Float[Tensor, "b n m"] | None,
        of_gradient: Float[Tensor, "b n 3"],
        of_neutral_gradient: Float[Tensor, "b n 3"] | None,
    ) -> tuple[Float[Tensor, "b n 3"], list[Tensor]]:
        """Gradients of the outputs, None for zero, to those of x and all parameters (E, I, T)."""
        u = of_gradient if self.expression is None else self.expression.push(of_gradient)
        self.template.push(self.identity.push(_sum(u, of_neutral_gradient)))

        gradient = _sum(self.template.back(of_sdf.unsqueeze(-1)), of_template_points)
        of_rest = (of_sdf + of_correction).unsqueeze(-1)
        gradient = _sum(self.identity.back(gradient, of_rest=of_rest), of_neutral_points)
        blends = [self.identity.blend, self.template]
        if self.expression is not None:
            gradient = self.expression.back(gradient, of_deformation)
            blends.insert(0, self.expression.blend)
        return gradient, [tensor for blend in blends for tensor in blend.gradients()]


def _sum(x: Tensor, y: Tensor | None) -> Tensor:
    return x if y is None else x + y
