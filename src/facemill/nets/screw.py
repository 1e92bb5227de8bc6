"""Rigid motions from their six logarithmic coordinates, in closed form.

Everything rests on the functions of s = t^2, t the angle,

    phi_k(s) = 1/k! - s/(k + 2)! + s^2/(k + 4)! - ...        phi_k = 1/k! - s phi_(k+2)

of which phi_0 = cos t, phi_1 = sin t / t, phi_2 = (1 - cos t) / t^2 and phi_3 = (t - sin t) / t^3
make the motion and the next ones its derivatives: 2 dphi_k/ds = k phi_(k+2) - phi_(k+1).
"""

import functools
import math

import torch
from jaxtyping import Float
from torch import Tensor

SMALL_ANGLE = 1.0
"""Below this angle (radians) the functions come from their series, whose next terms are < 5e-14.

The closed forms cancel for small angles: phi_(k+2) = (1/k! - phi_k) / s.
"""

SERIES = 14
"""Order of the last phi that the series holds, as its first term."""


def screw_functions(
    squared_angle: Float[Tensor, "*n"], order: int = 3
) -> Float[Tensor, "{order}+1 *n"]:
    """phi_0 to phi_order of t^2, ``order`` 3, 5 or 7.

    Smooth at 0 with all gradients: the closed forms see a harmless angle where the series counts.
    1 - cos t is computed as 2 sin^2(t/2), which does not cancel.
    """
    s = squared_angle
    small = s < SMALL_ANGLE**2
    pairs = _inverse_factorials(s.dim(), s.dtype, s.device)
    only_small = s.device.type == "cpu" and bool(small.all())  # as nearly always
    near = s if only_small else torch.where(small, s, torch.zeros_like(s))
    series = [pairs[-1].expand(2, *s.shape)]
    for pair in reversed(pairs[1:-1]):
        series.insert(0, torch.addcmul(pair, series[0], near, value=-1))
    rest = series[: order // 2]
    if not only_small:
        angle_squared = torch.where(small, torch.ones_like(s), s)
        inverse = angle_squared.reciprocal()
        angle = angle_squared.sqrt()
        half = torch.sin(0.5 * angle)
        phi_2 = 2 * half.square() * inverse
        phi_3 = (1 - torch.sin(angle) / angle) * inverse
        closed = [torch.stack([phi_2, phi_3])]
        for pair in pairs[1 : order // 2]:
            closed.append((pair - closed[-1]) * inverse)
        rest = [torch.where(small, *both) for both in zip(rest, closed, strict=True)]
    return torch.cat([torch.addcmul(pairs[0], rest[0], s, value=-1), *rest])


@functools.cache
def _inverse_factorials(
    axes: int, dtype: torch.dtype, device: torch.device
) -> list[Float[Tensor, "2 ..."]]:
    """(1/k!, 1/(k+1)!) for k = 0, 2, ..., SERIES, ready to be spread over so many axes."""
    numbers = [1 / math.factorial(k) for k in range(SERIES + 2)]
    made = torch.tensor(numbers, dtype=dtype, device=device)
    return list(made.view(-1, 2, *[1] * axes).unbind())


def screw_motion(
    points: Float[Tensor, "*n 3"],
    rotation: Float[Tensor, "*n 3"],
    translation: Float[Tensor, "*n 3"],
) -> Float[Tensor, "*n 3"]:
    """Move each point by the rigid motion exp([w, v]) of its own twist, about the global origin.

    x' = x + v + A w*x + B w*(w*x + v) + C w*(w*v), * the cross product and A, B, C = phi_1, phi_2,
    phi_3: the exponential of the 4 x 4 twist matrix applied to x, without building a matrix.
    ``rotation`` w in radians, ``translation`` v in the points' unit. w = 0 is the pure translation
    v, with finite gradients.
    """
    _, a, b, c = screw_functions(rotation.square().sum(-1, keepdim=True))
    turned = _cross(rotation, points)
    pitch = _cross(rotation, translation)
    return points + translation + a * turned + _cross(rotation, b * turned + c * pitch) + b * pitch


class ScrewSweeps:
    """:func:`screw_motion` with a gradient of its result pulled back, in four sweeps (sweeps.py).

    With w*(w*x) = <w, x> w - s x the motion needs one cross product,

        x' = u_0 + w*u_1 + <w, u_2> w        u_j = phi_j x + phi_(j+1) v        j = 0, 1, 2

    and for a gradient g of x'

        <g, x'> = sum_j <h_j, u_j>        h = (g, g*w, <g, w> w)

    from which the gradients of x, v, w and s are read off. ``pull`` is linear in the gradient and
    its other arguments' derivatives are a Hessian, which is symmetric: what ``push`` owes to x, w,
    v is the derivative of ``pull`` along the gradients that it is given, and what it returns is the
    derivative of the motion along them. Derivatives along are called ``d_...``, gradients
    ``of_...``.

    Inside, vectors are five rows x, y, z, x, y with a column for each point: cross products are
    then products of slices, many times faster than over a last axis of three.
    """

    def forward(
        self, points: Float[Tensor, "*n 3"], twist: Float[Tensor, "*n 6"]
    ) -> Float[Tensor, "*n 3"]:
        """The moved points."""
        self.shape = points.shape
        (self.x,), (self.w, self.v) = _rows(points), _rows(twist)
        phi = screw_functions(_dot(self.w, self.w), order=7)
        slopes = _slopes(phi)
        self.phi, self.slopes, self.curves = phi[:4], slopes[:4], _slopes(slopes)
        self.u = _mixed(self.phi, self.x, self.v)
        self.along = _dot(self.w, self.u[2])
        moved = _turned(self.w, self.u[1]).add_(self.u[0])
        return self._points(moved.addcmul_(self.along, self.w))

    def pull(
        self, gradient: Float[Tensor, "*n 3"]
    ) -> tuple[Float[Tensor, "*n 3"], Float[Tensor, "*n 6"]]:
        """Gradient of the moved points to gradients of points and twists."""
        self.u_slope = _mixed(self.slopes, self.x, self.v)
        self.h, self.across, self.of_s, of_w, of_z = self._pulled(gradient)
        return self._points(of_z[0]), self._points(of_w, of_z[1])

    def push(
        self, d_points: Float[Tensor, "*n 3"], d_twist: Float[Tensor, "*n 6"]
    ) -> Float[Tensor, "*n 3"]:
        """Gradients of :meth:`pull`'s results to gradient of its argument."""
        w, u, g = self.w, self.u, self.h[0]
        (d_x,), (d_w, d_v) = _rows(d_points), _rows(d_twist)
        d_s = 2 * _dot(w, d_w)
        d_phi = self.slopes * d_s
        d_u = _mixed(d_phi, self.x, self.v).add_(_mixed(self.phi, d_x, d_v))
        d_along = _dot(d_w, u[2]) + _dot(w, d_u[2])
        moved = _turned(d_w, u[1]).add_(_turned(w, d_u[1])).add_(d_u[0])
        moved.addcmul_(d_along, w).addcmul_(self.along, d_w)

        d_across = _dot(g, d_w)
        d_h = torch.stack([_turned(g, d_w), (d_across * w).addcmul_(self.across, d_w)])
        d_u_slope = _mixed(self.curves * d_s, self.x, self.v)
        d_u_slope += _mixed(self.slopes, d_x, d_v)
        d_of_s = 2 * (_dots(self.h, d_u_slope) + _dots(d_h, self.u_slope[1:]))
        self.d_of_z = _unmixed(d_phi, self.h)
        self.d_of_z += torch.addcmul(self.phi[1:3] * d_h[0], self.phi[2:], d_h[1])
        d_of_w = _turned(d_u[1], g).addcmul_(d_along, g)
        d_of_w.addcmul_(d_across, u[2]).addcmul_(self.across, d_u[2])
        self.d_of_w = d_of_w.addcmul_(d_of_s, w).addcmul_(self.of_s, d_w)
        return self._points(moved)

    def back(
        self, of_moved: Float[Tensor, "*n 3"]
    ) -> tuple[Float[Tensor, "*n 3"], Float[Tensor, "*n 6"]]:
        """Gradient of the moved points, with what :meth:`push` left, to those of the arguments."""
        *_, of_w, of_z = self._pulled(of_moved)
        of_z += self.d_of_z
        return self._points(of_z[0]), self._points(of_w + self.d_of_w, of_z[1])

    def _pulled(self, gradient: Float[Tensor, "*n 3"]) -> tuple[Tensor, ...]:
        """h, <g, w>, and the gradients of s = t^2 (twice), of w and of (x, v)."""
        (g,) = _rows(gradient)
        across = _dot(g, self.w)
        h = torch.stack([g, _turned(g, self.w), across * self.w])
        of_s = 2 * _dots(h, self.u_slope)
        of_w = _turned(self.u[1], g).addcmul_(self.along, g).addcmul_(across, self.u[2])
        return h, across, of_s, of_w.addcmul_(of_s, self.w), _unmixed(self.phi, h)

    def _points(self, *rows: Float[Tensor, "5 n"]) -> Tensor:
        """Vectors, side by side if there are two, as they came in."""
        columns = torch.cat([vector[:3] for vector in rows]).mT.contiguous()
        return columns.view(*self.shape[:-1], -1)


def _slopes(phi: Float[Tensor, "k *n"]) -> Float[Tensor, "k-2 *n"]:
    """d/ds of functions with 2 dphi_k/ds = k phi_(k+2) - phi_(k+1), the first of them phi_0.

    The derivatives obey the same rule, so that it can be applied again.
    """
    orders = _half_orders(phi.shape[0] - 2, phi.dim(), phi.dtype, phi.device)
    return (orders * phi[2:]).add_(phi[1:-1], alpha=-0.5)


@functools.cache
def _half_orders(
    count: int, axes: int, dtype: torch.dtype, device: torch.device
) -> Float[Tensor, "count ..."]:
    """k / 2 for k = 0, 1, ..., ready to be spread over so many axes."""
    return 0.5 * torch.arange(count, dtype=dtype, device=device).view(-1, *[1] * (axes - 1))


def _mixed(
    phi: Float[Tensor, "4 1 n"], x: Float[Tensor, "5 n"], v: Float[Tensor, "5 n"]
) -> Float[Tensor, "3 5 n"]:
    """u_j = phi_j x + phi_(j+1) v."""
    return (phi[:3] * x).addcmul_(phi[1:], v)


def _unmixed(phi: Float[Tensor, "4 1 n"], h: Float[Tensor, "3 5 n"]) -> Float[Tensor, "2 5 n"]:
    """Gradients h of u to those of x and v: sum_j phi_j h_j and sum_j phi_(j+1) h_j."""
    return (phi[:2] * h[0]).addcmul_(phi[1:3], h[1]).addcmul_(phi[2:], h[2])


def _rows(x: Float[Tensor, "*n _"]) -> Float[Tensor, "k 5 n"]:
    """k vectors for each of n points as rows x, y, z, x, y."""
    columns = x.reshape(-1, x.shape[-1]).mT.unflatten(0, (-1, 3))
    return torch.cat([columns, columns[:, :2]], dim=1)


def _turned(u: Float[Tensor, "*k 5 n"], v: Float[Tensor, "*m 5 n"]) -> Float[Tensor, "*p 5 n"]:
    """Cross product of vectors in five rows."""
    front, behind = slice(1, 4), slice(2, 5)
    product = u[..., front, :] * v[..., behind, :]
    product = product.addcmul_(u[..., behind, :], v[..., front, :], value=-1)
    return torch.cat([product, product[..., :2, :]], dim=-2)


def _dot(u: Float[Tensor, "*k 5 n"], v: Float[Tensor, "*k 5 n"]) -> Float[Tensor, "*k 1 n"]:
    """Scalar product of vectors in five rows."""
    return (u[..., :3, :] * v[..., :3, :]).sum(-2, keepdim=True)


def _dots(u: Float[Tensor, "k 5 n"], v: Float[Tensor, "k 5 n"]) -> Float[Tensor, " n"]:
    """Sum of the scalar products of k pairs of vectors."""
    return (u[:, :3] * v[:, :3]).sum((0, 1))


def _cross(u: Float[Tensor, "*n 3"], v: Float[Tensor, "*n 3"]) -> Float[Tensor, "*n 3"]:
    """Cross product over the last axis."""
    return torch.linalg.cross(u, v)
