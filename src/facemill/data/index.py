"""The one file that lists people: their scans, what is missing, who is in which split."""

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from facemill.data.splits import Split, split_from_json
from facemill.data.tree import ScanFiles, scans_in
from facemill.errors import DataError
from facemill.files import read_json

log = logging.getLogger(__name__)


def build_index(
    dataset: str,
    tree: str | Path,
    people: Sequence[str],
    expressions: Sequence[str],
    split: Split,
    listing: Callable[[Path], Mapping[str, ScanFiles]] = scans_in,
) -> dict[str, Any]:
    """The content of index.json (docs/data-layouts.md); no mesh is opened.

    ``listing`` gives the scans in a person's folder by expression.
    Missing scans and textures are listed with a log line each person. People outside the split
    are left out. Somebody without a single scan, or nobody with scans in a split, is an error.
    """
    tree = Path(tree)
    used = [person for person in people if person in split.train or person in split.test]
    if len(used) < len(people):
        log.info(
            "%d of %d people are in no split and left out", len(people) - len(used), len(people)
        )
    listed = {}
    missing_scans = 0
    for person in used:
        found = listing(tree / person)
        scans = {
            expression: {"mesh": found[expression].mesh, "texture": found[expression].texture}
            for expression in expressions
            if expression in found
        }
        missing = [expression for expression in expressions if expression not in found]
        if not scans:
            raise DataError(
                f"{tree / person}: none of the {len(expressions)} expressions asked for is there; "
                "expected <n>_<expression>.obj in it or in models_reg/ below it. Take the person "
                "out of 'people' or add the meshes."
            )
        if missing:
            missing_scans += len(missing)
            log.info("%s: missing %s; left out", person, ", ".join(missing))
        bare = [expression for expression, scan in scans.items() if scan["texture"] is None]
        if bare:
            log.info("%s: no texture for %s", person, ", ".join(bare))
        listed[person] = {"split": split.of(person), "scans": scans, "missing": missing}
    log.info(
        "%d people (%d train, %d test), %d scans, %d missing",
        len(used),
        len(split.train),
        len(split.test),
        sum(len(entry["scans"]) for entry in listed.values()),
        missing_scans,
    )
    return {
        "dataset": dataset,
        "tree": str(tree),
        "expressions": list(expressions),
        "people": listed,
        "split": split.as_json(),
    }


def load_index(path: str | Path) -> dict[str, Any]:
    """Read index.json and check that its split leaks nothing and agrees with its people."""
    index = read_json(path, "Run data_index again.")
    split = index_split(index, str(path))
    for person, entry in index["people"].items():
        if person not in split.people or entry["split"] != split.of(person):
            raise DataError(
                f"{path}: {person} is listed as {entry['split']}, but the split says "
                f"{split.of(person) if person in split.people else 'neither'}. Delete the file to "
                "have it made again."
            )
    return index


def index_split(index: Any, where: str = "index") -> Split:
    """The split of an index, checked."""
    if not isinstance(index, dict) or not {"people", "split", "expressions"} <= set(index):
        raise DataError(f"{where}: not an index of people. Delete it to have it made again.")
    return split_from_json(index["split"], where)
