"""Rays through pixel centres and the places on them where the field is asked.

Rays have camera z = 1 per unit of their parameter, so that a parameter is a depth. Everything is in
the scene's frame (50 mm are one unit).
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from facemill.mesh.frames import FACE_TO_MOFANERF
from facemill.mofanerf.config import SamplingConfig
from facemill.render.cameras import Camera

UNIT = 1.0 / FACE_TO_MOFANERF.scale
"""Millimetres in a scene unit."""


@dataclass(frozen=True)
class Rays:
    """r rays of each of b images, and where a surface is expected on them.

    ``guide`` is the depth of that surface; not a number where none is near the ray.
    """

    origins: Float[Tensor, "b r 3"]
    directions: Float[Tensor, "b r 3"]
    guide: Float[Tensor, "b r"]

    def points(self, parameters: Float[Tensor, "b r s"]) -> Float[Tensor, "b r s 3"]:
        """Places o + t d."""
        return self.origins.unsqueeze(-2) + parameters.unsqueeze(-1) * self.directions.unsqueeze(-2)

    @property
    def length(self) -> Float[Tensor, "b r"]:
        """Scene units along a ray in one unit of its parameter."""
        return self.directions.norm(dim=-1)

    def part(self, rays: slice) -> "Rays":
        """Some rays of every image."""
        return Rays(self.origins[:, rays], self.directions[:, rays], self.guide[:, rays])

    def to(self, device: torch.device) -> "Rays":
        """The same rays on another device."""
        return Rays(*[getattr(self, name).to(device) for name in vars(self)])


@dataclass(frozen=True)
class Share:
    """Random numbers for some of a step's images, as if all of them were drawn at once."""

    generator: torch.Generator
    images: slice
    total: int


Draw = torch.Generator | Share
"""Where random samples come from."""


def uniform(shape: tuple[int, ...], draw: Draw) -> Float[Tensor, "..."]:
    """Numbers from 0 to 1 on the CPU; images are the first dimension."""
    if isinstance(draw, torch.Generator):
        return torch.rand(shape, generator=draw)
    return torch.rand((draw.total, *shape[1:]), generator=draw.generator)[draw.images]


def pixel_rays(
    camera: Camera, pixels: Int[np.ndarray, " n"]
) -> tuple[Float[np.ndarray, "n 3"], Float[np.ndarray, "n 3"]]:
    """Origins and directions, float32, through the centres of pixels numbered row after row."""
    directions = camera.directions(camera.image_points(pixels))
    turned = FACE_TO_MOFANERF.apply_to_normals(directions)
    origin = FACE_TO_MOFANERF.apply(camera.centre)
    # One unit of the parameter is one scene unit of depth, as it was one mm in the face frame.
    return np.broadcast_to(origin, turned.shape).astype(np.float32), turned.astype(np.float32)


def stratified(
    near: Float[Tensor, "*r"],
    far: Float[Tensor, "*r"],
    count: int,
    generator: Draw | None = None,
) -> Float[Tensor, "*r s"]:
    """One parameter in each of ``count`` equal parts of [near, far]: drawn, or the middle."""
    shape = (*near.shape, count)
    within = (
        torch.full(shape, 0.5, device=near.device)
        if generator is None
        else uniform(shape, generator).to(near.device)
    )
    share = (torch.arange(count, device=near.device) + within) / count
    return near.unsqueeze(-1) + (far - near).unsqueeze(-1) * share


def importance(
    parameters: Float[Tensor, "*r s"],
    weights: Float[Tensor, "*r s"],
    count: int,
    generator: Draw | None = None,
) -> Float[Tensor, "*r n"]:
    """Parameters drawn from the coarse weights, by inverting their distribution (release).

    Bins lie between the middles of neighbouring samples; the first and the last sample have none.
    Without a generator the quantiles are evenly spaced.
    """
    edges = 0.5 * (parameters[..., 1:] + parameters[..., :-1])
    mass = weights[..., 1:-1].detach() + 1e-5
    below = torch.cumsum(mass / mass.sum(dim=-1, keepdim=True), dim=-1)
    below = torch.cat([torch.zeros_like(below[..., :1]), below], dim=-1)
    shape = (*parameters.shape[:-1], count)
    wanted = (
        torch.linspace(0, 1, count, device=parameters.device).expand(shape)
        if generator is None
        else uniform(shape, generator).to(parameters.device)
    ).contiguous()
    right = torch.searchsorted(below.contiguous(), wanted, right=True)
    right = right.clamp(1, below.shape[-1] - 1)
    low, high = below.gather(-1, right - 1), below.gather(-1, right)
    start, end = edges.gather(-1, right - 1), edges.gather(-1, right)
    inside = high - low
    share = (wanted - low) / torch.where(inside < 1e-5, torch.ones_like(inside), inside)
    return start + share.clamp(0, 1) * (end - start)


def through_sphere(rays: Rays, radius: float) -> tuple[Float[Tensor, "b r"], Float[Tensor, "b r"]]:
    """Parameters where rays enter and leave the sphere about the origin; equal where they miss."""
    square = rays.directions.square().sum(-1)
    middle = -(rays.origins * rays.directions).sum(-1) / square
    nearest = rays.origins + middle.unsqueeze(-1) * rays.directions
    half = ((radius**2 - nearest.square().sum(-1)).clamp_min(0.0) / square).sqrt()
    return middle - half, middle + half


@torch.no_grad()
def graded(
    rays: Rays, config: SamplingConfig, generator: Draw | None = None
) -> tuple[Float[Tensor, "b r s"], Float[Tensor, "b r s"]]:
    """Samples about an expected surface (fast profile), and how much of the ray each stands for.

    At the distance d their spacing goes with sqrt(spread^2 + d^2): t = guide + spread sinh(u), u
    even through the whole head. So a surface that was predicted wrongly is met, and so is one that
    the ray grazes. A ray without an expected surface has even samples. Where a sample lies is
    nobody's gradient: rays may belong to a pose that is being fitted.
    """
    near, far = through_sphere(rays, config.radius / UNIT)
    known, spread = rays.guide.isfinite(), config.spread / UNIT
    guide = torch.where(known, rays.guide, 0.5 * (near + far))
    before = torch.asinh((guide - near).clamp_min(spread) / spread).unsqueeze(-1)
    behind = torch.asinh((far - guide).clamp_min(spread) / spread).unsqueeze(-1)

    def place(share: Float[Tensor, "..."]) -> Float[Tensor, "b r s"]:
        about = guide.unsqueeze(-1) + spread * torch.sinh((before + behind) * share - before)
        even = torch.lerp(near.unsqueeze(-1), far.unsqueeze(-1), share)
        return torch.where(known.unsqueeze(-1), about, even)

    borders = torch.linspace(0.0, 1.0, config.samples + 1, device=near.device).expand(
        *near.shape, -1
    )
    inside = stratified(torch.zeros_like(near), torch.ones_like(near), config.samples, generator)
    return place(inside), place(borders).diff(dim=-1)
