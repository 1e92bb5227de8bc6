"""Raw multi-view scans in the face frame: one person's, aligned, measured and clipped.

MoFaNeRF is trained on images of textured raw scans. Each is brought onto the registered mesh of the
same person and expression, by the published dictionary or, where that has no entry, by landmarks or
search and trimmed ICP. How well it lies there is measured in all cases and stored.
"""

import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from facemill.data import multiview
from facemill.data.align import FIRM, Reference, matched, read_points, welded_seams
from facemill.data.packs import FacePack, write_scan_pack
from facemill.data.place import place
from facemill.data.scans import LANDMARKS_SUFFIX
from facemill.errors import ConfigError, DataError, FacemillError, GeometryError
from facemill.files import read_json, sha256, write_json
from facemill.mesh import scan_alignment
from facemill.mesh.alignment import umeyama
from facemill.mesh.frames import HEAD_CENTRE, Similarity
from facemill.mesh.io import find_texture, read_mesh
from facemill.mesh.surface import Mesh
from facemill.training.settings import from_settings

log = logging.getLogger(__name__)

SEARCH_RESIDUAL = 5.0
"""mm (rms) that a place found without landmarks may be off before ICP has settled it."""

SEARCH_POINTS = 5000


@dataclass(frozen=True)
class AlignConfig:
    """How raw scans are accepted."""

    max_residual: float = 2.0  # mm, median distance to the registered face (spec.: refuse above 2)

    def __post_init__(self) -> None:
        if not self.max_residual > 0:
            raise ConfigError(f"max_residual: found {self.max_residual}, expected a number above 0")


@dataclass(frozen=True)
class AlignedScan:
    """A raw scan in the face frame (mm), clipped; ``how`` says where ``similarity`` is from."""

    mesh: Mesh
    similarity: Similarity  # from the scan's frame and unit to the face frame
    how: str  # dictionary, landmarks or search
    agreement: scan_alignment.Agreement
    clip_radius: float


def align_person(
    person: str,
    scans: str | Path,
    faces_pack: str | Path,
    manifest: str | Path,
    settings: Mapping[str, Any],
    pack: str | Path,
    manifest_out: str | Path,
    dictionary: str | Path | None = None,
) -> None:
    """Align all raw scans of a person and write them as ``views_render`` reads scans.

    ``scans`` is the person's folder of the multi-view release; ``faces_pack`` and ``manifest`` are
    what mesh_prepare made of the registered meshes. The pack holds each scan in the face frame
    with its texture coordinates, the manifest (docs/data-layouts.md) the transforms, residuals and
    textures. A missing scan is skipped with a line, a bad one recorded as failed; more of those
    than the registered meshes' ``max_failed_scans`` raise a DataError and nothing is written.
    """
    config = from_settings(AlignConfig, settings, multiview.KEY)
    table = multiview.read_alignments(dictionary) if dictionary else {}
    prepared, faces = read_json(manifest), FacePack(faces_pack)
    aligned: dict[str, tuple[Mesh, Similarity]] = {}
    entries: dict[str, dict[str, Any]] = {}
    for expression, known in prepared["scans"].items():
        path = multiview.scan_file(scans, expression)
        if known["status"] != "ok" or path is None:
            reason = known.get("reason") if path else f"{Path(scans) / expression}: no raw scan"
            entries[expression] = {"status": "missing", "reason": reason}
            log.info("%s %s: left out (%s)", person, expression, reason)
            continue
        entry = multiview.alignment(table, person, expression)
        try:
            texture = _texture(path)
            scan = align_raw_scan(path, faces, expression, entry, config.max_residual)
        except FacemillError as error:
            log.warning("%s", error)
            entries[expression] = {"status": "failed", "reason": str(error)}
            continue
        aligned[expression] = (scan.mesh, scan.similarity)
        entries[expression] = _described(scan, texture, faces.source_to_face(expression))
        log.info(
            "%s %s: by %s, median residual %.2f mm, scale %.4g",
            person, expression, scan.how, scan.agreement.residual, scan.similarity.scale,
        )  # fmt: skip
    tolerated = int(prepared.get("settings", {}).get("max_failed_scans", 0))
    _require_enough(person, scans, entries, tolerated)
    write_scan_pack(pack, aligned)
    content = {
        "stage": "mofanerf_align",
        "person": person,
        "pack_sha256": sha256(pack),
        "settings": asdict(config) | {"max_failed_scans": tolerated},
        "scans": entries,
    }
    write_json(manifest_out, content)


def align_raw_scan(
    path: str | Path,
    faces: FacePack,
    expression: str,
    entry: Any | None,
    max_residual: float,
) -> AlignedScan:
    """One raw scan onto the registered mesh of ``faces`` with this expression, clipped.

    ``entry`` is the dictionary's [s, 3 x 4 matrix] or None: then landmarks beside the scan, or a
    search without any, give a start that ICP improves. Raises GeometryError where the scan's
    median distance to the registered face is above ``max_residual`` mm.
    """
    registered = faces.registered(expression)
    registered = Mesh(np.asarray(registered.vertices, np.float64), registered.faces)
    face = scan_alignment.face_region(registered)
    scan = welded_seams(read_mesh(path))
    try:
        if entry is not None:
            matrix = np.asarray(entry[1], np.float64)
            to_registered = Similarity(float(entry[0]), matrix[:, :3], matrix[:, 3])
            how = "dictionary"
            similarity = faces.source_to_face(expression).after(to_registered)
        else:
            reference = Reference(face, faces.landmarks(expression).astype(np.float64))
            start, how = _start(Path(path), scan, reference)
            similarity = scan_alignment.align_to_face(scan, face, start)
        found = scan_alignment.agreement(scan, face, similarity)
    except GeometryError as error:
        raise GeometryError(f"{path}: {str(error).removeprefix(f'{path}: ')}") from None
    scan_alignment.require_agreement(found, max_residual, str(path), _way_out(how))
    radius = scan_alignment.clip_radius(registered)
    moved = Mesh(similarity.apply(scan.vertices), scan.faces, scan.uv, scan.faces_uv)
    clipped = scan_alignment.clip_to_ball(moved, HEAD_CENTRE, radius)
    return AlignedScan(clipped, similarity, how, found, radius)


def _start(path: Path, scan: Mesh, reference: Reference) -> tuple[Similarity, str]:
    """A first similarity: from the landmark file beside the scan, else from a search."""
    beside = path.with_name(path.stem + LANDMARKS_SUFFIX)
    if beside.is_file():
        source, target = matched(read_points(beside, scan), reference, FIRM, str(beside))
        return umeyama(source, target), "landmarks"
    points = scan.vertices[:: max(1, len(scan.vertices) // SEARCH_POINTS)]
    try:
        found = place(points, {}, reference, "unknown", SEARCH_RESIDUAL, str(path))
    except GeometryError:
        raise GeometryError(
            f"{path}: the registered face was not found in it without landmarks. Put "
            f"{beside.name} beside it (68 lines 'x y z', or five and more 'number x y z')."
        ) from None
    return found.similarity, "search"


def _way_out(how: str) -> str:
    if how == "dictionary":
        return (
            "The dictionary's entry is not this scan's (the releases number people differently: "
            f"{multiview.KEY}.numbering), or too coarse: leave {multiview.KEY}.dictionary out to "
            "have it computed."
        )
    return (
        "Another person's or expression's scan, or wrong landmarks: give landmarks beside the "
        f"scan, check {multiview.KEY}.numbering, or raise {multiview.KEY}.max_residual."
    )


def _texture(path: Path) -> Path:
    texture = find_texture(path)
    if texture is None:
        raise DataError(
            f"{path}: no texture; expected {path.stem}.jpg or .png beside it, or an .mtl that "
            "names one. Views would show no skin."
        )
    return texture


def _described(scan: AlignedScan, texture: Path, source_to_face: Similarity) -> dict[str, Any]:
    """What the manifest says of a scan; its transform also in the published dictionary's form."""
    to_registered = source_to_face.inverse().after(scan.similarity)
    rows = np.column_stack([to_registered.rotation, to_registered.translation])
    return {
        "status": "ok",
        "texture": str(texture),
        "how": scan.how,
        "median_residual": round(scan.agreement.residual, 4),
        "coverage": round(scan.agreement.coverage, 4),
        "source_to_face": scan.similarity.matrix.tolist(),
        "source_to_registered": [to_registered.scale, rows.tolist()],
        "clip_radius": round(scan.clip_radius, 3),
        "vertices": len(scan.mesh.vertices),
    }


def _require_enough(
    person: str, scans: str | Path, entries: Mapping[str, Mapping[str, Any]], tolerated: int
) -> None:
    failed = [str(e["reason"]) for e in entries.values() if e["status"] == "failed"]
    if len(failed) > tolerated:
        raise DataError(
            f"{person}: {len(failed)} of {len(entries)} raw scans cannot be aligned, {tolerated} "
            "are tolerated (key max_failed_scans):\n  " + "\n  ".join(failed)
        )
    if not any(entry["status"] == "ok" for entry in entries.values()):
        raise DataError(
            f"{scans}: no raw scan of {person}; expected <n>_<expression>/<n>_<expression>.obj "
            "below it. Take the person out of views.people, or mend the folder."
        )
