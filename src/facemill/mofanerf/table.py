"""MoFaNeRF's table: scores of single images to a mean for each method, split and metric."""

import logging
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from facemill.metrics.scores import read_records
from facemill.metrics.tables import Row, as_markdown, write_table
from facemill.mofanerf.splits import ViewSplit

log = logging.getLogger(__name__)

SEEN = "training people, held-out views"
PAIRS = "training people, held-out pairs"
UNSEEN = "unseen people"
ONE_IMAGE = "unseen people, novel views from one image"
COST = "cost of a frame"
REFERENCE = "agreement with a dense reference"

COLUMNS = ("system", "method", "split", "person", "expression", "view", "metric", "unit", "value")


def split_name(split: ViewSplit, person: str, expression: str) -> str:
    """Which of the splits above a picture in a held-out view belongs to."""
    if person in split.test_people:
        return UNSEEN
    return SEEN if split.trains_on(person, expression) else PAIRS


@dataclass(frozen=True)
class ImageScore:
    """One metric of one image; ``view`` names the camera."""

    system: str
    method: str
    split: str
    person: str
    expression: str
    view: str
    metric: str
    unit: str
    value: float


def table(scores: Sequence[str | Path], out: str | Path) -> list[Row]:
    """Means over images by method, split and metric, as a tidy CSV; the readable form is logged.

    Baselines are the same for every variant and listed once.
    """
    records: dict[tuple, ImageScore] = {}
    for path in scores:
        parse = lambda row: ImageScore(**{**row, "value": float(row["value"])})  # noqa: E731
        for score in read_records(path, COLUMNS, parse):
            records[tuple(vars(score).values())[:-1]] = score
    groups: dict[tuple[str, str, str, str, str], list[float]] = {}
    for s in records.values():
        groups.setdefault((s.system, s.method, s.split, s.metric, s.unit), []).append(s.value)
    rows = [Row(*group, statistics.fmean(of), len(of)) for group, of in groups.items()]
    write_table(out, rows)
    costs = ("network_calls_per_ray", "frame_gmac", "frame_seconds", "fit_seconds", "peak_memory")
    metrics = ("psnr", "psnr_masked", "ssim", "ssim_masked", "gradient_similarity_masked")
    metrics += ("reprojection_error", *costs, "reference_agreement")
    log.info("%s\n\n%s", out, as_markdown(rows, (*metrics, "evaluations_saved")))
    return rows
