"""Multi-view images of one person: MoFaNeRF's camera grid, rendered without a GPU.

Colours are the bare texture, unlit; see :mod:`facemill.render.mesh_view`.
"""

import json
import logging
import time
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from facemill.data.expressions import EXPRESSIONS
from facemill.data.packs import FacePack
from facemill.errors import ConfigError, DataError, GeometryError
from facemill.files import read_json, sha256, write_json, writing
from facemill.mesh.frames import HEAD_CENTRE
from facemill.mesh.io import read_texture
from facemill.render.camera_files import transforms
from facemill.render.cameras import Camera, orbit
from facemill.render.mesh_view import MeshView
from facemill.render.png import png

PITCHES = (-30, -15, 0, 15, 30, 45)
"""Degrees above the horizon of MoFaNeRF's grid."""

YAWS = 20
"""Cameras in a row of MoFaNeRF's grid: from -90 degrees (subject's right) on, +90 not included."""

FOCAL, SIZE, DISTANCE = 1200.0, 512, 800.0
"""Focal length in pixels at this image size, and distance in mm from the head's centre."""

PLAIN_ALBEDO = np.array([[[201, 168, 148]]], np.uint8)
"""Colour of a scan without a texture."""


@dataclass(frozen=True)
class ViewSettings:
    """Which views are rendered. Defaults are MoFaNeRF's grid and size."""

    size: int = SIZE
    pitches: Sequence[float | int] = PITCHES
    yaws: int = YAWS
    expressions: Sequence[str] = EXPRESSIONS

    @classmethod
    def from_dict(cls, settings: Mapping[str, Any]) -> "ViewSettings":
        """Read the config's ``views`` part; ``people`` in it belongs to the workflow.

        Missing keys, null and "all" stand for the defaults. Raises ConfigError naming the key.
        """
        known = {field.name: field.default for field in fields(cls)}
        unknown = sorted(set(settings) - set(known) - {"people"})
        if unknown:
            raise ConfigError(
                f"views: unknown key {unknown[0]}; known are {', '.join(known)} and people."
            )
        chosen = {key: settings.get(key) for key in known}
        settings = {key: known[key] if v in (None, "all") else v for key, v in chosen.items()}
        return cls(**settings).check()

    def check(self) -> "ViewSettings":
        """Return the settings themselves, or raise a ConfigError that names the key."""
        if not 16 <= self.size <= 4096:
            raise ConfigError(f"views.size: {self.size}; expected 16 to 4096 pixels.")
        if not 1 <= self.yaws <= 360:
            raise ConfigError(f"views.yaws: {self.yaws}; expected 1 to 360 cameras in a row.")
        steep = [pitch for pitch in self.pitches if not -89 <= pitch <= 89]
        if steep or not self.pitches:
            raise ConfigError(
                f"views.pitches: {steep[0] if steep else 'an empty list'}; expected degrees from "
                "-89 to 89."
            )
        wrong = [name for name in self.expressions if name not in EXPRESSIONS]
        if wrong or not self.expressions:
            raise ConfigError(
                f"views.expressions: {wrong[0] if wrong else 'an empty list'}; expected all or "
                f"some of {', '.join(EXPRESSIONS)}."
            )
        return self


def view_cameras(settings: ViewSettings) -> dict[str, Camera]:
    """The grid's cameras by view name ``<pitch>_<i>``: yaw = -90 + i 180 / yaws degrees.

    A smaller image is the same view with scaled intrinsics. Angles, distance and focal length are
    those of MoFaNeRF's published rendering settings; the point they turn about is ours.
    """
    size = settings.size
    focal = FOCAL * size / SIZE
    return {
        f"{pitch:g}_{i}": orbit(
            -90 + i * 180 / settings.yaws, pitch, DISTANCE, focal, size, size, HEAD_CENTRE
        )
        for pitch in settings.pitches
        for i in range(settings.yaws)
    }


def render_person(
    faces_pack: str | Path,
    manifest: str | Path,
    settings: Mapping[str, Any],
    pack: str | Path,
    manifest_out: str | Path,
) -> None:
    """Render all expressions of one person into a stored zip and write its manifest.

    Reads ``faces/<person>.npz`` and the textures that ``faces/<person>.json`` names. A scan without
    texture is rendered in a plain colour, with a note; one whose texture is no image is recorded as
    failed. More failures than the faces' manifest tolerates (``max_failed_scans``) raise a
    DataError, and neither file is written. Layout: docs/data-layouts.md.
    """
    chosen = ViewSettings.from_dict(settings)
    faces = FacePack(faces_pack)
    prepared = read_json(manifest)
    person = prepared["person"]
    cameras = view_cameras(chosen)
    scans: dict[str, dict[str, Any]] = {}
    with writing(pack) as part, zipfile.ZipFile(part, "w", zipfile.ZIP_STORED) as archive:
        for expression, entry in prepared["scans"].items():
            if expression not in chosen.expressions:
                continue
            if entry["status"] != "ok":
                scans[expression] = {key: entry.get(key) for key in ("status", "reason")}
                continue
            scans[expression] = _render_scan(archive, faces, expression, entry, cameras)
            logging.info("%s %s: %s", person, expression, scans[expression]["status"])
        _require_few_failures(faces_pack, prepared, scans)
        done = [expression for expression, scan in scans.items() if scan["status"] == "ok"]
        _add(archive, "cameras.json", _camera_table(cameras))
        scene = transforms({expression: cameras for expression in done}, person) if done else {}
        _add(archive, f"transforms_all_{person}.json", json.dumps(scene, indent=1).encode())
    write_json(
        manifest_out,
        {
            "stage": "views_render",
            "person": person,
            "pack_sha256": sha256(pack),
            "settings": asdict(chosen),
            "scans": scans,
        },
    )


def _require_few_failures(
    faces_pack: str | Path, prepared: Mapping[str, Any], scans: Mapping[str, Mapping[str, Any]]
) -> None:
    """Raise a DataError if more scans failed than the run tolerates."""
    tolerated = prepared.get("settings", {}).get("max_failed_scans", 0)
    reasons = [str(scan["reason"]) for scan in scans.values() if scan["status"] == "failed"]
    if len(reasons) > tolerated:
        raise DataError(
            f"{faces_pack}: {len(reasons)} of {len(scans)} scans cannot be rendered, {tolerated} "
            "are tolerated (key max_failed_scans):\n  " + "\n  ".join(reasons)
        )


def _render_scan(
    archive: zipfile.ZipFile,
    faces: FacePack,
    expression: str,
    entry: Mapping[str, Any],
    cameras: Mapping[str, Camera],
) -> dict[str, Any]:
    """Render one expression into the archive and tell what became of it."""
    start = time.perf_counter()
    result: dict[str, Any] = {"status": "ok", "texture": entry.get("texture")}
    try:
        view, note = scan_view(faces, expression, entry, next(iter(cameras.values())))
    except (DataError, GeometryError) as error:
        return {"status": "failed", "reason": str(error)}
    if note:
        result["note"] = note
    for name, camera in cameras.items():
        image, depth, normals = view.render(camera)
        _add(archive, f"{expression}/{name}.png", png(image))
        _add(archive, f"{expression}/{name}_depth.png", png(depth))
        _add(archive, f"{expression}/{name}_normal.png", png(normals))
    return result | {"images": len(cameras), "seconds": round(time.perf_counter() - start, 2)}


def scan_view(
    faces: FacePack, expression: str, entry: Mapping[str, Any], camera: Camera
) -> tuple[MeshView, str]:
    """A scan ready to be seen by cameras like ``camera``, and a note where it lacks its texture.

    ``entry`` is the scan's in ``faces/<person>.json``. Raises DataError or GeometryError for a
    texture that is no image and a mesh that cannot be seen.
    """
    mesh = faces.registered(expression)
    texture, note = PLAIN_ALBEDO, ""
    if mesh.uv is None or mesh.faces_uv is None:
        note = "no texture coordinates: plain colour"
    elif not entry.get("texture"):
        note = "no texture: plain colour"
    else:
        texture = read_texture(entry["texture"])
    return MeshView(mesh, texture, camera, name=expression), note


def _camera_table(cameras: Mapping[str, Camera]) -> bytes:
    table = {
        name: {
            "intrinsics": camera.intrinsics.tolist(),
            "extrinsics": camera.extrinsics.tolist(),
            "width": camera.width,
            "height": camera.height,
        }
        for name, camera in cameras.items()
    }
    return json.dumps(table, indent=1).encode()


def _add(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    # A fixed date: the same views make the same bytes.
    archive.writestr(zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0)), content)
