"""Texture lookup: the texel convention, linearity, reduction."""

import numpy as np
import pytest

from facemill.render.texture import lookup, reduced, reduction, texel_uv, texels


def test_texel_centres_are_where_the_convention_says():
    # First row is v = 1: texel (0, 0) of a 4 x 8 image lies at u = 0.5/8, v = 1 - 0.5/4.
    np.testing.assert_allclose(texels(np.array([[0.0625, 0.875]]), 4, 8), [[0, 0]])
    uv = np.random.default_rng(0).uniform(0, 1, (20, 2))
    np.testing.assert_allclose(texel_uv(texels(uv, 4, 8), 4, 8), uv)


def test_lookup_returns_texels_at_their_centres_and_means_between():
    texture = np.random.default_rng(0).integers(0, 256, (4, 8, 3), dtype=np.uint8)
    rows, columns = np.mgrid[:4, :8]
    centres = texel_uv(np.stack([rows.ravel(), columns.ravel()], axis=1).astype(float), 4, 8)
    np.testing.assert_allclose(lookup(texture, centres), texture.reshape(-1, 3), atol=1e-3)
    between = texel_uv(np.array([[1.5, 2.5]]), 4, 8)
    expected = texture[1:3, 2:4].reshape(-1, 3).mean(axis=0)
    np.testing.assert_allclose(lookup(texture, between)[0], expected, atol=1e-3)


def test_lookup_reproduces_a_linear_picture():
    rows, columns = np.mgrid[:16, :32].astype(np.float32)
    texture = np.stack([rows, columns], axis=2)
    uv = np.random.default_rng(0).uniform(0.1, 0.9, (100, 2))
    np.testing.assert_allclose(lookup(texture, uv), texels(uv, 16, 32), atol=1e-4)


@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (5, 1)])
def test_lookup_clamps_at_the_border(shape):
    texture = np.arange(shape[0] * shape[1] * 3, dtype=np.uint8).reshape(*shape, 3)
    corners = np.array([[-0.5, 1.5], [1.5, -0.5]])
    np.testing.assert_allclose(lookup(texture, corners), texture[[0, -1], [0, -1]])


def test_a_reduced_texture_keeps_its_means_and_its_uv():
    texture = np.random.default_rng(0).integers(0, 256, (8, 16, 3), dtype=np.uint8)
    small = reduced(texture, 4)
    assert small.shape == (2, 4, 3)
    np.testing.assert_allclose(small[0, 1], texture[:4, 4:8].reshape(-1, 3).mean(0), atol=0.51)


def test_reduction_leaves_a_texel_for_every_pixel():
    assert reduction((4096, 2048), 9.0) == 8
    assert reduction((4096, 2048), 1.9) == 1
    assert reduction((20, 40), 16.0) == 4
