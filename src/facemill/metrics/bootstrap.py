"""How far a mean over test people would move with other people: bootstrap confidence intervals.

Scans of one person are no independent evidence, so people are drawn again with replacement, each
with all their scans. Methods are compared scan by scan before the mean is taken: what makes a
person hard for all methods drops out of the difference.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from facemill.metrics.scores import Score, read_records, write_records
from facemill.metrics.tables import FLOOR, HEADLINE, Group, grouped
from facemill.randomness import generator

INTERVAL_COLUMNS = ("system", "method", "split", "metric", "unit", "value", "low", "high", "n")

REFERENCE = "pca"
"""The method that all others are compared with, pair by pair."""

DRAWS = 5000
LEVEL = 0.95


@dataclass(frozen=True)
class Interval:
    """A mean over scans and the interval that holds it for ``n`` people drawn again.

    Not-a-number stands for the ends where there is only one person to draw.
    """

    system: str
    method: str
    split: str
    metric: str
    unit: str
    value: float
    low: float
    high: float
    n: int


def intervals(
    scores: Sequence[Score],
    split: Mapping[str, Any],
    *,
    reference: str = REFERENCE,
    draws: int = DRAWS,
    level: float = LEVEL,
    seed: int = 0,
) -> list[Interval]:
    """Means and their intervals by method, split and metric, then differences from ``reference``.

    Differences are listed as the method ``<method> - <reference>``, for the headline metrics,
    over the scans that both have. All groups of a split meet the same draws of people.
    """
    groups = grouped(scores, split)
    groups |= differences(groups, reference)
    rows = []
    for name in dict.fromkeys(group.split for group in groups):
        chosen = {group: of for group, of in groups.items() if group.split == name}
        people = list(dict.fromkeys(person for of in chosen.values() for person, _ in of))
        sums, counts = per_person(chosen.values(), people)
        rng = generator(seed, "bootstrap", name)
        low, high = bootstrap_interval(sums, counts, draws=draws, level=level, rng=rng)
        values = sums.sum(axis=0) / counts.sum(axis=0)
        present = (counts > 0).sum(axis=0)
        for group, *numbers, n in zip(chosen, values, low, high, present, strict=True):
            rows.append(Interval(*group, *map(float, numbers), int(n)))
    return rows


def differences(
    groups: Mapping[Group, Mapping[tuple[str, str], float]], reference: str
) -> dict[Group, dict[tuple[str, str], float]]:
    """Method less reference on every scan that both have, by headline metric."""
    known = {
        (group.split, group.metric): of
        for group, of in groups.items()
        if group.method == reference and group.metric in HEADLINE
    }
    found = {}
    for group, of in groups.items():
        other = known.get((group.split, group.metric), {})
        both = {scan: value - other[scan] for scan, value in of.items() if scan in other}
        if both and group.method not in (reference, FLOOR):
            found[group._replace(method=f"{group.method} - {reference}")] = both
    return found


def per_person(
    groups: Iterable[Mapping[tuple[str, str], float]], people: Sequence[str]
) -> tuple[Float[np.ndarray, "p g"], Float[np.ndarray, "p g"]]:
    """Sum and number of each person's values in each group."""
    groups = list(groups)
    place = {person: i for i, person in enumerate(people)}
    sums, counts = np.zeros((2, len(people), len(groups)))
    for column, of in enumerate(groups):
        for (person, _), value in of.items():
            sums[place[person], column] += value
            counts[place[person], column] += 1
    return sums, counts


def bootstrap_interval(
    sums: Float[np.ndarray, "p g"],
    counts: Float[np.ndarray, "p g"],
    *,
    draws: int,
    level: float,
    rng: np.random.Generator,
) -> tuple[Float[np.ndarray, " g"], Float[np.ndarray, " g"]]:
    """Percentile interval of the means sum / count when people (rows) are drawn with replacement.

    Groups of fewer than two people have no interval. A draw that holds nobody of a group does not
    count for it.
    """
    people = len(sums)
    times = rng.multinomial(people, np.full(people, 1 / people), size=draws).astype(float)
    drawn = times @ counts
    means = np.full(drawn.shape, np.nan)
    np.divide(times @ sums, drawn, out=means, where=drawn > 0)
    tail = (1 - level) / 2
    low, high = np.nanquantile(means, [tail, 1 - tail], axis=0)
    alone = (counts > 0).sum(axis=0) < 2
    return np.where(alone, np.nan, low), np.where(alone, np.nan, high)


def write_intervals(path: str | Path, rows: Iterable[Interval]) -> None:
    """Write a table of intervals with six decimals."""
    write_records(path, INTERVAL_COLUMNS, rows)


def read_intervals(path: str | Path) -> list[Interval]:
    """Read a table of intervals; a file of another form raises a DataError that names it."""
    return read_records(path, INTERVAL_COLUMNS, _interval)


def _interval(row: dict[str, Any]) -> Interval:
    numbers = {name: float(row[name]) for name in ("value", "low", "high")}
    return Interval(**row | numbers | {"n": int(row["n"])})
