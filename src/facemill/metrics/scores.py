"""Scores of one person's reconstructions: from fit and faces files to a row per scan and metric."""

import csv
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from facemill.data.packs import FacePack
from facemill.errors import DataError
from facemill.files import reading_npz, require_file, writing
from facemill.mesh.surface import Mesh
from facemill.randomness import generator
from facemill.training.settings import from_settings

log = logging.getLogger(__name__)

SCORE_COLUMNS = ("system", "method", "person", "expression", "metric", "unit", "value")

FIT_AGAIN = "Delete it to have the fit made again."


@dataclass(frozen=True)
class Score:
    """One metric of one scan, reconstructed by one method of one system."""

    system: str
    method: str
    person: str
    expression: str
    metric: str
    unit: str
    value: float


def read_fit(path: str | Path) -> dict[str, Mesh]:
    """The meshes of a fit file by expression, face frame, mm."""
    with reading_npz(path, FIT_AGAIN) as arrays:
        expressions = [
            key.removesuffix("/vertices") for key in arrays.files if key.endswith("/vertices")
        ]
        meshes = {
            expression: Mesh(arrays[f"{expression}/vertices"], arrays[f"{expression}/faces"])
            for expression in expressions
        }
    if not meshes:
        raise DataError(f"{path}: holds no reconstructed scan. {FIT_AGAIN}")
    return meshes


def evaluate_person(
    fit: str | Path,
    faces: str | Path,
    *,
    system: str,
    method: str,
    person: str,
    settings: Mapping[str, Any],
    out: str | Path,
) -> list[Score]:
    """Compare every scan of a fit file with the sheet of the same scan and write the rows as CSV.

    ``settings`` are fields of :class:`~facemill.metrics.geometry.EvaluateConfig`. The samples of a
    scan depend on the seed, person and expression alone, so that all methods meet the same ones.
    """
    # Here, so that tables can be made from scores without the mesh libraries.
    from facemill.metrics.geometry import EvaluateConfig, compare, unit_of

    config = from_settings(EvaluateConfig, settings, "evaluate")
    pack = FacePack(faces)
    scores: list[Score] = []
    for expression, mesh in read_fit(fit).items():
        if expression not in pack.expressions:
            raise DataError(
                f"{fit}: holds {expression}, which {faces} does not; they are not of one person "
                "or run. Delete the fit to have it made again."
            )
        mesh.check(f"{fit}, {expression}")
        rng = generator(config.seed, "evaluate", person, expression)
        metrics = compare(mesh, pack.sheet(expression), config, rng)
        log.info(
            "%s %s, %s %s: point to surface %.3f mm",
            system, method, person, expression, metrics["point_to_surface_mean"],
        )  # fmt: skip
        scores += [
            Score(system, method, person, expression, metric, unit_of(metric), value)
            for metric, value in metrics.items()
        ]
    write_scores(out, scores)
    return scores


def write_scores(path: str | Path, scores: Iterable[Score]) -> None:
    """Write score rows with six decimals."""
    write_records(path, SCORE_COLUMNS, scores)


def read_scores(path: str | Path) -> list[Score]:
    """Read score rows; a file of another form raises a DataError that names it."""
    return read_records(
        path, SCORE_COLUMNS, lambda row: Score(**{**row, "value": float(row["value"])})
    )


def write_records(path: str | Path, columns: Sequence[str], records: Iterable[Any]) -> None:
    """Write dataclasses as CSV, fields in their order, fractions with six decimals."""
    with writing(path) as part, open(part, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        for record in records:
            values = vars(record).values()
            writer.writerow(f"{v:.6f}" if isinstance(v, float) else v for v in values)


def read_records(
    path: str | Path, columns: Sequence[str], parse: Callable[[dict[str, Any]], Any]
) -> list[Any]:
    """Read a CSV of exactly these columns; another form or a damaged line is a DataError."""
    require_file(path, "Delete it to have it made again.")
    with open(path, newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        if tuple(reader.fieldnames or ()) != tuple(columns):
            raise DataError(
                f"{path}: columns {reader.fieldnames}, expected {', '.join(columns)}. "
                "Delete it to have it made again."
            )
        try:
            return [parse(row) for row in reader]
        except (TypeError, ValueError) as error:
            raise DataError(
                f"{path}: line {reader.line_num} is damaged ({error}). "
                "Delete it to have it made again."
            ) from None
