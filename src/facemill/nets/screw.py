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


def screw_pullback(
    points: Float[Tensor, "*n 3"],
    rotation: Float[Tensor, "*n 3"],
    translation: Float[Tensor, "*n 3"],
    gradient: Float[Tensor, "*n 3"],
) -> tuple[Float[Tensor, "*n 3"], Float[Tensor, "*n 3"], Float[Tensor, "*n 3"]]:
    """Pull a gradient of :func:`screw_motion`'s result back to its three arguments.

    Reverse differentiation written out, so that it can be differentiated once more without
    autograd's double backward. In s = t^2: dA/ds = (C - B)/2, dB/ds = (A/2 - B)/s,
    dC/ds = (B - 3 C)/(2 s); the last two by series for small angles.
    """
    s = rotation.square().sum(-1, keepdim=True)
    a, b, c = screw_coefficients(s)
    small = s < SMALL_ANGLE**2
    divisor = torch.where(small, torch.ones_like(s), s)
    slope_a = (c - b) / 2
    slope_b = torch.where(small, s / 360 * (1 - s * 3 / 112) - 1 / 24, (a / 2 - b) / divisor)
    slope_c = torch.where(small, s / 2520 * (1 - s / 48) - 1 / 120, (b - 3 * c) / (2 * divisor))
    turned = _cross(rotation, points)
    pitch = _cross(rotation, translation)
    of_inner = _cross(gradient, rotation)
    of_turned = a * gradient + b * of_inner
    of_pitch = b * gradient + c * of_inner
    of_s = (
        slope_a * (turned * gradient).sum(-1, keepdim=True)
        + slope_b * (pitch * gradient + turned * of_inner).sum(-1, keepdim=True)
        + slope_c * (pitch * of_inner).sum(-1, keepdim=True)
    )
    of_rotation = (
        _cross(b * turned + c * pitch, gradient)
        + _cross(points, of_turned)
        + _cross(translation, of_pitch)
        + 2 * of_s * rotation
    )
    of_points = gradient + _cross(of_turned, rotation)
    of_translation = gradient + _cross(of_pitch, rotation)
    return of_points, of_rotation, of_translation


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
