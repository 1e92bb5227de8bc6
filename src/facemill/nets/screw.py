"""Rigid motions from their six logarithmic coordinates, in closed form."""

import torch
from jaxtyping import Float
from torch import Tensor

SMALL_ANGLE = 0.1
"""Below this angle (radians) the coefficients come from their series, whose next terms are < 3e-14.

The closed forms cancel for small angles: in single precision their gradients lose a digit for every
factor of ten in the angle.
"""


def screw_coefficients(
    squared_angle: Float[Tensor, "*n 1"],
) -> tuple[Float[Tensor, "*n 1"], Float[Tensor, "*n 1"], Float[Tensor, "*n 1"]]:
    """A = sin t / t, B = (1 - cos t) / t^2, C = (t - sin t) / t^3 as functions of t^2.

    Smooth at 0 with all gradients: the closed forms see a harmless angle where the series counts.
    1 - cos t is computed as 2 sin^2(t/2), which does not cancel.
    """
    small = squared_angle < SMALL_ANGLE**2
    angle = torch.where(small, torch.ones_like(squared_angle), squared_angle).sqrt()
    sine_ratio = torch.sin(angle) / angle
    half_ratio = torch.sin(0.5 * angle) / (0.5 * angle)
    s = squared_angle
    series_a = 1 - s / 6 * (1 - s / 20 * (1 - s / 42))
    series_b = 1 / 2 - s / 24 * (1 - s / 30 * (1 - s / 56))
    series_c = 1 / 6 - s / 120 * (1 - s / 42 * (1 - s / 72))
    a = torch.where(small, series_a, sine_ratio)
    b = torch.where(small, series_b, 0.5 * half_ratio.square())
    c = torch.where(small, series_c, (1 - sine_ratio) / angle.square())
    return a, b, c


def _cross(u: Float[Tensor, "*n 3"], v: Float[Tensor, "*n 3"]) -> Float[Tensor, "*n 3"]:
    """Cross product over the last axis."""
    return torch.linalg.cross(u, v)


def screw_motion(
    points: Float[Tensor, "*n 3"],
    rotation: Float[Tensor, "*n 3"],
    translation: Float[Tensor, "*n 3"],
) -> Float[Tensor, "*n 3"]:
    """Move each point by the rigid motion exp([w, v]) of its own twist, about the global origin.

    x' = x + v + A w*x + B w*(w*x + v) + C w*(w*v), * the cross product: the exponential of the
    4 x 4 twist matrix applied to x, without building a matrix. ``rotation`` w in radians,
    ``translation`` v in the points' unit. w = 0 is the pure translation v, with finite gradients.
    """
    a, b, c = screw_coefficients(rotation.square().sum(-1, keepdim=True))
    turned = _cross(rotation, points)
    pitch = _cross(rotation, translation)
    return points + translation + a * turned + _cross(rotation, b * turned + c * pitch) + b * pitch
