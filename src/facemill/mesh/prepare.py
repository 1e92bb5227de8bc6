"""From one person's scans to their face pack: the face frame, the sheet, the closed head."""

import hashlib
import json
import logging
import shutil
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

from facemill.data.packs import FacePack, PreparedScan, write_face_pack
from facemill.data.scans import LANDMARKS_SUFFIX, NOSE_TIP, MissingScan, Scan, read_scan
from facemill.data.topology import Topology
from facemill.data.tree import mesh_path
from facemill.errors import ConfigError, DataError, FacemillError
from facemill.files import read_json, sha256, write_json
from facemill.mesh.closing import close_head
from facemill.mesh.frames import nose_tip_similarity
from facemill.mesh.sheet import face_sheet
from facemill.mesh.surface import Mesh
from facemill.provenance import code_hash

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PrepareSettings:
    """Everything that changes a face pack, besides the scans."""

    crop_radius: float = 100.0
    """Radius of the ball about the origin of the face frame, mm (ImFace 1.3)."""
    millimetres_per_unit: float = 1.0
    """Length of the scans' unit; FaceScape's TU models are taken to be in millimetres."""
    max_failed_scans: int = 0
    """Broken scans of one person that are left out; one more, and nothing is written."""
    remesh_cell: float = 1.0
    """Grid for closing scans that are too damaged for capping, mm."""

    def __post_init__(self):
        for key in ("crop_radius", "millimetres_per_unit", "remesh_cell"):
            if not getattr(self, key) > 0:
                raise ConfigError(f"{key}: {getattr(self, key)}, expected a number above 0")
        if self.max_failed_scans < 0:
            raise ConfigError(f"max_failed_scans: {self.max_failed_scans}, expected 0 or more")


def prepare_scan(scan: Scan, settings: PrepareSettings, name: str) -> PreparedScan:
    """One scan in its file's frame to the face frame, with its sheet and closed head.

    The frame is ImFace's: nose tip to (0, 0, 40) by translation alone; scans are trusted to stand
    upright (the ``align`` step makes them so). Landmarks are not cropped. ``name`` goes into log
    lines.
    """
    to_face = nose_tip_similarity(scan.landmarks[NOSE_TIP], settings.millimetres_per_unit)
    mesh = Mesh(
        to_face.apply(scan.mesh.vertices), scan.mesh.faces, scan.mesh.uv, scan.mesh.faces_uv
    )
    return PreparedScan(
        mesh,
        to_face.apply(scan.landmarks),
        face_sheet(mesh, settings.crop_radius),
        close_head(mesh, name, settings.remesh_cell),
        to_face,
    )


def prepare_person(
    person: str,
    tree_person: str | Path,
    topologies: Sequence[Topology],
    expressions: Sequence[str],
    settings: PrepareSettings,
    pack: str | Path,
    manifest: str | Path,
    work: str | Path,
) -> None:
    """Prepare a person's scans and write face pack and manifest (docs/data-layouts.md).

    A missing scan is skipped with a log line, a broken one is recorded with file and reason. More
    than ``max_failed_scans`` broken ones, or no whole one at all, raise a DataError, and neither
    file is written. Finished scans are kept in ``work`` with a fingerprint of what they were made
    from, so that a job that was killed goes on where it stood; ``work`` is removed at the end.
    """
    pack, work = Path(pack), Path(work)
    scans: dict[str, PreparedScan] = {}
    entries: dict[str, dict[str, Any]] = {}
    for expression in expressions:
        try:
            scan, entry = _scan_once(
                tree_person, expression, topologies, settings, work / f"{expression}.npz"
            )
        except MissingScan as error:
            log.info("%s", error)
            entries[expression] = {"status": "missing", "reason": str(error)}
        except FacemillError as error:
            log.warning("%s", error)
            entries[expression] = {"status": "failed", "reason": str(error)}
        else:
            scans[expression] = scan
            entries[expression] = entry
            log.info("%s %s: %.2f s", person, expression, entry["seconds"])
    _require_enough(person, tree_person, entries, settings)
    write_face_pack(pack, scans)
    write_json(
        manifest,
        {
            "stage": "mesh_prepare",
            "person": person,
            "pack_sha256": sha256(pack),
            "settings": asdict(settings),
            "scans": entries,
        },
    )
    shutil.rmtree(work, ignore_errors=True)


def _require_enough(
    person: str,
    tree_person: str | Path,
    entries: dict[str, dict[str, Any]],
    settings: PrepareSettings,
) -> None:
    reasons = [entry["reason"] for entry in entries.values() if entry["status"] == "failed"]
    if len(reasons) > settings.max_failed_scans:
        raise DataError(
            f"{person}: {len(reasons)} of {len(entries)} scans failed, "
            f"{settings.max_failed_scans} are tolerated (key max_failed_scans):\n  "
            + "\n  ".join(reasons)
        )
    if not any(entry["status"] == "ok" for entry in entries.values()):
        raise DataError(
            f"{tree_person}: none of {', '.join(entries)} is there as a whole scan; expected files "
            "named like 1_neutral.obj in this folder or in models_reg/."
        )


def _scan_once(
    tree_person: str | Path,
    expression: str,
    topologies: Sequence[Topology],
    settings: PrepareSettings,
    part: Path,
) -> tuple[PreparedScan, dict[str, Any]]:
    """A prepared scan and its manifest entry, from ``part`` if that was made from the same."""
    path = mesh_path(tree_person, expression)
    made_from = _fingerprint(path, topologies, settings) if path is not None else ""
    record = part.with_suffix(".json")
    if made_from and part.is_file() and record.is_file():
        kept = read_json(record)
        if kept["made_from"] == made_from:
            log.info("%s: already prepared", path)
            return _read_part(part, expression), kept["entry"]
    start = time.perf_counter()
    scan = read_scan(tree_person, expression, topologies, settings.millimetres_per_unit)
    prepared = _named(str(path), lambda: prepare_scan(scan, settings, str(path)))
    entry = {
        "status": "ok",
        "topology": scan.topology,
        "texture": None if scan.texture is None else str(scan.texture),
        "seconds": round(time.perf_counter() - start, 3),
    }
    write_face_pack(part, {expression: prepared})
    write_json(record, {"made_from": made_from, "entry": entry})
    return _read_part(part, expression), entry


def _named(name: str, step):
    """Run a step; what it cannot do is told with the file's name in front."""
    try:
        return step()
    except FacemillError as error:
        if name in str(error):
            raise
        raise type(error)(f"{name}: {error}") from None


def _read_part(part: Path, expression: str) -> PreparedScan:
    """Always the stored form, so that a resumed run and an uninterrupted one write the same."""
    kept = FacePack(part)
    return PreparedScan(
        kept.registered(expression),
        kept.landmarks(expression),
        kept.sheet(expression),
        kept.closed(expression),
        kept.source_to_face(expression),
    )


def _fingerprint(path: Path, topologies: Sequence[Topology], settings: PrepareSettings) -> str:
    beside = path.with_name(path.stem + LANDMARKS_SUFFIX)
    content = [
        sha256(path),
        sha256(beside) if beside.is_file() else None,
        [[t.name, t.n_vertices, t.landmarks.tolist()] for t in topologies],
        asdict(settings) | {"max_failed_scans": None},
        _code(),
    ]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


@cache
def _code() -> str:
    return code_hash(__file__)
