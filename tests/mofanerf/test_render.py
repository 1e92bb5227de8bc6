"""Whole images: few samples against many even ones, what is counted, expected surfaces."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from made_up_people import MODEL

from facemill.mesh.frames import HEAD_CENTRE
from facemill.mesh.surface import Mesh
from facemill.metrics.images import psnr
from facemill.mofanerf.config import ModelConfig, SamplingConfig
from facemill.mofanerf.model import MoFaNeRF, macs_per_point
from facemill.mofanerf.rays import UNIT
from facemill.mofanerf.render import render_image
from facemill.mofanerf.surface import expected_depth
from facemill.render.cameras import orbit

CAMERA = orbit(20, 10, 800, 75, 32, 32, HEAD_CENTRE)
RADIUS = 90.0


class Ball(torch.nn.Module):
    """An opaque ball about the origin in place of a learned field, coloured by place."""

    def forward(self, points, directions, codes):
        inside = points.norm(dim=-1) < RADIUS / UNIT
        return 200.0 * inside.float(), torch.sigmoid(2 * points)


def ball_model() -> tuple[MoFaNeRF, object]:
    model = MoFaNeRF(ModelConfig(**MODEL), 1)
    codes = model.condition(torch.zeros(1, 50), torch.zeros(1, 30), torch.zeros(1, 256))
    field = model.fine
    model.fine.forward = Ball().forward
    assert model.fine is field
    return model, codes


def icosphere(radius: float) -> Mesh:
    import trimesh

    ball = trimesh.creation.icosphere(subdivisions=4, radius=radius)
    return Mesh(np.asarray(ball.vertices) + HEAD_CENTRE, np.asarray(ball.faces))


def test_expected_depth_is_the_mesh_s_and_spreads_beyond_its_silhouette():
    near = expected_depth(icosphere(RADIUS), CAMERA, 0.0)
    wide = expected_depth(icosphere(RADIUS), CAMERA, 25.0)
    seen = near > 0
    assert abs(near[16, 16] - (800 - RADIUS)) < 1.0
    assert (wide[seen] == near[seen]).all()
    assert seen.sum() < (wide > 0).sum() < 1.9 * seen.sum()
    assert not expected_depth(
        icosphere(RADIUS), orbit(0, 0, 800, 75, 32, 32, np.array([0, 0, 9e3])), 9.0
    ).any()


def test_samples_about_a_prediction_agree_with_many_even_ones_and_are_far_fewer():
    model, codes = ball_model()
    sampling = SamplingConfig()
    guide = expected_depth(icosphere(RADIUS + 3), CAMERA, sampling.margin)  # a prediction 3 mm off
    seen = render_image(model, CAMERA, codes, sampling, guide)
    dense = render_image(model, CAMERA, codes, sampling, dense_samples=512)
    sure = (dense.opacity > 0.99) | (dense.opacity < 0.01)
    assert abs(seen.colour - dense.colour)[sure].max() < 0.05  # 5 mm on the rim
    assert abs(seen.depth - dense.depth)[seen.depth * dense.depth > 0].max() < 5.0
    assert dense.cost.calls > 20 * seen.cost.calls
    doubled = replace(sampling, spread=6.0, samples=48)
    again = render_image(model, CAMERA, codes, doubled, guide)
    assert abs(seen.colour - again.colour)[sure].max() < 0.05


def test_a_soft_silhouette_is_that_of_many_even_samples():
    """Skin is soft by some millimetres, and a grazing ray runs through it for centimetres."""

    def soft(points, directions, codes):
        depth = (RADIUS / UNIT - points.norm(dim=-1)) * UNIT
        return 40.0 * torch.sigmoid(depth - 2.0), torch.sigmoid(2 * points)

    model, codes = ball_model()
    model.fine.forward = soft
    sampling = SamplingConfig()
    guide = expected_depth(icosphere(RADIUS - 3), CAMERA, sampling.margin)
    seen = render_image(model, CAMERA, codes, sampling, guide)
    dense = render_image(model, CAMERA, codes, sampling, dense_samples=512)
    edge = (dense.opacity > 0.02) & (dense.opacity < 0.98)
    assert edge.sum() > 20
    assert psnr(seen.colour, dense.colour) > 50.0
    assert abs(seen.opacity - dense.opacity)[edge].max() < 0.02


def test_costs_count_every_sample():
    model, codes = ball_model()
    sampling = SamplingConfig(samples=7)
    guide = np.zeros((32, 32), np.float32)
    guide[3:7, 4:9] = 700.0
    cost = render_image(model, CAMERA, codes, sampling, guide, rays_at_once=6).cost
    assert (cost.rays, cost.calls, cost.pixels) == (20, 140, 1024)
    assert cost.macs == 140 * macs_per_point(model.fine)


def test_the_published_profile_asks_both_networks_on_every_ray():
    small = ModelConfig(profile="faithful", coarse_width=8, fine_width=8)
    model = MoFaNeRF(small, 1)
    codes = model.condition(torch.zeros(1, 50), torch.zeros(1, 30), torch.zeros(1, 256))
    camera = CAMERA.resized(8, 8)
    image = render_image(model, camera, codes, SamplingConfig())
    assert image.cost.calls == 64 * (64 + 128)
    assert image.cost.macs == 64 * (
        64 * macs_per_point(model.coarse) + 128 * macs_per_point(model.fine)
    )


@pytest.mark.parametrize("rays_at_once", [7, 4096])
def test_images_do_not_depend_on_how_many_rays_go_together(rays_at_once):
    model, codes = ball_model()
    guide = expected_depth(icosphere(RADIUS), CAMERA, 5.0)
    whole = render_image(model, CAMERA, codes, SamplingConfig(), guide)
    parts = render_image(model, CAMERA, codes, SamplingConfig(), guide, rays_at_once)
    np.testing.assert_allclose(parts.colour, whole.colour, atol=1e-6)
