"""Tidy tables: scores of many scans to one row per method, split and metric, or per person too.

A table is a CSV with the columns ``system, method, split, metric, unit, value, n``; metrics are
defined in docs/metrics.md.
"""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from facemill.metrics.scores import Score, read_records, write_records

TABLE_COLUMNS = ("system", "method", "split", "metric", "unit", "value", "n")
PERSON_COLUMNS = ("system", "method", "person", "split", "metric", "unit", "value", "n")

FLOOR = "sampling_floor"
"""The method under which the target compared with a second sampling of itself is listed."""

TOLD_THE_ANSWER = (FLOOR, "blendshape_oracle")
"""Methods that no other can beat: listed last, and never the best."""

HEADLINE = (
    "point_to_surface_mean",
    "point_to_surface_mean_inner",
    "point_to_surface_p95",
    "normal_angle_mean",
    "f_score_1mm",
    "f_score_1mm_inner",
    "chamfer_sampled",
    "chamfer_sampled_icp",
    "f_score_1mm_sampled_icp",
    "landmark_transfer_mean",
    "landmark_transfer_median",
    "correspondence_mean",
    "correspondence_median",
    "psnr",
    "psnr_masked",
    "ssim",
    "ssim_masked",
    "ms_ssim",
    "gradient_similarity_masked",
)
"""What a reader wants to see first; the CSV holds all metrics."""

LARGER_IS_BETTER = ("f_score", "psnr", "ssim", "ms_ssim", "gradient_similarity")
LARGER_IS_BETTER += ("rig_correlation", "segment_accuracy", "intermediate_energy")
"""How the names of metrics begin whose best value is the largest."""


@dataclass(frozen=True)
class Row:
    """The mean of one metric over ``n`` scans (people, views, … as the split says)."""

    system: str
    method: str
    split: str
    metric: str
    unit: str
    value: float
    n: int


@dataclass(frozen=True)
class PersonRow:
    """The mean of one metric over the ``n`` scans of one person."""

    system: str
    method: str
    person: str
    split: str
    metric: str
    unit: str
    value: float
    n: int


class Group(NamedTuple):
    """What a mean is taken over: the scans of one method in one split, by one metric."""

    system: str
    method: str
    split: str
    metric: str
    unit: str


def split_of(score: Score, split: Mapping[str, Any]) -> str:
    """``unseen people, seen expressions`` and the like, from an index's split."""
    people = "unseen" if score.person in split["test"] else "training"
    expressions = "unseen" if score.expression in split["unseen_expressions"] else "seen"
    return f"{people} people, {expressions} expressions"


def grouped(
    scores: Sequence[Score], split: Mapping[str, Any]
) -> dict[Group, dict[tuple[str, str], float]]:
    """Values by (person, expression) in each group, in the order of first appearance.

    The floor is the target's own and the same for every method: it becomes a method of its own.
    """
    groups: dict[Group, dict[tuple[str, str], float]] = {}
    for score in scores:
        metric = score.metric.removesuffix("_floor")
        method = score.method if metric == score.metric else FLOOR
        system = score.system if metric == score.metric else "data"
        group = Group(system, method, split_of(score, split), metric, score.unit)
        groups.setdefault(group, {})[score.person, score.expression] = score.value
    return groups


def summarise(scores: Sequence[Score], split: Mapping[str, Any]) -> list[Row]:
    """Mean over scans by system, method, split and metric."""
    groups = grouped(scores, split)
    return [Row(*group, statistics.fmean(of.values()), len(of)) for group, of in groups.items()]


def summarise_people(scores: Sequence[Score], split: Mapping[str, Any]) -> list[PersonRow]:
    """Mean over each person's scans by system, method, split and metric."""
    rows = []
    for group, of in grouped(scores, split).items():
        by_person: dict[str, list[float]] = {}
        for (person, _), value in of.items():
            by_person.setdefault(person, []).append(value)
        for person, values in by_person.items():
            named = group._asdict() | {"person": person}
            rows.append(PersonRow(**named, value=statistics.fmean(values), n=len(values)))
    return rows


def write_table(path: str | Path, rows: Iterable[Row]) -> None:
    """Write a tidy table with six decimals."""
    write_records(path, TABLE_COLUMNS, rows)


def read_table(path: str | Path) -> list[Row]:
    """Read a tidy table; a file of another form raises a DataError that names it."""
    return read_records(
        path,
        TABLE_COLUMNS,
        lambda row: Row(**{**row, "value": float(row["value"]), "n": int(row["n"])}),
    )


def write_people(path: str | Path, rows: Iterable[PersonRow]) -> None:
    """Write a table of people with six decimals."""
    write_records(path, PERSON_COLUMNS, rows)


def read_people(path: str | Path) -> list[PersonRow]:
    """Read a table of people; a file of another form raises a DataError that names it."""
    return read_records(
        path,
        PERSON_COLUMNS,
        lambda row: PersonRow(**{**row, "value": float(row["value"]), "n": int(row["n"])}),
    )


def compare_tables(tables: Sequence[str | Path], out: str | Path) -> list[Row]:
    """Lay the tables of several systems under each other, by split, then metric, then system."""
    rows = [row for path in tables for row in read_table(path)]
    unique = {(r.system, r.method, r.split, r.metric): r for r in rows}
    order = {metric: i for i, metric in enumerate(dict.fromkeys(row.metric for row in rows))}
    rows = sorted(unique.values(), key=lambda r: (r.split, order[r.metric]))
    write_table(out, rows)
    return rows


def as_markdown(rows: Sequence[Row], metrics: Sequence[str] = HEADLINE) -> str:
    """A readable table per split: a line per method, a column per metric, best value in bold."""
    parts = []
    for split in dict.fromkeys(row.split for row in rows):
        chosen = [row for row in rows if row.split == split]
        shown = [metric for metric in metrics if any(row.metric == metric for row in chosen)]
        if not shown:
            continue
        values = {(row.system, row.method, row.metric): row for row in chosen}
        methods = list(dict.fromkeys((row.system, row.method) for row in chosen))
        methods.sort(key=lambda key: key[1] in TOLD_THE_ANSWER)
        best = {metric: best_of(metric, chosen) for metric in shown}
        head = [f"{metric} [{unit_in(metric, chosen)}]" for metric in shown]
        lines = [["system", "method", *head, "n"]]
        for system, method in methods:
            cells = [values.get((system, method, metric)) for metric in shown]
            n = max((cell.n for cell in cells if cell), default=0)
            lines.append([system, method, *(_cell(cell, best) for cell in cells), str(n)])
        parts.append(f"**{split}**\n\n{aligned(lines)}")
    return "\n\n".join(parts) + "\n"


def best_of(metric: str, rows: Sequence[Row] | Sequence[PersonRow]) -> float:
    """The best value among the methods: the largest for F-scores and likenesses of pictures."""
    values = [
        row.value for row in rows if row.metric == metric and row.method not in TOLD_THE_ANSWER
    ]
    choose = max if larger_is_better(metric) else min
    return choose(values, default=float("nan"))


def larger_is_better(metric: str) -> bool:
    """Whether more is better; a deviation is none of them, whatever it deviates from."""
    return metric.startswith(LARGER_IS_BETTER) and "deviation" not in metric


def unit_in(metric: str, rows: Iterable[Any]) -> str:
    """The unit of a metric that some row has."""
    return next(row.unit for row in rows if row.metric == metric)


def _cell(row: Row | None, best: Mapping[str, float]) -> str:
    if row is None:
        return ""
    text = in_digits(row.value, row.unit)
    is_best = row.value == best[row.metric] and row.method not in TOLD_THE_ANSWER
    return f"**{text}**" if is_best else text


def in_digits(value: float, unit: str) -> str:
    """A value with the digits that its unit deserves."""
    return f"{value:.2f}" if unit in ("%", "degree", "dB") else f"{value:.3f}"


def aligned(lines: Sequence[Sequence[str]]) -> str:
    """Markdown table whose columns also line up as plain text."""
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    rule = ["-" * width for width in widths]
    padded = [
        [cell.ljust(width) for cell, width in zip(line, widths, strict=True)]
        for line in (lines[0], rule, *lines[1:])
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in padded)
