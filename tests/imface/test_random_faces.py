"""The distribution of codes, and faces drawn from it."""

import numpy as np
import pytest
import torch

from facemill.errors import ConfigError, DataError
from facemill.imface.figures import random_faces
from facemill.imface.model import load_model
from facemill.imface.random_faces import (
    RandomFacesConfig,
    fitted_distribution,
    random_codes,
)
from facemill.mesh.io import read_mesh

AXES = np.linalg.qr(np.random.default_rng(1).normal(size=(6, 6)))[0][:3]
STD = np.array([3.0, 1.0, 0.2])


def made_codes(count: int) -> np.ndarray:
    """Codes of six numbers that vary along three axes about (2, 2, 2, 2, 2, 2)."""
    along = np.random.default_rng(0).normal(size=(count, 3)) * STD
    return 2.0 + along @ AXES


def test_mean_axes_and_deviations_of_codes_are_found():
    found = fitted_distribution(made_codes(20000))
    np.testing.assert_allclose(found.mean, 2.0, atol=0.1)
    np.testing.assert_allclose(found.std[:3], STD, rtol=0.03)
    np.testing.assert_allclose(np.abs((found.axes[:3] * AXES).sum(1)), 1.0, atol=1e-2)


def test_draws_have_the_covariance_of_the_codes_themselves():
    codes = made_codes(400)
    drawn = fitted_distribution(codes).draw(np.random.default_rng(3), 50000)
    np.testing.assert_allclose(np.cov(drawn.T), np.cov(codes.T), atol=0.15)
    half = fitted_distribution(codes).draw(np.random.default_rng(3), 50000, temperature=0.5)
    np.testing.assert_allclose(np.cov(half.T), np.cov(codes.T) / 4, atol=0.05)


def test_axes_are_kept_up_to_the_share_and_never_more_than_codes_less_one():
    codes = made_codes(500)
    assert len(fitted_distribution(codes, 0.85).std) == 1
    assert len(fitted_distribution(codes, 0.99).std) == 2
    assert len(fitted_distribution(codes[:3], 1.0).std) == 2
    with pytest.raises(DataError, match="1 trained code has no distribution"):
        fitted_distribution(codes[:1])


@pytest.fixture(scope="module")
def trained(tiny_imface):
    model, about = load_model(tiny_imface.model)
    return model.requires_grad_(False), about


def test_random_people_are_the_same_with_the_same_seed_only(trained):
    first = random_codes(*trained, RandomFacesConfig(count=3))
    again = random_codes(*trained, RandomFacesConfig(count=3))
    other = random_codes(*trained, RandomFacesConfig(count=3, seed=1))
    assert all(torch.equal(a.identity, b.identity) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[0].identity, other[0].identity)
    assert not torch.equal(first[0].identity, first[1].identity)


def test_the_expression_is_the_mean_neutral_one_or_drawn(trained):
    model, about = trained
    neutral = random_codes(model, about, RandomFacesConfig(count=2))
    everybody = torch.arange(len(about["people"]))
    position = about["expressions"].index("1_neutral")
    codes = model.codes(everybody, torch.full_like(everybody, position))[1]
    torch.testing.assert_close(neutral[0].expression, codes.mean(0), atol=1e-6, rtol=1e-5)
    assert torch.equal(neutral[0].expression, neutral[1].expression)
    drawn = random_codes(model, about, RandomFacesConfig(count=2, expression="random"))
    assert not torch.equal(drawn[0].expression, drawn[1].expression)


def test_without_temperature_everybody_is_the_mean_person(trained):
    model, about = trained
    codes = random_codes(model, about, RandomFacesConfig(count=2, temperature=0.0))
    torch.testing.assert_close(
        codes[1].identity, model.identity_codes.weight.mean(0), atol=1e-6, rtol=1e-5
    )


def test_faces_are_drawn_and_written(tiny_imface, tmp_path):
    settings = {"steps": 2, "size": 48, "resolution": 24}
    out, meshes = tmp_path / "random.png", tmp_path / "meshes"
    random_faces(tiny_imface.model, settings, {"count": 3}, out, meshes)
    assert out.read_bytes().startswith(b"\x89PNG")
    assert sorted(path.name for path in meshes.iterdir()) == ["001.ply", "002.ply", "003.ply"]
    assert np.linalg.norm(read_mesh(meshes / "001.ply").vertices, axis=1).max() < 100.1


def test_wrong_settings_are_named():
    for key, value in {"count": 0, "share": 0.0, "temperature": -1.0}.items():
        with pytest.raises(ConfigError, match=f"{key}: found"):
            RandomFacesConfig(**{key: value})
