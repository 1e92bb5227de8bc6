"""The first numbers of an expression code as a rig: weights in, weights out, weights as tables."""

import csv
import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from facemill.errors import DataError
from facemill.files import require_file, writing
from facemill.nfs.model import NFS
from facemill.nfs.retarget import Clone

log = logging.getLogger(__name__)

DOUBLED = ("browinnerup", "cheekpuff")
"""Units that a face-tracking app has once and the ICT model for each side."""

TRACKED = ("blendshapecount", "timecode", "eyeblinkleft")
"""Columns by which an app's file is known."""

PASSED_OVER = frozenset(
    ("tongueout", "headyaw", "headpitch", "headroll", "lefteyeyaw", "lefteyepitch", "lefteyeroll",
     "righteyeyaw", "righteyepitch", "righteyeroll", "timecode", "blendshapecount", "frame")
)  # fmt: skip
"""Columns that are no unit of a face's skin."""

USUAL = (-0.05, 1.5)
"""Weights outside of this are told."""


@dataclass(frozen=True)
class Weights:
    """Unit weights over time; ``frames`` names the rows."""

    frames: tuple[str, ...]
    weights: Float[np.ndarray, "n e"]


def plain(name: str) -> str:
    """A unit's or a column's name without case, blanks and underscores, sides in full.

    ``eyeBlink_L``, ``EyeBlinkLeft`` and ``eye blink left`` are one.
    """
    for short, side in (("_L", "Left"), ("_R", "Right")):
        if name.endswith(short):
            name = name[: -len(short)] + side
    return "".join(letter for letter in name.lower() if letter.isalnum())


def read_weights(path: str | Path, units: Sequence[str]) -> Weights:
    """Read weights from a table with a column for every unit, a row for every frame.

    Columns go by name, in any order: the units' own names, or those of ARKit and of Live Link Face,
    whose single BrowInnerUp and CheekPuff go to both sides while TongueOut and the angles of head
    and eyes are passed over. Raises DataError for missing columns (all are named), for cells that
    are no numbers and for a table without rows.
    """
    path = require_file(path, "A table of unit weights (.csv) is expected here.")
    with open(path, newline="", encoding="utf-8-sig") as file:
        table = [row for row in csv.reader(file) if any(cell.strip() for cell in row)]
    header, *rows = table or [[]]
    columns = {plain(name): number for number, name in enumerate(header)}
    chosen = {unit: _column(unit, columns) for unit in units}
    missing = [unit for unit, column in chosen.items() if column is None]
    if missing:
        raise DataError(_about_missing(path, missing, units, columns))
    if not rows:
        raise DataError(f"{path}: a header and no rows; a row for each frame is expected.")
    used = set(chosen.values())
    rest = [
        name for number, name in enumerate(header)
        if number not in used and plain(name) not in PASSED_OVER
    ]  # fmt: skip
    if rest:
        log.warning("%s: columns that are no unit are passed over: %s", path, ", ".join(rest))
    values = np.array(
        [[_number(path, n, row, header, chosen[unit]) for unit in units]
         for n, row in enumerate(rows, 2)]
    )  # fmt: skip
    low, high = values.min(), values.max()
    if low < USUAL[0] or high > USUAL[1]:
        log.warning("%s: weights from %.2f to %.2f; 0 to 1 is usual", path, low, high)
    return Weights(_names(rows, columns.get("frame")), values)


def _names(rows: list[list[str]], column: int | None) -> tuple[str, ...]:
    """Names of rows: of the column frame where they can be files' names, else numbers."""
    if column is not None:
        names = [row[column].strip() for row in rows if column < len(row)]
        if len(set(names)) == len(rows) and all(re.fullmatch(r"\w[\w. -]*", n) for n in names):
            return tuple(names)
    return tuple(f"{number:04d}" for number in range(len(rows)))


def _column(unit: str, columns: Mapping[str, int]) -> int | None:
    name = plain(unit)
    if name in columns:
        return columns[name]
    once = next((one for one in DOUBLED if name in (f"{one}left", f"{one}right")), None)
    return columns.get(once) if once else None


def _about_missing(path, missing, units, columns) -> str:
    one = "column" if len(missing) == 1 else "columns"
    text = f"{path}: {len(missing)} of {len(units)} {one} missing: {', '.join(missing)}."
    if len(missing) == len(units) and any(name in columns for name in TRACKED):
        return (
            f"{text} It is a face-tracking app's table, and this model was trained on other "
            "units: train on the ICT model (ict_model, docs/nfs.md)."
        )
    return f"{text} Every unit needs a column; fill those that are not used with 0."


def _number(path, line, row, header, column) -> float:
    text = row[column] if column < len(row) else ""
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not np.isfinite(value):
        raise DataError(
            f"{path}: row {line}, column {header[column]}: found {text!r}, expected a number."
        )
    return value


def write_weights(path: str | Path, units: Sequence[str], weights: Weights) -> None:
    """Write a table that :func:`read_weights` reads: frame, then a column for every unit."""
    with writing(path) as part, open(part, "w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["frame", *units])
        for name, row in zip(weights.frames, weights.weights, strict=True):
            table.writerow([name, *(f"{value:.6g}" for value in row)])


def codes_of(model: NFS, weights: Float[np.ndarray, "n e"]) -> Float[Tensor, "n z"]:
    """Expression codes of unit weights; all other entries are 0."""
    codes = torch.zeros(len(weights), model.config.code)
    codes[:, : weights.shape[1]] = torch.from_numpy(weights.astype(np.float32))
    return codes


def weights_of(codes: Float[Tensor, "n z"], units: Sequence[str]) -> Float[np.ndarray, "n e"]:
    """Inverse rigging: the units' entries of expression codes, cut to 0 .. 1."""
    return codes[:, : len(units)].clamp(0.0, 1.0).double().numpy()


def unit_offsets(clone: Clone, count: int, chunk: int = 16) -> Float[np.ndarray, "e v 3"]:
    """What each of the first ``count`` units alone does to a mesh: decoded minus decoded zero.

    Canonical units. The zero code is subtracted because a network that is not anchored does not
    give the neutral back exactly.
    """
    codes = codes_of(clone.model, np.concatenate([np.zeros((1, count)), np.eye(count)]))
    found = np.concatenate(list(clone.frames(codes, chunk)))
    return found[1:] - found[:1]
