"""NFS's table: values of single people to a mean for each method, split and metric."""

import logging
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from facemill.metrics.scores import read_records
from facemill.metrics.tables import Row, as_markdown, write_table

log = logging.getLogger(__name__)

SELF = "drawn test people, onto themselves"
CLONED = "drawn test people, onto each other"
NEUTRAL = "drawn test people, neutral"
RIG = "drawn test people, rig and segments"

COLUMNS = ("system", "method", "split", "person", "metric", "unit", "value", "n")

SHOWN = (
    "vertex_mse_inner", "vertex_rms_inner", "vertex_max", "laplacian_rms", "rig_correlation",
    "rig_error_active", "segment_accuracy",
)  # fmt: skip


@dataclass(frozen=True)
class Value:
    """One metric of one test person, a mean over ``n`` frames or vertices."""

    system: str
    method: str
    split: str
    person: str
    metric: str
    unit: str
    value: float
    n: int


def table(scores: Sequence[str | Path], out: str | Path) -> list[Row]:
    """Means over people by method, split and metric, as a tidy CSV; the readable form is logged.

    Baselines are the same for every variant and listed once. ``n`` counts people, or pairs.
    """
    groups: dict[tuple[str, str, str, str, str], dict[str, list[float]]] = {}
    for path in scores:
        records = read_records(
            path,
            COLUMNS,
            lambda row: Value(**{**row, "value": float(row["value"]), "n": int(row["n"])}),
        )
        for v in records:
            key = (v.system, v.method, v.split, v.metric, v.unit)
            groups.setdefault(key, {}).setdefault(str(path), []).append(v.value)
    rows = [
        Row(*key, statistics.fmean(values), len(values))
        for key, by_file in groups.items()
        for values in [next(iter(by_file.values()))]
    ]
    write_table(out, rows)
    log.info("%s\n\n%s", out, as_markdown(rows, SHOWN))
    return rows
