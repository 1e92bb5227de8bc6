"""Batches: pure functions of seed and step, in the unit ball, without leaks between splits."""

import logging

import numpy as np
import pytest
import torch

from facemill.errors import DataError
from facemill.imface.data import open_training_set, to_unit_ball


def test_only_training_people_and_seen_expressions_are_used(made_data):
    data = open_training_set(*made_data())
    assert data.people == ("d001", "d002")
    assert data.expressions == ("1_neutral", "2_smile")
    assert sorted(data.scans) == [(0, 0), (0, 1), (1, 0), (1, 1)]


def test_test_people_need_no_samples(made_data):
    index, samples = made_data()
    (samples / "d003.npy").unlink()
    assert open_training_set(index, samples).people == ("d001", "d002")


def test_a_batch_is_a_pure_function_of_seed_and_step(made_data):
    data = open_training_set(*made_data())
    again = open_training_set(
        data.packs[0].path.parent.parent / "index.json", data.packs[0].path.parent
    )
    data.batch(0, 3, 3, 50)
    first, second = data.batch(0, 7, 3, 50), again.batch(0, 7, 3, 50)
    for name, value in vars(first).items():
        assert torch.equal(value, getattr(second, name)), name
    assert not torch.equal(first.points, data.batch(0, 8, 3, 50).points)
    assert not torch.equal(first.points, data.batch(1, 7, 3, 50).points)


def test_every_epoch_goes_through_all_scans_once(made_data):
    data = open_training_set(*made_data(people=("a", "b", "c", "d"), test=("d",)))
    drawn = [scan for step in range(8) for scan in data.scans_at(5, step, 3)]
    for epoch in range(4):
        assert sorted(drawn[6 * epoch : 6 * epoch + 6]) == sorted(data.scans)
    assert drawn[:6] != drawn[6:12]
    assert sorted(data.scans_at(5, 0, 13))[::2] != []  # a batch may be larger than an epoch


def test_batches_are_in_the_unit_ball_and_belong_to_their_scans(made_data):
    data = open_training_set(*made_data())
    batch = data.batch(0, 0, 4, 100)
    for i, (person, expression) in enumerate(zip(batch.identity, batch.expression, strict=True)):
        rows = data.packs[person].scan(data.expressions[expression])
        points, normals, sdf = to_unit_ball(np.asarray(rows))
        where = (np.abs(points - batch.points[i, 0].numpy()).sum(-1)).argmin()
        assert np.allclose(points[where], rows[where, :3] / 100, atol=1e-7)
        assert torch.equal(batch.normals[i, 0], torch.from_numpy(normals)[where])
        assert torch.equal(batch.sdf[i, 0], torch.from_numpy(sdf)[where])
        landmarks = data.packs[person].landmarks(data.expressions[expression]) / 100
        assert np.allclose(batch.landmarks[i], landmarks, atol=1e-7)
        neutral = data.packs[person].landmarks("1_neutral") / 100
        assert np.allclose(batch.neutral_landmarks[i], neutral, atol=1e-7)
        assert batch.is_neutral[i] == (expression == 0)
    assert batch.points.abs().max() < 1 and batch.points.dtype == torch.float32


def test_template_landmarks_are_the_mean_of_the_neutrals(made_data):
    data = open_training_set(*made_data())
    mean = np.mean([pack.landmarks("1_neutral") for pack in data.packs], axis=0) / 100
    assert np.allclose(data.template_landmarks, mean, atol=1e-7)


def test_a_missing_scan_is_skipped_with_a_line(made_data, caplog):
    with caplog.at_level(logging.INFO):
        data = open_training_set(*made_data(missing={("d002", "2_smile")}))
    assert (1, 1) not in data.scans and len(data.scans) == 3
    assert "d002: no scan of 2_smile, skipped" in caplog.text


def test_a_person_without_a_neutral_is_left_out(made_data, caplog):
    data = open_training_set(*made_data(missing={("d001", "1_neutral")}))
    assert data.people == ("d002",)
    assert "d001: no neutral scan" in caplog.text


@pytest.mark.parametrize(
    "about, message",
    [
        ({"split": {"test": ["d001", "d003"]}}, "d001 in two splits"),
        ({"split": {"train": ["d001", "d002", "d003"]}}, "d003 in two splits"),
        ({"people": {"d001": {"split": "test"}}}, "d001 in two splits"),
        ({"split": {"unseen_expressions": ["2_smile"]}}, "2_smile in two splits"),
        ({"split": {"seen_expressions": ["2_smile"]}}, "needs everybody's neutral"),
        ({"people": {"d001": {}}}, "no 'split' where an index has it"),
    ],
)
def test_a_leak_between_splits_is_refused(made_data, about, message):
    with pytest.raises(DataError, match=message):
        open_training_set(*made_data(about=about))


def test_a_missing_pack_and_an_empty_split_are_named(made_data):
    index, samples = made_data()
    (samples / "d001.npy").unlink()
    with pytest.raises(DataError, match=r"d001\.npy"):
        open_training_set(index, samples)
    with pytest.raises(DataError, match="no scan to train on"):
        open_training_set(*made_data(test=("d001", "d002", "d003")))
