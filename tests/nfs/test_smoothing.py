"""Smoothing of decoded motion: along the surface, not across cuts, in one go or in many."""

from dataclasses import replace

import numpy as np
import pytest
from shapes import graph
from small_nfs import SMALL, made

from facemill.mesh.laplacian import cotangent_laplacian
from facemill.mesh.operators import OperatorSettings, read_operators
from facemill.mesh.operators_build import build_operators
from facemill.mesh.surface import Mesh
from facemill.nfs.retarget import Clone
from facemill.nfs.rig import codes_of
from facemill.nfs.smoothing import Smoother

HILL = graph(lambda x, y: 0.3 * np.sin(2 * x) * np.cos(y), 1.0, 0.1)
SHAPE = (2, len(HILL.vertices), 3)


@pytest.fixture(scope="module")
def operators():
    return build_operators(HILL, OperatorSettings(8, 16), "hill", weld=False)


def test_a_shift_stays_a_shift_and_noise_is_worn_down(operators):
    smoother = Smoother(operators, 0.1)
    shift = np.broadcast_to([0.1, -0.2, 0.3], SHAPE)
    np.testing.assert_allclose(smoother(shift), shift, atol=1e-12)
    noise = np.random.default_rng(0).standard_normal(SHAPE)
    assert smoother(noise).std() < 0.6 * noise.std()
    assert Smoother(operators, 0.3)(noise).std() < 0.6 * smoother(noise).std()
    both = smoother(np.concatenate([noise, shift]))
    np.testing.assert_allclose(both, np.concatenate([smoother(noise), shift]), atol=1e-12)


def test_it_is_the_least_of_its_sum(operators):
    """No neighbouring motion does better in the sum that the docstring names."""
    rng = np.random.default_rng(1)
    motion = rng.standard_normal(SHAPE)[:1]
    weights = np.clip(-operators.laplacian.toarray().astype(float), 0.0, 2.0)
    np.fill_diagonal(weights, 0.0)
    share = 0.1**2 / operators.mass.mean()

    def cost(found):
        own = (weights.sum(axis=1) * ((found - motion[0]) ** 2).sum(axis=1)).sum()
        between = ((found[:, None] - found[None]) ** 2).sum(axis=2)
        return own + share * 0.5 * (weights * between).sum()

    found = Smoother(operators, 0.1)(motion)[0]
    for _ in range(5):
        assert cost(found) < cost(found + 0.01 * rng.standard_normal(found.shape))


def test_nothing_passes_a_cut(operators):
    """The hill cut in two halves: a step between them stays a step, and is worn down without."""
    right = HILL.vertices[:, 0] > 0.05
    faces = HILL.faces[right[HILL.faces].all(axis=1) | ~right[HILL.faces].any(axis=1)]
    cut = cotangent_laplacian(Mesh(HILL.vertices, faces)).astype(np.float32)
    step = np.where(right, 1.0, -1.0)[None, :, None] * [0.0, 0.2, 0.0]
    whole, halves = (
        Smoother(held, 0.5)(step) for held in (operators, replace(operators, laplacian=cut))
    )
    np.testing.assert_allclose(halves, step, atol=1e-12)
    assert np.abs(whole - step).max() > 0.1


def test_a_clone_is_smoothed_and_its_neutral_stays(people):
    operators = read_operators(people / "test000-narrow.npz")
    rough, smooth = (
        Clone(made(replace(SMALL, anchored=True, smoothing=reach)), operators)
        for reach in (0.0, 1.0)
    )
    codes = codes_of(rough.model, np.eye(SMALL.units)[:3] * np.array([[0.0], [1.0], [1.0]]))
    plain, found = (next(clone.frames(codes, 3)) for clone in (rough, smooth))
    np.testing.assert_allclose(found[0], operators.vertices, atol=1e-6)
    laplacian = operators.laplacian
    bent = [np.linalg.norm(laplacian @ (frames[1] - frames[0])) for frames in (plain, found)]
    assert 0 < bent[1] < bent[0]
    one_by_one = np.concatenate(list(smooth.frames(codes, 1)))
    np.testing.assert_allclose(one_by_one, found, atol=1e-6)
