"""FaceScape's TU models: published lists, landmark tables, the two vertex orders.

The scans and the toolkit's index files are the user's own copies. Kept here are facts only: lists
of people and expressions (``facescape_lists.json``) and a corrected set of landmark numbers
(``facescape_landmarks_corrected.json``), each with its source.
"""

import json
import logging
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from facemill.errors import ConfigError, DataError
from facemill.files import reading_npz

log = logging.getLogger(__name__)

TOPOLOGIES = {
    "facescape_tu": {"n_vertices": 26317, "key": "v10", "mirror": "sym_dict_old.npy"},
    "facescape_v16": {"n_vertices": 26278, "key": "v16", "mirror": "sym_dict.npy"},
}
"""The two vertex orders: TU models and bilinear model 1.0 to 1.3; bilinear model 1.6 and later."""

LANDMARK_FILE = "landmark_indices.npz"
LANDMARK_PLACES = ("", "predef", "toolkit/predef", "facescape/toolkit/predef", "../toolkit/predef")
"""Folders, seen from the scans, where a copy of the toolkit usually lies."""


@cache
def _data(name: str) -> Any:
    return json.loads(files("facemill.data").joinpath(name).read_text(encoding="utf-8"))


def imface_people() -> dict[str, tuple[str, ...]]:
    """ImFace's published people: 355 in ``train``, 10 in ``test``, no overlap."""
    lists = _data("facescape_lists.json")["imface"]
    return {"train": tuple(lists["train_people"]), "test": tuple(lists["test_people"])}


def imface_unseen_expressions() -> tuple[str, ...]:
    """The five expressions that ImFace leaves out of training."""
    return tuple(_data("facescape_lists.json")["imface"]["unseen_expressions"])


def imface_plus_plus_test_people() -> tuple[str, ...]:
    """The 16 people ImFace++ is tested on."""
    return tuple(_data("facescape_lists.json")["imface_plus_plus"]["test_people"])


def publishable_people() -> tuple[str, ...]:
    """People known to be on FaceScape's publishable list; only such may be shown in print."""
    return tuple(_data("facescape_lists.json")["publishable"]["people"])


def landmark_path(root: str | Path, settings: Mapping[str, Any]) -> Path:
    """The toolkit's landmark file: the one the config names, else where toolkits usually lie."""
    named = settings.get("landmarks")
    if named:
        if not Path(named).is_file():
            raise ConfigError(
                f"facescape.landmarks: {named} is not there; expected a copy of the FaceScape "
                f"toolkit's predef/{LANDMARK_FILE}."
            )
        return Path(named)
    tried = [Path(root) / place / LANDMARK_FILE for place in LANDMARK_PLACES]
    for path in tried:
        if path.is_file():
            return path
    raise ConfigError(
        f"facescape.landmarks: no {LANDMARK_FILE} in {Path(root)} or the toolkit's usual folders "
        "below it. Take predef/landmark_indices.npz from the FaceScape toolkit and give its path."
    )


def topologies(root: str | Path, settings: Mapping[str, Any]) -> list:
    """Both FaceScape topologies, with landmarks and mirror tables of the user's toolkit copy.

    ``settings`` is the config's ``facescape``; ``landmark_table: corrected`` replaces landmarks 0
    to 26 of the TU table. Raises DataError where a table has another number of points or names
    vertices that do not exist. Mirror tables that are absent or damaged are left out.
    """
    import numpy as np

    from facemill.data.topology import Topology

    path = landmark_path(root, settings)
    corrected = settings.get("landmark_table", "toolkit") == "corrected"
    found = []
    with reading_npz(path, "Copy it again from the FaceScape toolkit.") as tables:
        for name, facts in TOPOLOGIES.items():
            landmarks = np.asarray(tables[facts["key"]])
            if landmarks.shape != (68,) or not np.issubdtype(landmarks.dtype, np.integer):
                raise DataError(
                    f"{path}: '{facts['key']}' holds {landmarks.size} numbers of shape "
                    f"{landmarks.shape} ({landmarks.dtype}), expected the 68 vertex numbers of the "
                    "iBUG landmarks. Copy it again from the FaceScape toolkit."
                )
            source = f"{path}, {facts['key']}"
            if corrected and facts["key"] == "v10":
                correction = _data("facescape_landmarks_corrected.json")
                landmarks = landmarks.copy()
                landmarks[: len(correction["vertices"])] = correction["vertices"]
                source += f"; first {len(correction['vertices'])}: {correction['source']}"
            mirror = _mirror(path.parent / facts["mirror"], facts["n_vertices"])
            found.append(
                Topology(
                    name=name,
                    n_vertices=facts["n_vertices"],
                    landmarks=landmarks.astype(np.int64),
                    source=source,
                    mirror=mirror,
                ).check()
            )
    return found


def _mirror(path: Path, n_vertices: int):
    """The toolkit's table of mirrored vertices, or None with a log line."""
    import numpy as np

    if not path.is_file():
        return None
    try:
        mirror = np.load(path, allow_pickle=False).astype(np.int64)
        if mirror.shape != (n_vertices,):
            raise ValueError(f"shape {mirror.shape}, expected ({n_vertices},)")
        if mirror.min() < 0 or not np.array_equal(mirror[mirror], np.arange(n_vertices)):
            raise ValueError("mirrored twice, a vertex does not come back to itself")
    except (ValueError, IndexError, OSError, EOFError) as error:
        log.info("%s: mirror table left out (%s)", path, error)
        return None
    return mirror
