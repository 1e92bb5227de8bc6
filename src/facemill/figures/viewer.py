"""One HTML page with interactive 3D meshes that needs no network: data and three.js are inside.

Positions are quantised to 14 bits over each mesh's box (within 0.01 mm on a face), connectivity
shared by meshes is stored once, and data and program are zlib-packed: browsers show a page inside
another one (Snakemake's report) only up to 2 MB.
"""

import base64
import html
import json
import logging
import zlib
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from facemill.errors import GeometryError
from facemill.figures.colours import NOT_EVALUATED, error_map
from facemill.figures.errors import STEPS, scale_maximum
from facemill.files import writing

EMBEDDABLE = 1_560_000
"""Bytes of the largest page that fits into the 2 MiB Chromium takes for an address (base64)."""

POSITION_STEPS = 16383
VALUE_STEPS = 4095
"""Errors are shown as 256 colours; finer steps only cost space."""


def write_viewer(
    path: str | Path,
    items: Sequence[Mapping[str, Any]],
    title: str = "facemill: faces",
    maximum: float | None = None,
) -> None:
    """Write a self-contained page that shows ``items`` in three dimensions.

    An item is a dict of ``name``, ``group`` (items of one group stand side by side and turn
    together), ``vertices`` (v, 3) in mm, ``faces`` (f, 3), and ``colours`` (v, 3) uint8 or None,
    ``values`` (v,) in mm (errors; not-a-number: not evaluated) or None; a ``note`` stands under the
    name. The error scale ends at ``maximum`` mm, by default a round number near the 95th
    percentile. The page opens in browsers of 2023 or later, from a file or within another page;
    above :data:`EMBEDDABLE` bytes it is written, with a warning, but cannot be shown inside another
    one. Raises GeometryError if there is nothing to show.
    """
    if not items:
        raise GeometryError("viewer: no mesh to show; give at least one.")
    store = _Store()
    groups: dict[str, list[dict[str, Any]]] = {}
    for item in items:
        groups.setdefault(item["group"], []).append(_packed_item(item, store))
    vertices = np.concatenate([np.asarray(item["vertices"], np.float64) for item in items])
    low, high = vertices.min(axis=0), vertices.max(axis=0)
    errors = [np.asarray(i["values"], float) for i in items if i.get("values") is not None]
    if maximum is None:
        maximum = scale_maximum(np.concatenate(errors)) if errors else 1.0
    coloured = any(item.get("colours") is not None for item in items)
    scene = {
        "groups": [{"name": name, "items": entries} for name, entries in groups.items()],
        "faces": store.faces,
        "modes": [*(["colours"] if coloured else []), "clay", *(["values"] if errors else [])],
        "errorMap": error_map().tolist(),
        "notEvaluated": NOT_EVALUATED.tolist(),
        "maximum": maximum,
        "scales": sorted({*STEPS[:7], maximum}),
        "centre": ((low + high) / 2).round(2).tolist(),
        "half": ((high - low) / 2).round(2).tolist(),
    }
    write_page(path, title, scene, store.content())


def write_page(path: str | Path, title: str, scene: Mapping[str, Any], data: bytes) -> None:
    """Fill the page's template with its title, scene, packed data and program."""
    assets = files("facemill.figures") / "assets"
    program = (assets / "viewer.js").read_bytes()
    # Inside <script>, "</" could end it early; JSON may write it as "<\/".
    parts = {
        "__TITLE__": html.escape(title),
        "__SCENE__": json.dumps(scene, separators=(",", ":")).replace("</", "<\\/"),
        "__DATA__": base64.b64encode(data).decode(),
        "__PROGRAM__": base64.b64encode(zlib.compress(program, 9)).decode(),
    }
    page = (assets / "viewer.html").read_text(encoding="utf-8")
    for mark, content in parts.items():
        page = page.replace(mark, content)
    if len(page) > EMBEDDABLE:
        logging.warning(
            "%s: %.1f MB; browsers refuse to show more than %.1f MB inside another page. Opened on "
            "its own it works; for a smaller one show fewer or coarser meshes.",
            path, len(page) / 1e6, EMBEDDABLE / 1e6,
        )  # fmt: skip
    with writing(path) as part:
        part.write_text(page, encoding="utf-8")


class _Store:
    """Bytes of all arrays one after the other; equal connectivity is kept once."""

    def __init__(self):
        self._chunks: list[bytes] = []
        self._size = 0
        self._known: dict[bytes, int] = {}
        self.faces: list[dict[str, int]] = []

    def add(self, numbers: Int[np.ndarray, " n"], stride: int) -> dict[str, int]:
        """Append whole numbers and return where and how they lie."""
        packed, planes = _packed(numbers, stride)
        place = {"offset": self._size, "count": len(numbers), "planes": planes, "stride": stride}
        self._chunks.append(packed)
        self._size += len(packed)
        return place

    def add_faces(self, faces: Int[np.ndarray, "f 3"]) -> int:
        """Append triangles unless they are there already; returns their number in ``faces``."""
        key = faces.tobytes()
        if key not in self._known:
            self._known[key] = len(self.faces)
            self.faces.append(self.add(faces.ravel(), 3))
        return self._known[key]

    def content(self) -> bytes:
        return zlib.compress(b"".join(self._chunks), 9)


def _packed(numbers: Int[np.ndarray, " n"], stride: int) -> tuple[bytes, int]:
    """Differences to the number ``stride`` before, zigzag coded, as planes of bytes.

    Neighbouring vertices are close, so the high planes are nearly all zero and pack well.
    """
    numbers = numbers.astype(np.int64)
    steps = numbers.copy()
    steps[stride:] -= numbers[:-stride]
    codes = np.where(steps >= 0, 2 * steps, -2 * steps - 1)
    planes = max(1, (int(codes.max(initial=0)).bit_length() + 7) // 8)
    return b"".join(
        ((codes >> 8 * p) & 255).astype(np.uint8).tobytes() for p in range(planes)
    ), planes


def _packed_item(item: Mapping[str, Any], store: _Store) -> dict[str, Any]:
    """One mesh put into the store; what the page has to know to take it out again."""
    vertices = np.asarray(item["vertices"], np.float64)
    faces = np.ascontiguousarray(item["faces"], np.int32)
    if len(vertices) == 0 or len(faces) == 0 or not np.isfinite(vertices).all():
        raise GeometryError(
            f"viewer: {item['group']}, {item['name']} has {len(vertices)} vertices and "
            f"{len(faces)} faces or coordinates that are no numbers. Leave it out."
        )
    low = vertices.min(axis=0)
    step = max(float((vertices - low).max()) / POSITION_STEPS, 1e-9)
    quantised = np.round((vertices - low) / step).astype(np.int64)
    entry = {
        "name": item["name"],
        "note": item.get("note") or f"{len(vertices):,} vertices".replace(",", "\u202f"),
        "low": low.tolist(),
        "step": step,
        "positions": store.add(quantised.ravel(), 3),
        "faces": store.add_faces(faces),
    }
    if item.get("colours") is not None:
        entry["colours"] = store.add(np.asarray(item["colours"], np.uint8).ravel().astype(int), 3)
    if item.get("values") is not None:
        entry |= _packed_values(np.abs(np.asarray(item["values"], np.float64)), store)
    return entry


def _packed_values(values: Float[np.ndarray, " v"], store: _Store) -> dict[str, Any]:
    known = np.isfinite(values)
    step = max(float(values[known].max(initial=0.0)) / VALUE_STEPS, 1e-9)
    quantised = np.where(known, np.round(np.where(known, values, 0.0) / step), -1)
    return {"values": store.add(quantised.astype(np.int64), 1), "valueStep": step}
