"""NFS's table: values of single people to a mean for each method, split and metric."""

import logging
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from facemill.files import writing
from facemill.metrics.scores import read_records
from facemill.metrics.tables import Row, as_markdown, write_table
from facemill.nfs.published import published_markdown

log = logging.getLogger(__name__)

SELF = "drawn test people, onto themselves"
CLONED = "drawn test people, onto each other"
NEUTRAL = "drawn test people, neutral"
RIG = "drawn test people, rig and segments"
DRIVEN = "drawn test people, driven by unit weights"
SELF_SCANNED = "test people of the data set, onto themselves"
CYCLE = "cycle, drawn test people over the data set's and back"
CYCLE_SCANNED = "cycle, test people of the data set over drawn ones and back"

COLUMNS = ("system", "method", "split", "person", "metric", "unit", "value", "n")

SHOWN = (
    "vertex_mse_inner", "vertex_rms_inner", "vertex_max", "laplacian_mse_inner",
    "intermediate_energy", "cycle_over_self", "rig_correlation", "rig_error_active",
    "segment_accuracy", "unit_error", "unit_error_worst",
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


def table(scores: Sequence[str | Path], out: str | Path, page: str | Path) -> list[Row]:
    """Means over people by method, split and metric, as a tidy CSV and as a page for reading.

    Baselines are the same for every variant and listed once. ``n`` counts people, or pairs. The
    page ends with the published numbers.
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
    text = f"{as_markdown(rows, SHOWN)}\n{published_markdown()}"
    with writing(page) as part:
        part.write_text(text, encoding="utf-8")
    log.info("%s\n\n%s", page, text)
    return rows
