"""What a part of MoFaNeRF is worth: differences of masked PSNR on the same held-out images.

Images of one person are no independent evidence, so people are drawn again with replacement, each
with all their images, as in :mod:`facemill.metrics.bootstrap`.
"""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from facemill.errors import ConfigError, DataError
from facemill.metrics.bootstrap import (
    DRAWS,
    LEVEL,
    Interval,
    bootstrap_interval,
    per_person,
    write_intervals,
)
from facemill.metrics.scores import read_records
from facemill.metrics.tables import aligned
from facemill.mofanerf.table import COLUMNS, PAIRS, SEEN, UNSEEN, ImageScore
from facemill.randomness import generator

log = logging.getLogger(__name__)

METRIC, UNIT = "psnr_masked", "dB"

Values = dict[tuple[str, str], float]
"""A number for each image, by person and (expression and view)."""


def ablation_table(
    methods: Sequence[str],
    scores: Sequence[str | Path],
    out: str | Path,
    draws: int = DRAWS,
    level: float = LEVEL,
    seed: int = 0,
) -> list[Interval]:
    """Write means of every method and differences from the first one, by split, with intervals.

    ``scores`` are what ``evaluate`` wrote of ``methods``, in the same order; the first is the full
    model. A difference is listed as ``<full> - <method>``: above 0, the part that the method lacks
    is worth something. Raises ConfigError where methods and files are not as many, DataError where
    a file lacks its method or shows other images than the first.
    """
    if len(methods) != len(scores):
        raise ConfigError(f"{len(scores)} score files for {len(methods)} methods; give one each")
    values = {
        method: masked_psnr(path, method) for method, path in zip(methods, scores, strict=True)
    }
    for method, path in zip(methods[1:], scores[1:], strict=True):
        require_same_images(values[methods[0]], values[method], path, scores[0])
    rows = []
    for split in (SEEN, PAIRS, UNSEEN):
        groups = with_differences({m: of[split] for m, of in values.items() if split in of})
        if groups:
            rows += _intervals(groups, split, draws, level, generator(seed, "bootstrap", split))
    write_intervals(out, rows)
    log.info("%s\n\n%s", out, readable(rows))
    return rows


def masked_psnr(path: str | Path, method: str) -> dict[str, Values]:
    """Masked PSNR of a method's images by split, from a file of :class:`ImageScore`."""
    parse = lambda row: ImageScore(**{**row, "value": float(row["value"])})  # noqa: E731
    found: dict[str, Values] = {}
    for score in read_records(path, COLUMNS, parse):
        if (score.method, score.metric) == (method, METRIC):
            image = f"{score.expression} {score.view}"
            found.setdefault(score.split, {})[score.person, image] = score.value
    if not found:
        raise DataError(f"{path}: no {METRIC} of {method}. Delete it to have it made again.")
    return found


def require_same_images(
    full: Mapping[str, Values],
    other: Mapping[str, Values],
    path: str | Path,
    full_path: str | Path,
) -> None:
    """Raise a DataError that names an image which only one of two methods shows."""
    first, second = (
        {(split, *image) for split, of in values.items() for image in of}
        for values in (full, other)
    )
    if first != second:
        image = ", ".join(min(first ^ second))
        raise DataError(
            f"{path}: other images than {full_path} ({image} is in one of them alone), so they "
            "cannot be compared. Delete both to have them made with one setting."
        )


def with_differences(values: Mapping[str, Values]) -> dict[str, Values]:
    """Methods, and the first one less each other on every image."""
    first, *others = values or [None]
    less = {
        f"{first} - {method}": {
            image: value - values[method][image] for image, value in values[first].items()
        }
        for method in others
    }
    return {**values, **less}


def _intervals(
    groups: Mapping[str, Values],
    split: str,
    draws: int,
    level: float,
    rng: np.random.Generator,
) -> list[Interval]:
    """Means over images; all groups meet the same draws of people."""
    people = sorted({person for of in groups.values() for person, _ in of})
    sums, counts = per_person(groups.values(), people)
    low, high = bootstrap_interval(sums, counts, draws=draws, level=level, rng=rng)
    means = sums.sum(axis=0) / counts.sum(axis=0)
    return [
        Interval("mofanerf", name, split, METRIC, UNIT, *map(float, numbers), len(people))
        for name, *numbers in zip(groups, means, low, high, strict=True)
    ]


def readable(rows: Sequence[Interval]) -> str:
    """A line for each method, a column for each split."""
    splits = list(dict.fromkeys(row.split for row in rows))
    cells = {
        (row.method, row.split): f"{row.value:.2f} [{row.low:.2f}, {row.high:.2f}]" for row in rows
    }
    methods = list(dict.fromkeys(row.method for row in rows))
    lines = [[method, *(cells.get((method, split), "") for split in splits)] for method in methods]
    return aligned([[f"{METRIC} [{UNIT}]", *splits], *lines])
