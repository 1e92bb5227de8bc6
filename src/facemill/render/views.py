"""Multi-view images of one person: MoFaNeRF's camera grid, rendered without a GPU.

Colours are the bare texture, unlit. Mask, depth and normals are those of the exact pixel centres;
colours are softened only where one pixel sees two depths (nose before cheek, silhouettes), and the
texture is averaged down to the image's resolution beforehand.
"""

import io
import json
import logging
import time
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float32, UInt8, UInt16

from facemill.data.expressions import EXPRESSIONS
from facemill.data.packs import FacePack
from facemill.errors import ConfigError, DataError, GeometryError
from facemill.files import read_json, sha256, write_json, writing
from facemill.mesh.surface import Mesh
from facemill.render.camera_files import transforms
from facemill.render.cameras import Camera, orbit
from facemill.render.raycast import Hits, RayScene, vertex_normals
from facemill.render.texture import lookup, read_texture, reduced, reduction

PITCHES = (-30, -15, 0, 15, 30, 45)
"""Degrees above the horizon of MoFaNeRF's grid."""

YAWS = tuple(range(-90, 90, 9))
"""Degrees towards the subject's left of MoFaNeRF's grid; a view's number is its place here."""

FOCAL, SIZE, DISTANCE = 1200.0, 512, 800.0
"""Focal length in pixels at this image size, and distance in mm from the head's centre."""

HEAD_CENTRE = np.array([0.0, 0.0, -70.0])
"""What the cameras look at and turn about, mm. FaceScape's own origin, which MoFaNeRF's cameras
see, lies inside the head; the face frame's lies 40 mm behind the nose tip, and profiles seen from
there would lose the back of the head."""

DEPTH_UNITS = 32
"""Depth images count 1/32 mm, so that 16 bits reach 2 m and the rounding is 0.016 mm."""

PLAIN_ALBEDO = np.array([[[201, 168, 148]]], np.uint8)
"""Colour of a scan without a texture."""


@dataclass(frozen=True)
class ViewSettings:
    """Which views are rendered; None means all."""

    size: int = 256
    pitches: Sequence[int] | None = None
    yaws: Sequence[int] | None = None
    expressions: Sequence[str] | None = None

    @classmethod
    def from_dict(cls, settings: Mapping[str, Any]) -> "ViewSettings":
        """Read the config's ``views`` part; ``people`` in it belongs to the workflow."""
        chosen = {key: value for key, value in settings.items() if key != "people"}
        unknown = set(chosen) - set(cls.__dataclass_fields__)
        if unknown:
            raise ConfigError(
                f"views: unknown key {sorted(unknown)[0]}; known are "
                f"{', '.join(cls.__dataclass_fields__)} and people."
            )
        chosen = {key: None if value == "all" else value for key, value in chosen.items()}
        return cls(**chosen).check()

    def check(self) -> "ViewSettings":
        """Return the settings themselves, or raise a ConfigError that names the key."""
        if not 16 <= self.size <= 4096:
            raise ConfigError(f"views.size: {self.size}; expected 16 to 4096 pixels.")
        for key, known in (
            ("pitches", PITCHES),
            ("yaws", YAWS),
            ("expressions", EXPRESSIONS),
        ):
            chosen = getattr(self, key)
            wrong = [value for value in chosen or () if value not in known]
            if wrong or chosen == []:
                raise ConfigError(
                    f"views.{key}: {wrong[0] if wrong else 'an empty list'}; expected some of "
                    f"{', '.join(map(str, known))}, or null for all."
                )
        return self


def view_cameras(settings: ViewSettings) -> dict[str, Camera]:
    """The grid's cameras by view name ``<pitch>_<i>``, i the yaw's place in :data:`YAWS`.

    A smaller image is the same view with scaled intrinsics. Angles, distance and focal length are
    those of MoFaNeRF's published rendering settings; the point they turn about is ours.
    """
    focal = FOCAL * settings.size / SIZE
    return {
        f"{pitch}_{YAWS.index(yaw)}": orbit(
            yaw, pitch, DISTANCE, focal, settings.size, settings.size, HEAD_CENTRE
        )
        for pitch in settings.pitches or PITCHES
        for yaw in settings.yaws or YAWS
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
    failed. Layout: docs/data-layouts.md. Raises ConfigError for settings off the grid.
    """
    chosen = ViewSettings.from_dict(settings)
    faces = FacePack(faces_pack)
    prepared = read_json(manifest)
    person = prepared["person"]
    cameras = view_cameras(chosen)
    scans: dict[str, dict[str, Any]] = {}
    with writing(pack) as part, zipfile.ZipFile(part, "w", zipfile.ZIP_STORED) as archive:
        for expression, entry in prepared["scans"].items():
            if chosen.expressions is not None and expression not in chosen.expressions:
                continue
            if entry["status"] != "ok":
                scans[expression] = {key: entry.get(key) for key in ("status", "reason")}
                continue
            scans[expression] = _render_scan(archive, faces, expression, entry, cameras)
            logging.info("%s %s: %s", person, expression, scans[expression]["status"])
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
        mesh = faces.registered(expression)
        texture = PLAIN_ALBEDO
        if mesh.uv is None or mesh.faces_uv is None:
            result["note"] = "no texture coordinates: plain colour"
        elif not entry.get("texture"):
            result["note"] = "no texture: plain colour"
        else:
            texture = read_texture(entry["texture"])
        view = MeshView(mesh, texture, next(iter(cameras.values())), name=expression)
    except (DataError, GeometryError) as error:
        return {"status": "failed", "reason": str(error)}
    for name, camera in cameras.items():
        image, depth, normals = view.render(camera)
        _add(archive, f"{expression}/{name}.png", png(image))
        _add(archive, f"{expression}/{name}_depth.png", png(depth))
        _add(archive, f"{expression}/{name}_normal.png", png(normals))
    return result | {"images": len(cameras), "seconds": round(time.perf_counter() - start, 2)}


class MeshView:
    """A textured mesh made ready to be seen by many cameras of about one resolution."""

    def __init__(
        self, mesh: Mesh, texture: UInt8[np.ndarray, "h w 3"], camera: Camera, name: str = "mesh"
    ):
        self.scene = RayScene(mesh.vertices, mesh.faces, name)
        self.faces = mesh.faces
        self.normals = vertex_normals(mesh.vertices, mesh.faces).astype(np.float32)
        self.uv = mesh.uv if mesh.uv is not None else np.zeros((1, 2), np.float32)
        self.faces_uv = mesh.faces_uv if mesh.faces_uv is not None else np.zeros_like(mesh.faces)
        finer = texels_per_pixel(mesh, texture.shape[:2], camera)
        self.texture = reduced(texture, reduction(texture.shape[:2], finer))

    def render(
        self, camera: Camera
    ) -> tuple[UInt8[np.ndarray, "h w 4"], UInt16[np.ndarray, "h w"], UInt8[np.ndarray, "h w 3"]]:
        """RGBA image (straight alpha = mask), depth in 1/32 mm, normals as (n + 1) / 2."""
        shape = (camera.height, camera.width)
        hits = self.scene.see(camera)
        colours = self._colours(hits)
        self._soften(colours, hits, camera)
        opaque = np.full((len(colours), 1), 255, np.uint8)
        rgba = np.concatenate([np.round(colours).astype(np.uint8), opaque], axis=1)
        depth = np.round(hits.distance * DEPTH_UNITS).astype(np.uint16)
        normals = hits.interpolate(self.normals, self.faces)
        normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
        packed = np.round((normals + 1.0) * 127.5).astype(np.uint8)
        return (
            hits.scatter(rgba).reshape(*shape, 4),
            hits.scatter(depth).reshape(shape),
            hits.scatter(packed).reshape(*shape, 3),
        )

    def _colours(self, hits: Hits) -> Float32[np.ndarray, "h 3"]:
        return lookup(self.texture, hits.interpolate(self.uv, self.faces_uv))

    def _soften(self, colours: Float32[np.ndarray, "h 3"], hits: Hits, camera: Camera) -> None:
        """Replace, in place, colours at depth edges by the mean of what 2 x 2 finer rays hit."""
        edges = depth_edges(hits, camera)[hits.rays]
        pixels = camera.pixel_centres[hits.rays[edges]]
        if len(pixels) == 0:
            return
        quarter = np.array([[-0.25, -0.25], [0.25, -0.25], [-0.25, 0.25], [0.25, 0.25]])
        finer = (pixels[:, None] + quarter).reshape(-1, 2)
        fine = self.scene.see(camera, camera.directions(finer).astype(np.float32))
        total = fine.scatter(self._colours(fine)).reshape(-1, 4, 3).sum(axis=1)
        count = fine.mask.reshape(-1, 4).sum(axis=1)
        colours[edges] = np.where(
            count[:, None] > 0, total / np.maximum(count, 1)[:, None], colours[edges]
        )


def depth_edges(hits: Hits, camera: Camera) -> Bool[np.ndarray, " p"]:
    """Pixels beside the background or beside a jump in depth of more than four pixel widths."""
    if len(hits.distance) == 0:
        return hits.mask
    depth = hits.scatter(hits.distance, background=np.inf).reshape(camera.height, camera.width)
    threshold = 4.0 * float(np.median(hits.distance)) / float(camera.intrinsics[0, 0])
    edge = np.zeros(depth.shape, bool)
    with np.errstate(invalid="ignore"):
        across = np.abs(np.diff(depth, axis=1)) > threshold
        down = np.abs(np.diff(depth, axis=0)) > threshold
    edge[:, 1:] |= across
    edge[:, :-1] |= across
    edge[1:] |= down
    edge[:-1] |= down
    return edge.ravel()


def texels_per_pixel(mesh: Mesh, texture_shape: tuple[int, int], camera: Camera) -> float:
    """How many texels lie side by side under one pixel, at the mesh's median triangle."""
    if mesh.uv is None or mesh.faces_uv is None:
        return 1.0
    corners = mesh.vertices[mesh.faces].astype(np.float64)
    area = np.linalg.norm(
        np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1
    )
    uv = mesh.uv[mesh.faces_uv].astype(np.float64)
    a, b = uv[:, 1] - uv[:, 0], uv[:, 2] - uv[:, 0]
    texels = np.abs(a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]) * texture_shape[0] * texture_shape[1]
    valid = (area > 0) & (texels > 0)
    if not valid.any():
        return 1.0
    millimetres_per_texel = np.sqrt(np.median(area[valid] / texels[valid]))
    distance = np.linalg.norm(camera.centre - mesh.vertices.mean(axis=0))
    return float(distance / camera.intrinsics[0, 0] / millimetres_per_texel)


def png(image: np.ndarray) -> bytes:
    """PNG bytes of an 8- or 16-bit image, compressed little because speed counts more here."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "png", compress_level=1)
    return buffer.getvalue()


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
