"""FaceScape's raw multi-view scans: where they lie, whose they are, the published alignments.

    <folder>/<number>/<n>_<expression>/<n>_<expression>.obj     (.mtl and texture beside it)

The multi-view release and the registered (TU) release number people differently. A scan is found
under a person's own name, or under the number that an explicit table gives for that name; nothing
here goes by rows or by the order of folders.
"""

import csv
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from facemill.errors import ConfigError, DataError
from facemill.files import require_file

KEY = "mofanerf.raw_scans"

NUMBERING = "Expected the header 'person,scans' and a row for every person."


def scan_folders(settings: Mapping[str, Any] | None, people: Iterable[str]) -> dict[str, Path]:
    """Folder of raw scans of every person, by name; empty where the config names no raw scans.

    ``settings`` is the config's ``mofanerf.raw_scans``. Light: the workflow asks when it is loaded.
    Raises ConfigError for a folder or a person that is not there.
    """
    if not settings or not settings.get("folder"):
        return {}
    root = Path(settings["folder"])
    if not root.is_dir():
        raise ConfigError(
            f"config: {KEY}.folder: {root} is no folder; expected the one that holds "
            "<number>/<n>_<expression>/<n>_<expression>.obj of the multi-view release."
        )
    for key in ("dictionary", "numbering"):
        if settings.get(key) and not Path(settings[key]).is_file():
            raise ConfigError(
                f"config: {KEY}.{key}: {settings[key]} is not there; name the file, or null."
            )
    numbers = read_numbering(settings["numbering"]) if settings.get("numbering") else {}
    found = {person: root / numbers.get(person, person) for person in people}
    absent = [person for person, folder in found.items() if not folder.is_dir()]
    if absent:
        raise ConfigError(
            f"config: {KEY}.folder: {root} holds no folder {found[absent[0]].name} for person "
            f"{absent[0]} ({len(absent)} of {len(found)} people have none). Name those who have "
            f"one in views.people, or give {KEY}.numbering, since the releases number people "
            "differently."
        )
    return found


def read_numbering(path: str | Path) -> dict[str, str]:
    """Number of a person in the multi-view release, by the name the run knows them under.

    A CSV file with the columns ``person`` and ``scans``. Raises DataError for other columns, an
    empty field, or a name or number that stands there twice.
    """
    path = require_file(path, NUMBERING)
    with open(path, newline="", encoding="utf-8") as file:
        rows = csv.DictReader(file)
        if not {"person", "scans"} <= set(rows.fieldnames or ()):
            raise DataError(f"{path}: the columns are {rows.fieldnames}. {NUMBERING}")
        pairs = [((row["person"] or "").strip(), (row["scans"] or "").strip()) for row in rows]
    for what, names in zip(("person", "scans"), zip(*pairs, strict=True), strict=False):
        twice = sorted({name for name in names if names.count(name) > 1 or not name})
        if twice:
            raise DataError(
                f"{path}: {what} {twice[0] or 'is empty'!s} in several rows or without a value; "
                "every person has one row and one folder of scans."
            )
    return dict(pairs)


def scan_file(folder: str | Path, expression: str) -> Path | None:
    """The mesh of one scan in a person's folder, or None."""
    path = Path(folder) / expression / f"{expression}.obj"
    return path if path.is_file() else None


def read_alignments(path: str | Path) -> dict[str, dict[str, Any]]:
    """The published dictionary: person -> expression -> [s, 3 x 4 matrix], checked.

    x' = R (s x) + t takes a raw scan to the frame of the registered meshes. Expressions are keyed
    by number, as published, or by name; both are found by :func:`alignment`. Raises DataError
    naming the entry that is no such pair, or whose R is no rotation.
    """
    hint = "Expected FaceScape's Rt_scale_dict.json: person -> expression -> [scale, 3 x 4 matrix]."
    path = require_file(path, hint)
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(f"{path}: not valid JSON ({error}). {hint}") from None
    if not isinstance(table, dict) or not all(isinstance(row, dict) for row in table.values()):
        raise DataError(f"{path}: not a table of tables. {hint}")
    for person, row in table.items():
        for expression, entry in row.items():
            if not _is_similarity(entry):
                raise DataError(
                    f"{path}: {person}, {expression}: {str(entry)[:60]} is no scale above 0 with a "
                    f"rotation and a translation. {hint}"
                )
    return table


def alignment(table: Mapping[str, Mapping[str, Any]], person: str, expression: str) -> Any | None:
    """The entry of one scan, [s, 3 x 4 matrix], or None."""
    row = table.get(person, {})
    return row.get(expression, row.get(expression.split("_")[0]))


def _is_similarity(entry: Any) -> bool:
    """Whether an entry is [s, [R | t]] with finite numbers, s > 0 and R a rotation to 1 %."""
    import numpy as np

    try:
        scale, matrix = float(entry[0]), np.asarray(entry[1], np.float64)
    except (TypeError, ValueError, IndexError):
        return False
    if len(entry) != 2 or matrix.shape != (3, 4) or not (np.isfinite(matrix).all() and scale > 0):
        return False
    rotation = matrix[:, :3]
    near = np.abs(rotation @ rotation.T - np.eye(3)).max() < 0.01
    return bool(np.isfinite(scale) and near and np.linalg.det(rotation) > 0)
