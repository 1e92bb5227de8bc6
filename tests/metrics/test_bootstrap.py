import math

import numpy as np
import pytest

from facemill.errors import DataError
from facemill.metrics.bootstrap import (
    Interval,
    bootstrap_interval,
    intervals,
    read_intervals,
    write_intervals,
)
from facemill.metrics.scores import Score
from facemill.metrics.tables import FLOOR, summarise, write_table

SPLIT = {"test": {f"t{i}" for i in range(40)}, "unseen_expressions": {"6_jaw_right"}}
METRIC = "point_to_surface_mean"


def scores_of(values, method="se3", metric=METRIC, expressions=("1_neutral", "2_smile")):
    """Scores of people t0, t1, … by method, the same in all expressions."""
    return [
        Score("imface", method, f"t{i}", expression, metric, "mm", float(value))
        for i, value in enumerate(values)
        for expression in expressions
    ]


def by_method(rows, metric=METRIC):
    return {row.method: row for row in rows if row.metric == metric}


def plain_interval(people, draws, level, rng):
    """The same written as a loop: draw people, put all their scans together, take the mean."""
    means = []
    for _ in range(draws):
        drawn = rng.integers(len(people), size=len(people))
        means.append(np.mean(np.concatenate([people[i] for i in drawn])))
    return np.quantile(means, [(1 - level) / 2, (1 + level) / 2])


def test_vectorised_draws_agree_with_a_plain_loop_over_people_with_unequal_scans():
    rng = np.random.default_rng(0)
    people = [rng.normal(i % 3, 1.0, size=2 + i % 4) for i in range(12)]
    sums = np.array([[p.sum()] for p in people])
    counts = np.array([[float(len(p))] for p in people])
    low, high = bootstrap_interval(sums, counts, draws=20000, level=0.95, rng=rng)
    expected = plain_interval(people, 20000, 0.95, rng)
    np.testing.assert_allclose([low[0], high[0]], expected, atol=0.03)


def test_interval_of_many_people_is_that_of_the_normal_distribution():
    values = np.random.default_rng(1).normal(1.0, 0.2, size=40)
    row = by_method(intervals(scores_of(values), SPLIT))["se3"]
    half = 1.96 * values.std() / np.sqrt(40)
    assert row.value == pytest.approx(values.mean())
    assert row.low == pytest.approx(values.mean() - half, abs=0.1 * half)
    assert row.high == pytest.approx(values.mean() + half, abs=0.1 * half)
    assert row.n == 40


def test_more_scans_of_the_same_people_make_no_narrower_interval():
    values = np.random.default_rng(2).normal(1.0, 0.2, size=20)
    few = by_method(intervals(scores_of(values, expressions=("1_neutral",)), SPLIT))["se3"]
    many = [f"{i}_e" for i in range(1, 20)]
    more = by_method(intervals(scores_of(values, expressions=many), SPLIT))["se3"]
    assert more.high - more.low == pytest.approx(few.high - few.low, rel=1e-9)


def test_a_constant_advantage_has_a_sharp_difference_however_unlike_the_people_are():
    values = np.random.default_rng(3).normal(2.0, 1.0, size=8)
    rows = by_method(intervals(scores_of(values) + scores_of(values + 0.1, "pca"), SPLIT))
    difference = rows["se3 - pca"]
    assert (difference.low, difference.high) == pytest.approx((-0.1, -0.1))
    assert rows["se3"].high - rows["se3"].low > 0.5
    assert "pca - pca" not in rows


def test_differences_run_over_the_scans_that_both_methods_have():
    ours = scores_of([1.0, 2.0, 3.0])
    theirs = [s for s in scores_of([0.5, 0.5, 0.5], "pca") if s.person != "t2"]
    row = by_method(intervals(ours + theirs, SPLIT))["se3 - pca"]
    assert (row.value, row.n) == (pytest.approx(1.0), 2)


def test_values_are_those_of_the_table():
    rng = np.random.default_rng(4)
    scores = scores_of(rng.normal(size=6)) + scores_of(rng.normal(size=6), "pca")
    scores += scores_of(rng.normal(size=6), metric="chamfer_sampled_floor")
    scores += scores_of(rng.normal(size=6), expressions=("6_jaw_right",))
    rows = [row for row in intervals(scores, SPLIT) if " - " not in row.method]
    found = {(r.method, r.split, r.metric): r.value for r in rows}
    for row in summarise(scores, SPLIT):
        assert found[row.method, row.split, row.metric] == pytest.approx(row.value)
    assert any(row.method == FLOOR for row in rows)
    assert all(row.low <= row.value <= row.high for row in rows)


def test_a_single_person_has_no_interval():
    row = by_method(intervals(scores_of([1.0]), SPLIT))["se3"]
    assert row.value == 1.0 and math.isnan(row.low) and math.isnan(row.high)


def test_same_seed_same_interval():
    scores = scores_of(np.random.default_rng(5).normal(size=7))
    first, again = intervals(scores, SPLIT, seed=3), intervals(scores, SPLIT, seed=3)
    assert first == again
    assert first != intervals(scores, SPLIT, seed=4)


def test_tables_of_intervals_are_written_and_read_back(tmp_path):
    rows = [Interval("imface", "se3 - pca", "a", METRIC, "mm", -0.5, -0.75, -0.25, 4)]
    write_intervals(tmp_path / "i.csv", rows)
    assert read_intervals(tmp_path / "i.csv") == rows
    write_table(tmp_path / "t.csv", [])
    with pytest.raises(DataError, match=r"t\.csv: columns"):
        read_intervals(tmp_path / "t.csv")
