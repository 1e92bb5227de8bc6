"""Light: harmonics orthonormal, coefficients recovered, the relit picture like the unlit one."""

import math

import numpy as np
import pytest
from rendered_heads import demo_mesh

from facemill.data.demo import texture as demo_texture
from facemill.errors import DataError
from facemill.metrics.images import psnr
from facemill.mofanerf.lighting import (
    NEUTRAL,
    Light,
    estimate_light,
    harmonics,
    linear,
    relit,
    srgb,
)
from facemill.render.cameras import orbit
from facemill.render.mesh_view import MeshView
from facemill.render.views import HEAD_CENTRE

SIDE = Light(math.sqrt(4 * math.pi) * np.array([0.8, 0.12, 0.2, 0.28, 0.03, 0, 0.04, -0.03, 0.02]))
"""From the subject's left and a little above."""


@pytest.fixture(scope="module")
def face():
    """Unlit colours, normals, mask and a skin region of a demo head."""
    camera = orbit(10, 5, 800, 450, 192, 192, HEAD_CENTRE)
    mesh = demo_mesh("d003")
    view = MeshView(mesh, demo_texture("d003", 0, 1024), camera)
    image, depth, packed = view.render(camera)
    mask = depth > 0
    normals = packed / 127.5 - 1.0
    normals /= np.linalg.norm(normals, axis=2, keepdims=True)
    normals[~mask] = 0
    points = np.zeros((*mask.shape, 3))
    points[mask] = camera.unproject(camera.image_points(np.flatnonzero(mask)), depth[mask] / 32.0)
    # The face's front without forehead hair: what landmarks of a photo enclose.
    region = mask & (points[..., 2] > -40) & (np.abs(points[..., 1] - 0) < 75)
    return image[..., :3] / 255.0, normals, mask, region


def lit(colour, normals, light, mask):
    result = colour.copy()
    result[mask] = srgb(linear(colour[mask]) * np.maximum(light.shading(normals[mask]), 0)[:, None])
    return result


def test_harmonics_are_orthonormal_on_the_sphere():
    # Gauss-Legendre in z, equal steps round it: exact for these polynomials.
    z, weight = np.polynomial.legendre.leggauss(8)
    around = np.arange(16) * 2 * np.pi / 16
    radius = np.sqrt(1 - z**2)
    points = np.stack(
        [
            (radius[:, None] * np.cos(around)).ravel(),
            (radius[:, None] * np.sin(around)).ravel(),
            np.repeat(z, 16),
        ],
        axis=1,
    )
    weights = np.repeat(weight, 16) * 2 * np.pi / 16
    basis = harmonics(points)
    np.testing.assert_allclose(basis.T @ (basis * weights[:, None]), np.eye(9), atol=1e-12)


def test_srgb_and_linear_light_are_each_other_s_inverse():
    values = np.linspace(0, 1, 101)
    np.testing.assert_allclose(srgb(linear(values)), values, atol=1e-12)
    assert linear(np.array([0.5]))[0] == pytest.approx(0.21404, abs=1e-5)
    assert srgb(np.array([2.0]))[0] == pytest.approx(1.0, abs=1e-12)


def test_neutral_light_changes_nothing(face):
    colour, normals, _, _ = face
    np.testing.assert_allclose(NEUTRAL.shading(normals[80:90, 90]), 1.0)
    np.testing.assert_allclose(relit(colour, normals, NEUTRAL), colour, atol=1e-9)


def test_with_known_albedo_the_coefficients_come_back(face):
    colour, normals, mask, _ = face
    picture = lit(colour, normals, SIDE, mask)
    found = estimate_light(picture, normals, mask, colour)
    seen = normals[mask]
    difference = found.shading(seen) - np.maximum(SIDE.shading(seen), 0)
    assert np.abs(difference).mean() < 0.01
    np.testing.assert_allclose(found.coefficients, SIDE.coefficients, atol=0.12)
    np.testing.assert_allclose(found.coefficients[:4], SIDE.coefficients[:4], atol=0.06)
    assert np.degrees(np.arccos(found.direction @ SIDE.direction)) < 3


def test_highlights_and_cast_shadows_lose_their_say(face):
    colour, normals, mask, _ = face
    picture = lit(colour, normals, SIDE, mask)
    rng = np.random.default_rng(0)
    spots = mask & (rng.random(mask.shape) < 0.15)
    picture[spots] = rng.choice([0.02, 1.0], (int(spots.sum()), 1))
    found = estimate_light(picture, normals, mask, colour)
    seen = normals[mask]
    assert np.abs(found.shading(seen) - SIDE.shading(seen)).mean() < 0.03


def test_without_albedo_the_light_s_direction_and_form_are_found(face):
    colour, normals, mask, region = face
    picture = lit(colour, normals, SIDE, mask)
    found = estimate_light(picture, normals, region)
    assert found.shading(normals[region]).mean() == pytest.approx(1.0, abs=1e-9)
    assert np.degrees(np.arccos(found.direction @ SIDE.direction)) < 25
    both = [light.shading(normals[region]) for light in (found, SIDE)]
    assert np.corrcoef(*both)[0, 1] > 0.95


@pytest.mark.parametrize("known", [True, False])
def test_the_relit_picture_is_close_to_the_unlit_one(face, known):
    colour, normals, mask, region = face
    picture = lit(colour, normals, SIDE, mask)
    light = estimate_light(picture, normals, region, colour if known else None)
    flat = relit(picture, normals, light)
    if not known:  # brightness as a whole is not to be told from the skin's: compare without it
        gain = linear(colour[region]).mean() / linear(flat[region]).mean()
        flat, picture = (srgb(linear(p) * gain) for p in (flat, picture))
    assert psnr(flat, colour, region) > psnr(picture, colour, region) + 4
    assert psnr(flat, colour, region) > (35 if known else 26)
    assert np.array_equal(flat[~mask] > 0.5, colour[~mask] > 0.5)


def test_relighting_keeps_hue(face):
    colour, normals, _, region = face
    picture = relit(colour, normals, NEUTRAL, SIDE)
    inside = region & (picture.max(axis=2) < 0.99) & (picture.min(axis=2) > 0.05)
    before, after = linear(colour[inside]), linear(picture[inside])
    np.testing.assert_allclose(
        before / before.sum(axis=1, keepdims=True),
        after / after.sum(axis=1, keepdims=True),
        atol=1e-6,
    )


def test_too_few_pixels_are_refused(face):
    colour, normals, mask, _ = face
    few = np.zeros_like(mask)
    few[90:95, 90:95] = True
    with pytest.raises(DataError, match="25 pixels of the region"):
        estimate_light(colour, normals, few)
