"""Rigid motions from their six logarithmic coordinates, in closed form.

Everything rests on the functions of s = t^2, t the angle,

    phi_k(s) = 1/k! - s/(k + 2)! + s^2/(k + 4)! - ...        phi_k = 1/k! - s phi_(k+2)

of which phi_1 = sin t / t, phi_2 = (1 - cos t) / t^2 and phi_3 = (t - sin t) / t^3 make the motion
and the next ones its derivatives: 2 dphi_k/ds = k phi_(k+2) - phi_(k+1).
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
) -> Float[Tensor, "{order} *n"]:
    """phi_1 to phi_order of t^2, ``order`` 3, 5 or 7.

    Smooth at 0 with all gradients: the closed forms see a harmless angle where the series counts.
    1 - cos t is computed as 2 sin^2(t/2), which does not cancel.
    """
    s = squared_angle
    small = s < SMALL_ANGLE**2
    pairs = _inverse_factorials(s.dim(), s.dtype, s.device)
    near = torch.where(small, s, torch.zeros_like(s))
    series = [pairs[-1].expand(2, *s.shape)]
    for pair in reversed(pairs[1:-1]):
        series.append(torch.addcmul(pair, series[-1], near, value=-1))

    angle_squared = torch.where(small, torch.ones_like(s), s)
    inverse = angle_squared.reciprocal()
    angle = angle_squared.sqrt()
    half = torch.sin(0.5 * angle)
    phi_2 = 2 * half.square() * inverse
    phi_3 = (1 - torch.sin(angle) / angle) * inverse
    closed = [torch.stack([phi_2, phi_3])]
    for pair in pairs[1 : order // 2]:
        closed.append((pair - closed[-1]) * inverse)

    rest = [torch.where(small, *both) for both in zip(series[::-1], closed, strict=False)]
    return torch.cat([(1 - s * rest[0][1]).unsqueeze(0), *rest])


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
    a, b, c = screw_functions(rotation.square().sum(-1, keepdim=True))
    turned = _cross(rotation, points)
    pitch = _cross(rotation, translation)
    return points + translation + a * turned + _cross(rotation, b * turned + c * pitch) + b * pitch


class ScrewSweeps:
    """:func:`screw_motion` with a gradient of its result pulled back, in four sweeps (sweeps.py).

    With R = (w*x, w*v) and (P, Q) = (A R_1 + B R_2, B R_1 + C R_2): x' = x + v + P + w*Q.
    ``pull`` is linear in the gradient and its other arguments' derivatives are a Hessian, which is
    symmetric: what ``push`` owes to x, w, v is the derivative of ``pull`` along the gradients that
    it is given, and what it returns is the derivative of the motion along them. Derivatives along
    are named ``d_...``, gradients ``of_...``.

    Inside, vectors are five rows x, y, z, x, y with a column for each point: cross products are
    then products of slices, many times faster than over a last axis of three.
    """

    def forward(
        self, points: Float[Tensor, "*n 3"], twist: Float[Tensor, "*n 6"]
    ) -> Float[Tensor, "*n 3"]:
        """The moved points."""
        self.shape = points.shape
        x, (self.w, v) = _rows(points), _rows(twist)
        self.z = torch.cat([x, v.unsqueeze(0)])
        phi = screw_functions(_dot(self.w, self.w), order=7)
        self.c, slopes = phi[:3], _slopes(phi)
        self.c1, self.c2 = slopes[:3], _slopes(slopes)
        self.r = _turned(self.w, self.z)
        self.p, self.q = _mixed(self.c, *self.r)
        return self._points(self.z.sum(0) + self.p + _turned(self.w, self.q))

    def pull(
        self, gradient: Float[Tensor, "*n 3"]
    ) -> tuple[Float[Tensor, "*n 3"], Float[Tensor, "*n 6"]]:
        """Gradient of the moved points to gradients of points and twists."""
        (g,) = _rows(gradient)
        self.g = torch.stack([g, _turned(g, self.w)])
        self.slope = _mixed(self.c1, *self.r)
        self.of_r, self.of_s, of_w, of_z = self._pulled(self.g)
        return self._points(of_z[0]), self._points(of_w, of_z[1])

    def push(
        self, d_points: Float[Tensor, "*n 3"], d_twist: Float[Tensor, "*n 6"]
    ) -> Float[Tensor, "*n 3"]:
        """Gradients of :meth:`pull`'s results to gradient of its argument."""
        w, (d_w, d_v) = self.w, _rows(d_twist)
        d_z = torch.cat([_rows(d_points), d_v.unsqueeze(0)])
        d_s = 2 * _dot(w, d_w)
        d_r = _turned(d_w, self.z) + _turned(w, d_z)
        d_c = self.c1 * d_s
        d_p, d_q = _mixed(d_c, *self.r) + _mixed(self.c, *d_r)
        moved = d_z.sum(0) + d_p + _turned(d_w, self.q) + _turned(w, d_q)

        d_turned = _turned(self.g[0], d_w)
        d_of_r = _mixed(d_c, *self.g).addcmul_(self.c[1:], d_turned)
        d_slope = _mixed(self.c2 * d_s, *self.r) + _mixed(self.c1, *d_r)
        d_of_s = 2 * (_dot(self.g, d_slope).sum(0) + _dot(d_turned, self.slope[1]))
        d_of_w = (_turned(d_z, self.of_r) + _turned(self.z, d_of_r)).sum(0)
        d_of_w += _turned(d_q, self.g[0])
        self.d_of_w = d_of_w.addcmul_(d_of_s, w).addcmul_(self.of_s, d_w)
        self.d_of_z = _turned(d_of_r, w) + _turned(self.of_r, d_w)
        return self._points(moved)

    def back(
        self, of_moved: Float[Tensor, "*n 3"]
    ) -> tuple[Float[Tensor, "*n 3"], Float[Tensor, "*n 6"]]:
        """Gradient of the moved points, with what :meth:`push` left, to those of the arguments."""
        (g,) = _rows(of_moved)
        _, _, of_w, of_z = self._pulled(torch.stack([g, _turned(g, self.w)]))
        of_z += self.d_of_z
        return self._points(of_z[0]), self._points(of_w + self.d_of_w, of_z[1])

    def _pulled(self, g: Float[Tensor, "2 5 n"]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Gradients of R, of s = t^2 (twice), of w and of (x, v) from (g, g*w)."""
        of_r = _mixed(self.c, *g)
        of_s = 2 * _dot(g, self.slope).sum(0)
        of_w = _turned(self.z, of_r).sum(0).add_(_turned(self.q, g[0])).addcmul_(of_s, self.w)
        return of_r, of_s, of_w, _turned(of_r, self.w) + g[0]

    def _points(self, *rows: Float[Tensor, "5 n"]) -> Tensor:
        """Vectors, side by side if there are two, as they came in."""
        columns = torch.cat([vector[:3] for vector in rows]).mT.contiguous()
        return columns.view(*self.shape[:-1], -1)


def _slopes(phi: Float[Tensor, "k *n"]) -> Float[Tensor, "k-2 *n"]:
    """d/ds of functions with 2 dphi_k/ds = k phi_(k+2) - phi_(k+1), the first of them phi_1.

    The derivatives obey the same rule, so that it can be applied again.
    """
    orders = torch.arange(1, phi.shape[0] - 1, dtype=phi.dtype, device=phi.device)
    return 0.5 * torch.addcmul(-phi[1:-1], orders.view(-1, *[1] * (phi.dim() - 1)), phi[2:])


def _mixed(
    c: Float[Tensor, "3 1 n"], u: Float[Tensor, "5 n"], v: Float[Tensor, "5 n"]
) -> Float[Tensor, "2 5 n"]:
    """(c_0 u + c_1 v, c_1 u + c_2 v)."""
    return torch.addcmul(c[:2] * u, c[1:], v)


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


def _cross(u: Float[Tensor, "*n 3"], v: Float[Tensor, "*n 3"]) -> Float[Tensor, "*n 3"]:
    """Cross product over the last axis."""
    return torch.linalg.cross(u, v)
