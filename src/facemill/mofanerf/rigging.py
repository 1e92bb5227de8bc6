"""Driving a face by named weights: a linear map from them to expression codes.

Weights are those of the trained expressions themselves (FaceScape's 20), or of any blendshapes (52)
that the user describes the trained expressions in. Both are the same map: the mix c of trained
expressions that explains the weights best,

    c = argmin |A^T c - w|^2 + ridge |c|^2        eps = eps_0 + sum_e c_e (eps_e - eps_0)

with A's row e the weights of expression e. That eps is what ridge regression from weights to codes
gives; here the mix is known too, and the predicted surface follows it.
"""

import csv
import io
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from facemill.data.expressions import NEUTRAL
from facemill.errors import DataError
from facemill.files import read_json, require_file
from facemill.mofanerf.faces import FaceCodes, Faces


@dataclass(frozen=True)
class Rig:
    """The map from w weights to a mix of n trained expressions: neutral + weights @ matrix."""

    names: tuple[str, ...]
    neutral: Float32[np.ndarray, " n"]
    matrix: Float32[np.ndarray, "w n"]

    def mix(self, weights: Mapping[str, float]) -> Float32[np.ndarray, " n"]:
        """Weights of the trained expressions, of sum 1; what is not named is 0."""
        if unknown := sorted(set(weights) - set(self.names)):
            raise DataError(
                f"weight {unknown[0]}: not in the rig, which has {_listed(self.names)}."
            )
        row = np.array([weights.get(name, 0.0) for name in self.names], np.float32)
        return self.neutral + row @ self.matrix

    def drive(self, faces: Faces, codes: FaceCodes, weights: Mapping[str, float]) -> FaceCodes:
        """A face with the expression that the weights mean; shape and appearance stay."""
        mix = self.mix(weights)
        return FaceCodes(codes.shape, mix @ faces.expression_codes(), codes.appearance, mix)


def expression_rig(faces: Faces) -> Rig:
    """Weights of the trained expressions: 1 is the expression, 0.5 half of it."""
    neutral = _neutral(faces)
    others = [name for name in faces.expressions if name != faces.expressions[neutral]]
    described = {name: {name: 1.0} for name in others}
    return fitted_rig(faces, {faces.expressions[neutral]: {}, **described}, ridge=0.0)


def fitted_rig(
    faces: Faces,
    described: Mapping[str, Mapping[str, float]],
    ridge: float,
    where: str = "expression rig",
) -> Rig:
    """The map for weights that the trained expressions are described in (A above).

    Weights of neutral are what is taken away from all others. ``ridge`` keeps weights that the
    expressions hardly tell apart from driving wild mixes. Raises DataError for an expression of the
    model that is not described.
    """
    missing = [name for name in faces.expressions if name not in described]
    if missing:
        raise DataError(
            f"{where}: no weights for {', '.join(missing)}; expected a row for each of the "
            f"model's expressions: {', '.join(faces.expressions)}."
        )
    names = tuple(dict.fromkeys(name for e in faces.expressions for name in described[e]))
    if not names:
        raise DataError(f"{where}: all weights are missing; expected numbers by their names.")
    table = np.array(
        [[described[e].get(name, 0.0) for name in names] for e in faces.expressions], np.float64
    )
    base = _neutral(faces)
    others = [row for row in range(len(table)) if row != base]
    offsets = table[others] - table[base]
    gram = offsets @ offsets.T + ridge * np.eye(len(others))
    # Expressions that differ in nothing share what is asked for: the smallest solution.
    solved = (np.linalg.pinv(gram) @ offsets).T
    matrix = np.zeros((len(names), len(table)))
    matrix[:, others] = solved
    matrix[:, base] = -solved.sum(axis=1)
    neutral = np.zeros(len(table))
    neutral[base] = 1.0
    neutral -= table[base] @ matrix
    return Rig(names, neutral.astype(np.float32), matrix.astype(np.float32))


def read_rows(path: str | Path) -> dict[str, dict[str, float]]:
    """A table of named rows and columns of numbers, from .csv or .json.

    CSV: a header line whose first cell is passed over, then rows that begin with their name; empty
    cells are 0. JSON: ``{"row": {"column": 0.5}}``. Both for the rig (rows are expressions) and for
    what is driven (rows are frames).
    """
    path = require_file(path, "A table of weights (.csv or .json) is expected here.")
    if path.suffix.lower() == ".json":
        content = read_json(path, "Give a JSON table of rows.")
        return {str(row): _numbers(path, str(row), cells) for row, cells in _items(path, content)}
    if path.suffix.lower() != ".csv":
        raise DataError(f"{path}: weights are read from .csv or .json, not from this ending.")
    lines = list(csv.reader(io.StringIO(path.read_text(encoding="utf-8-sig"))))
    lines = [line for line in lines if any(cell.strip() for cell in line)]
    if len(lines) < 2 or len(lines[0]) < 2:
        raise DataError(f"{path}: expected a header with names of weights, and a row below it.")
    header = [cell.strip() for cell in lines[0][1:]]
    rows = {}
    for number, line in enumerate(lines[1:], start=2):
        if len(line) != len(lines[0]):
            raise DataError(
                f"{path}: line {number} has {len(line)} cells, the header {len(lines[0])}."
            )
        cells = {name: cell.strip() or 0.0 for name, cell in zip(header, line[1:], strict=True)}
        name = line[0].strip()
        if name in rows:
            raise DataError(f"{path}: two rows are named {name}; give each its own name.")
        rows[name] = _numbers(path, name, cells)
    return rows


def _items(path: Path, content: Any) -> Any:
    if not isinstance(content, Mapping) or not content:
        raise DataError(f'{path}: expected {{"row": {{"weight": number}}}}.')
    return content.items()


def _numbers(path: Path, row: str, cells: Any) -> dict[str, float]:
    if not isinstance(cells, Mapping):
        raise DataError(f'{path}: row {row} is no table; expected {{"weight": number}}.')
    found = {}
    for name, cell in cells.items():
        try:
            found[str(name)] = float(cell)
        except (TypeError, ValueError):
            found[str(name)] = math.nan
        if not math.isfinite(found[str(name)]):
            raise DataError(f"{path}: row {row}, {name}: found {cell!r}, expected a number.")
    return found


def _neutral(faces: Faces) -> int:
    """The row of neutral, or of the first expression where training had no neutral faces."""
    return faces.expressions.index(NEUTRAL) if NEUTRAL in faces.expressions else 0


def _listed(names: tuple[str, ...]) -> str:
    shown = ", ".join(names[:8])
    return shown if len(names) <= 8 else f"{shown} and {len(names) - 8} more"
