"""Walks between codes and faces of nobody."""

import numpy as np
import pytest

from facemill.errors import ConfigError
from facemill.mofanerf.interpolate import (
    RandomConfig,
    between,
    random_codes,
    walk,
    with_expression,
)
from facemill.mofanerf.prior import appearance_codes, shape_codes


@pytest.fixture(scope="module")
def pair(faces):
    return [
        faces.codes_of(person, expression)
        for person, expression in zip(faces.train_people[:2], faces.expressions[:2], strict=True)
    ]


def test_walks_begin_and_end_where_they_should(pair):
    steps = walk(*pair, 4)
    for name in ("shape", "expression", "appearance", "mix"):
        np.testing.assert_allclose(getattr(steps[0], name), getattr(pair[0], name), atol=1e-6)
        np.testing.assert_allclose(getattr(steps[-1], name), getattr(pair[1], name), atol=1e-6)
        third = (2 * getattr(pair[0], name) + getattr(pair[1], name)) / 3
        np.testing.assert_allclose(getattr(steps[1], name), third, atol=1e-5)


def test_a_walk_in_one_part_leaves_the_others(pair):
    half = between(*pair, 0.5, ("expression",))
    np.testing.assert_array_equal(half.shape, pair[0].shape)
    np.testing.assert_array_equal(half.appearance, pair[0].appearance)
    assert half.mix.max() == pytest.approx(0.5)


def test_an_expression_is_put_on(faces, pair):
    name = faces.expressions[-1]
    found = with_expression(pair[0], faces, name)
    own = faces.codes_of(faces.train_people[0], name)
    np.testing.assert_array_equal(found.expression, own.expression)
    np.testing.assert_array_equal(found.mix, own.mix)


def test_random_faces_have_the_training_people_s_spread(faces):
    drawn = random_codes(faces, RandomConfig(count=4000, share=1.0))
    shapes = np.stack([codes.shape for codes in drawn])
    skins = np.stack([codes.appearance for codes in drawn])
    for found, known in ((shapes, shape_codes(faces)), (skins, appearance_codes(faces))):
        spread = known.std(axis=0, ddof=1)
        np.testing.assert_allclose(
            found.mean(axis=0), known.mean(axis=0), atol=0.1 * spread.max() + 1e-6
        )
        np.testing.assert_allclose(found.std(axis=0), spread, atol=0.1 * spread.max())
    joint = np.concatenate([shape_codes(faces)[:, :2], appearance_codes(faces)[:, :2]], axis=1)
    mine = np.concatenate([shapes[:, :2], skins[:, :2]], axis=1)
    np.testing.assert_allclose(np.corrcoef(mine.T), np.corrcoef(joint.T), atol=0.08)


def test_draws_repeat_by_seed_and_follow_the_temperature(faces):
    first, again = (random_codes(faces, RandomConfig(count=2, seed=4)) for _ in range(2))
    np.testing.assert_array_equal(first[1].shape, again[1].shape)
    still = random_codes(faces, RandomConfig(count=1, temperature=0.0))[0]
    np.testing.assert_allclose(still.appearance, appearance_codes(faces).mean(axis=0), atol=1e-5)


@pytest.mark.parametrize("wrong", [{"count": 0}, {"share": 0.0}, {"temperature": -1.0}])
def test_draws_that_cannot_be_are_refused(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        RandomConfig(**wrong)
