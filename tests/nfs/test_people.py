"""Labelled people: drawn by seed, expressions of every kind, segments and operators that fit."""

import numpy as np
import pytest

from facemill.data.blendshape_sources import ict_blendshapes
from facemill.errors import ConfigError, DataError
from facemill.mesh.operators import read_operators
from facemill.mesh.poisson import PoissonSolver, jacobians
from facemill.mesh.surface import Mesh
from facemill.nfs.draw import draw_expressions, draw_identity, mixtures
from facemill.nfs.people import DataConfig, partners, read_people
from facemill.nfs.segments import SEGMENTS, opposite, segment_labels

UNITS = ("browDown_L", "browDown_R", "jawOpen", "mouthLeft")


def test_expressions_hold_zero_every_unit_alone_and_mixtures():
    rows = draw_expressions(0, "train", UNITS, 200)
    np.testing.assert_array_equal(rows[:5], np.vstack([np.zeros(4), np.eye(4)]))
    mixed = rows[5:]
    active = mixed[mixed > 0]
    assert (mixed > 0).any(axis=1).all() and active.min() >= 0.2 and active.max() == 1.0
    assert 0.3 < (active == 1.0).mean() < 0.7
    coupled = (mixed[:, 0] == mixed[:, 1]) & (mixed[:, 0] > 0)
    assert coupled.sum() / (mixed[:, 0] > 0).sum() > 0.3


def test_draws_depend_on_seed_and_name_alone():
    np.testing.assert_array_equal(mixtures(1, "a", UNITS, 5), mixtures(1, "a", UNITS, 9)[:5])
    assert not np.array_equal(mixtures(1, "a", UNITS, 5), mixtures(1, "b", UNITS, 5))
    weights = draw_identity(0, "train000", 2000)
    assert np.abs(weights).max() == 2.5 and abs(weights.std() - 1) < 0.05


def test_partners_are_the_other_side():
    np.testing.assert_array_equal(partners(UNITS), [1, 0, 2, 3])


def test_people_come_back_with_their_operators(people):
    known = read_people(people / "people.npz")
    assert known.people["train"] == ("train000", "train001", "train002")
    assert known.expressions["train"].shape == (1 + 19 + 12, 19)
    triangulations = set()
    for person in known.people["train"]:
        operators = read_operators(people / f"{person}-narrow.npz")
        assert 300 < len(operators.vertices) < 700
        neutral = known.frames(person, np.zeros((1, 19)), operators.source)[0]
        np.testing.assert_allclose(operators.vertices, neutral, atol=1e-6)
        triangulations.add(operators.source.tobytes())
    assert len(triangulations) == 3, "each person is triangulated anew"


def test_segments_are_mirror_images_and_hold_their_landmarks(demo_model):
    labels = segment_labels(demo_model)
    partner = np.array([SEGMENTS.index(opposite(name)) for name in SEGMENTS])
    np.testing.assert_array_equal(partner[labels], labels[demo_model.mirror])
    assert set(labels) == set(range(20))
    where = {30: "nose", 36: "eye_right", 45: "eye_left", 48: "lips", 57: "lips", 8: "jaw"}
    for landmark, name in where.items():
        assert SEGMENTS[labels[demo_model.landmarks[landmark]]] == name


def test_a_foreign_file_is_refused(tmp_path):
    np.savez(tmp_path / "people.npz", x=np.zeros(2))
    with pytest.raises(DataError, match="no labelled people"):
        read_people(tmp_path / "people.npz")


def test_settings_out_of_range_name_their_key():
    with pytest.raises(ConfigError, match="vertices: found 20"):
        DataConfig(vertices=20)
    with pytest.raises(ConfigError, match="source"):
        DataConfig(source="mars")


def test_ict_s_model_has_the_published_sizes(open_data):
    model = ict_blendshapes(open_data / "ict")
    sizes = {name: len(region) for name, region in model.regions.items()}
    assert sizes == {"full": 11248, "face": 9409, "narrow": 6706}
    for name, faces in (("full", 22288), ("narrow", 13120)):
        assert len(model.region_faces(name)[1]) == faces
    assert model.units[0] == "browDown_L" and len(model.units) == 53
    np.testing.assert_allclose(
        model.neutral[model.landmarks[30]], [0, 0.0405942, 0.80691], atol=1e-6
    )
    labels = segment_labels(model)
    assert np.bincount(labels, minlength=20).min() > 50


def test_an_ict_expression_comes_back_from_its_jacobians(open_data):
    model = ict_blendshapes(open_data / "ict")
    numbers, faces = model.region_faces("narrow")
    neutral = Mesh(model.neutral[numbers], faces)  # a prefix: the numbers are its own
    moved = neutral.vertices + model.expression[model.units.index("jawOpen")][numbers]
    found = PoissonSolver(neutral).vertices(jacobians(neutral, moved))
    offset = moved - found
    assert np.abs(offset - offset.mean(axis=0)).max() < 1e-6
