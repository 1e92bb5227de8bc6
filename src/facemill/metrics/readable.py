"""The tables of people and of intervals in a form for reading, and any table by what it holds."""

import csv
import math
from collections.abc import Sequence
from pathlib import Path

from facemill.files import require_file
from facemill.metrics.bootstrap import INTERVAL_COLUMNS, Interval, read_intervals
from facemill.metrics.tables import (
    FLOOR,
    PERSON_COLUMNS,
    PersonRow,
    aligned,
    as_markdown,
    best_of,
    in_digits,
    read_people,
    read_table,
    unit_in,
)

PICTURES_SHOWN = ("psnr_masked", "ssim_masked", "gradient_similarity_masked")
PEOPLE_SHOWN = (
    *("point_to_surface_mean", "point_to_surface_mean_inner", "f_score_1mm"),
    *PICTURES_SHOWN,
)
INTERVALS_SHOWN = (*PEOPLE_SHOWN, "normal_angle_mean", "chamfer_sampled_icp")


def readable(path: str | Path) -> str:
    """Any of the tables as Markdown; what it is, its columns tell."""
    require_file(path, "Delete it to have it made again.")
    with open(path, newline="", encoding="utf-8") as file:
        columns = tuple(next(csv.reader(file), ()))
    if columns == PERSON_COLUMNS:
        return people_as_markdown(read_people(path))
    if columns == INTERVAL_COLUMNS:
        return intervals_as_markdown(read_intervals(path))
    return as_markdown(read_table(path))


def people_as_markdown(rows: Sequence[PersonRow], metrics: Sequence[str] = PEOPLE_SHOWN) -> str:
    """A table per split and metric: a line per person, a column per method, the best in bold."""
    parts = []
    for split in dict.fromkeys(row.split for row in rows):
        for metric in metrics:
            chosen = [row for row in rows if (row.split, row.metric) == (split, metric)]
            chosen = [row for row in chosen if row.method != FLOOR]
            if not chosen:
                continue
            methods = list(dict.fromkeys((row.system, row.method) for row in chosen))
            lines = [["person", *(_name(*method) for method in methods), "n"]]
            for person in dict.fromkeys(row.person for row in chosen):
                own = [row for row in chosen if row.person == person]
                values = {(row.system, row.method): row.value for row in own}
                best = best_of(metric, own)
                cells = [_number(values.get(key), own[0].unit, best) for key in methods]
                lines.append([person, *cells, str(max(row.n for row in own))])
            title = f"**{split}: {metric.replace('_', ' ')} [{unit_in(metric, chosen)}]**"
            parts.append(f"{title}\n\n{aligned(lines)}")
    return "\n\n".join(parts) + "\n"


def intervals_as_markdown(
    rows: Sequence[Interval], metrics: Sequence[str] = INTERVALS_SHOWN
) -> str:
    """A table per split: a line per method and per difference, ``value [low, high]`` by metric.

    A difference whose interval does not hold 0 is bold.
    """
    parts = []
    for split in dict.fromkeys(row.split for row in rows):
        chosen = [row for row in rows if row.split == split]
        shown = [metric for metric in metrics if any(row.metric == metric for row in chosen)]
        if not shown:
            continue
        found = {(row.system, row.method, row.metric): row for row in chosen}
        methods = list(dict.fromkeys((row.system, row.method) for row in chosen))
        methods.sort(key=lambda key: (" - " in key[1], key[1] == FLOOR))
        lines = [
            ["method", *(f"{metric} [{unit_in(metric, chosen)}]" for metric in shown), "people"]
        ]
        for key in methods:
            cells = [found.get((*key, metric)) for metric in shown]
            if any(cells):
                n = max(cell.n for cell in cells if cell)
                lines.append([_name(*key), *(_span(cell) for cell in cells), str(n)])
        parts.append(f"**{split}**\n\n{aligned(lines)}")
    return "\n\n".join(parts) + "\n"


def _name(system: str, method: str) -> str:
    """A baseline by its own name, a system's variant with the system's before it."""
    return method if system in ("baselines", "data") else f"{system} {method}"


def _number(value: float | None, unit: str, best: float) -> str:
    if value is None:
        return ""
    text = in_digits(value, unit)
    return f"**{text}**" if value == best else text


def _span(row: Interval | None) -> str:
    """A value with its interval; alone where one person makes none."""
    if row is None:
        return ""
    value, low, high = (in_digits(number, row.unit) for number in (row.value, row.low, row.high))
    if math.isnan(row.low):
        return value
    text = f"{value} [{low}, {high}]"
    decided = " - " in row.method and (row.low > 0 or row.high < 0)
    return f"**{text}**" if decided else text
