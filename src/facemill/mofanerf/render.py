"""Whole images and bundles of rays through a model, with what that cost."""

from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor

from facemill.mofanerf.canonical import Conditioned
from facemill.mofanerf.compositing import Rendered, composite
from facemill.mofanerf.config import SamplingConfig
from facemill.mofanerf.model import Codes, MoFaNeRF, macs_per_point
from facemill.mofanerf.rays import (
    UNIT,
    Draw,
    Rays,
    graded,
    importance,
    pixel_rays,
    stratified,
    through_sphere,
)
from facemill.render.cameras import Camera


@dataclass
class Cost:
    """Counts of what rendering asked of the networks."""

    calls: int = 0  # samples at which a network was evaluated
    macs: int = 0  # multiply-adds of those
    rays: int = 0  # rays on which there was anything to ask
    pixels: int = 0  # pixels of the images, asked or not

    def add(self, network: torch.nn.Module, samples: int) -> None:
        """Note that ``network`` was evaluated at so many samples."""
        self.calls += samples
        self.macs += samples * macs_per_point(network)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Traced:
    """What a model sees along rays; ``coarse`` is the first pass of the faithful profile."""

    fine: Rendered
    parameters: Float[Tensor, "b r s"]
    coarse: Rendered | None = None


def trace(
    model: MoFaNeRF,
    rays: Rays,
    codes: Codes | Conditioned,
    config: SamplingConfig,
    generator: Draw | None = None,
    cost: Cost | None = None,
) -> Traced:
    """Render rays: coarse and fine as published, or about the expected surface (fast).

    A ``generator`` draws the samples at random.
    """
    length, coarse, widths = rays.length, None, None
    if model.config.profile == "faithful":
        near = torch.full_like(length, config.near)
        t = stratified(near, torch.full_like(length, config.far), config.coarse_samples, generator)
        density, colour = model.field(rays.points(t), rays.directions, codes, coarse=True)
        coarse = composite(density, colour, t, length)
        if cost is not None:
            cost.add(model.coarse, t.numel())
        more = importance(t, coarse.weights, config.fine_samples, generator)
        t = torch.cat([t, more], dim=-1).sort(dim=-1).values
    else:
        t, widths = graded(rays, config, generator)
    density, colour = model.field(rays.points(t), rays.directions, codes)
    if cost is not None:
        cost.add(model.fine, t.numel())
        cost.rays += length.numel()
    return Traced(composite(density, colour, t, length, widths), t, coarse)


@dataclass(frozen=True)
class Image:
    """A rendered image over black; ``depth`` in mm of camera z, 0 where nothing is seen."""

    colour: Float32[np.ndarray, "h w 3"]
    opacity: Float32[np.ndarray, "h w"]
    depth: Float32[np.ndarray, "h w"]
    cost: Cost = field(default_factory=Cost)


@torch.no_grad()
def render_image(
    model: MoFaNeRF,
    camera: Camera,
    codes: Codes | Conditioned,
    config: SamplingConfig,
    guide: Float[np.ndarray, "h w"] | None = None,
    rays_at_once: int = 4096,
    dense_samples: int = 0,
) -> Image:
    """Render one image with the codes of one person and expression (b = 1).

    ``guide`` is the expected depth in mm at every pixel, 0 where no surface is near: there nothing
    is rendered. Without it, and in the faithful profile, every ray is followed. With
    ``dense_samples`` the fine network is asked at so many even steps through the head's sphere on
    every ray that meets it instead: slow, and what all shortcuts are measured against.
    """
    device = next(model.parameters()).device
    total = camera.width * camera.height
    faithful = model.config.profile == "faithful"
    use_guide = guide is not None and not faithful and not dense_samples
    pixels = np.flatnonzero(guide.ravel() > 0) if use_guide else np.arange(total)  # type: ignore[union-attr]
    depths = guide.ravel()[pixels] / UNIT if use_guide else np.full(len(pixels), np.nan)  # type: ignore[union-attr]
    origins, directions = pixel_rays(camera, pixels)
    every = Rays(
        torch.from_numpy(origins)[None],
        torch.from_numpy(directions)[None],
        torch.from_numpy(depths.astype(np.float32))[None],
    ).to(device)
    if dense_samples:
        near, far = through_sphere(every, config.radius / UNIT)
        meets = (far > near)[0].cpu()
        pixels = pixels[meets.numpy()]
        every = Rays(every.origins[:, meets], every.directions[:, meets], every.guide[:, meets])
    cost = Cost(pixels=total)
    flat = np.zeros((total, 5), np.float32)
    for start in range(0, len(pixels), rays_at_once):
        rays = every.part(slice(start, start + rays_at_once))
        if dense_samples:
            seen = _dense(model, rays, codes, config, dense_samples, cost)
        else:
            seen = trace(model, rays, codes, config, cost=cost).fine
        columns = [seen.colour, seen.opacity.unsqueeze(-1), seen.depth.unsqueeze(-1)]
        flat[pixels[start : start + rays_at_once]] = torch.cat(columns, -1)[0].cpu().numpy()
    shaped = flat.reshape(camera.height, camera.width, 5)
    opacity = shaped[..., 3]
    depth = np.where(opacity > 0.5, shaped[..., 4] / np.maximum(opacity, 1e-6) * UNIT, 0.0)
    return Image(shaped[..., :3].clip(0, 1), opacity, depth.astype(np.float32), cost)


def _dense(
    model: MoFaNeRF,
    rays: Rays,
    codes: Codes | Conditioned,
    config: SamplingConfig,
    samples: int,
    cost: Cost,
) -> Rendered:
    near, far = through_sphere(rays, config.radius / UNIT)
    t = stratified(near, far, samples)
    density, colour = model.field(rays.points(t), rays.directions, codes)
    cost.add(model.fine, t.numel())
    cost.rays += rays.guide.numel()
    widths = ((far - near) / samples).unsqueeze(-1).expand_as(t)
    return composite(density, colour, t, rays.length, widths)
