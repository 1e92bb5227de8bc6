"""Rays and the places on them."""

import numpy as np
import torch

from facemill.mesh.frames import FACE_TO_MOFANERF, HEAD_CENTRE
from facemill.mofanerf.config import SamplingConfig
from facemill.mofanerf.rays import (
    UNIT,
    Rays,
    graded,
    importance,
    pixel_rays,
    stratified,
    through_sphere,
)
from facemill.render.cameras import orbit

CAMERA = orbit(-90 + 5 * 9, 15, 800, 300, 128, 128, HEAD_CENTRE)


def some_rays(guide: float = 16.0) -> Rays:
    pixels = np.arange(0, 128 * 128, 997)
    origins, directions = (torch.from_numpy(a)[None] for a in pixel_rays(CAMERA, pixels))
    return Rays(origins, directions, torch.full(origins.shape[:2], guide))


def test_rays_go_through_pixel_centres_and_count_depth():
    """A point at a depth on the ray of a pixel projects onto that pixel's centre."""
    pixels = np.array([0, 5, 128 * 64 + 3, 128 * 128 - 1])
    origins, directions = pixel_rays(CAMERA, pixels)
    for depth in (10.0, 16.0):
        face = FACE_TO_MOFANERF.inverse().apply(origins + depth * directions)
        image, z = CAMERA.project(face)
        np.testing.assert_allclose(image, CAMERA.image_points(pixels), atol=1e-3)
        np.testing.assert_allclose(z, depth * UNIT, rtol=1e-5)


def test_cameras_look_at_the_origin_from_sixteen_units():
    origins, _ = pixel_rays(CAMERA, np.array([0]))
    np.testing.assert_allclose(np.linalg.norm(origins), 16.0, rtol=1e-6)


def test_stratified_samples_lie_one_in_each_part():
    near, far = torch.tensor([1.0, 2.0]), torch.tensor([3.0, 8.0])
    t = stratified(near, far, 10, torch.Generator().manual_seed(0))
    part = (t - near[:, None]) / (far - near)[:, None] * 10
    assert (part.floor() == torch.arange(10)).all()
    torch.testing.assert_close(stratified(near, far, 2), torch.tensor([[1.5, 2.5], [3.5, 6.5]]))


def test_importance_samples_gather_where_the_weight_is():
    t = torch.linspace(0, 1, 65)[None]
    weights = torch.exp(-((t - 0.4) ** 2) / (2 * 0.02**2))
    found = importance(t, weights, 512, torch.Generator().manual_seed(0))
    assert abs(found.mean() - 0.4) < 0.01 and abs(found.std() - 0.02) < 0.006
    even = importance(t, torch.ones_like(t), 64)
    assert (even.diff() > 0).all() and even.min() > 0 and even.max() < 1


def test_rays_enter_and_leave_a_sphere_where_its_equation_says():
    rays = some_rays()
    near, far = through_sphere(rays, 3.4)
    hit = far > near
    assert hit.any() and not hit.all()
    for t in (near, far):
        radius = rays.points(t.unsqueeze(-1)).norm(dim=-1).squeeze(-1)
        torch.testing.assert_close(
            radius[hit], torch.full_like(radius[hit], 3.4), atol=1e-3, rtol=0
        )


def test_graded_samples_stand_for_the_whole_head_and_are_closest_at_the_surface():
    rays, config = some_rays(16.0), SamplingConfig(samples=40, spread=4.0)
    near, far = through_sphere(rays, config.radius / UNIT)
    hit = (near < 16.0 - 1e-3) & (far > 16.0 + 1e-3)
    t, widths = graded(rays, config)
    drawn, same = graded(rays, config, torch.Generator().manual_seed(0))
    torch.testing.assert_close(widths.sum(-1)[hit], (far - near)[hit], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(same, widths)
    borders = near.unsqueeze(-1) + torch.nn.functional.pad(widths.cumsum(-1), (1, 0))
    for samples in (t, drawn):
        assert (samples >= borders[..., :-1] - 1e-4)[hit].all()
        assert (samples <= borders[..., 1:] + 1e-4)[hit].all()
    away = (t - 16.0).abs() * UNIT
    finest = (widths / (config.spread**2 + away**2).sqrt())[hit]
    spread = finest.max(dim=-1).values / finest.min(dim=-1).values
    assert (spread < 1.1).all(), "spacing goes with the root of spread^2 + distance^2"


def test_a_ray_without_expected_surface_is_sampled_through_the_head():
    rays, config = some_rays(float("nan")), SamplingConfig()
    near, far = through_sphere(rays, config.radius / UNIT)
    t, even = graded(rays, config)
    assert t.isfinite().all()
    assert (t >= near[..., None] - 1e-4).all() and (t <= far[..., None] + 1e-4).all()
    torch.testing.assert_close(even, ((far - near) / config.samples)[..., None].expand_as(even))
