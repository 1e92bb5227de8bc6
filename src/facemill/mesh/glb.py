"""Meshes with morph targets as binary glTF 2.0, the form that viewers, engines and Blender read.

Written by hand: a header, a JSON chunk and one buffer. The mesh libraries at hand write no morph
targets.
"""

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from facemill.errors import DataError
from facemill.files import require_file, writing
from facemill.mesh.surface import Mesh

MAGIC, VERSION = b"glTF", 2
JSON_CHUNK, BINARY_CHUNK = b"JSON", b"BIN\0"
FLOAT, UNSIGNED_INT = 5126, 5125
ARRAY, ELEMENT_ARRAY = 34962, 34963
CLAY = {"baseColorFactor": [0.62, 0.56, 0.51, 1.0], "metallicFactor": 0.0, "roughnessFactor": 0.7}
"""The one material; colours are linear."""


@dataclass
class _Buffer:
    """The binary chunk as it grows, with the accessors that point into it."""

    data: bytearray = field(default_factory=bytearray)
    views: list[dict[str, Any]] = field(default_factory=list)
    accessors: list[dict[str, Any]] = field(default_factory=list)

    def add(self, array: np.ndarray, kind: str, target: int | None = None) -> int:
        """Append an array (float32 or uint32); the number of its accessor."""
        array = np.ascontiguousarray(array)
        code = UNSIGNED_INT if array.dtype == np.uint32 else FLOAT
        view = {"buffer": 0, "byteOffset": len(self.data), "byteLength": array.nbytes}
        self.views.append(view if target is None else view | {"target": target})
        accessor = {
            "bufferView": len(self.views) - 1,
            "componentType": code,
            "count": array.size if kind == "SCALAR" else len(array),
            "type": kind,
        }
        if kind != "SCALAR" or target is None:  # positions and times must have their range
            rows = array.reshape(accessor["count"], -1)
            accessor |= {"min": rows.min(axis=0).tolist(), "max": rows.max(axis=0).tolist()}
        self.accessors.append(accessor)
        self.data += array.tobytes()
        return len(self.accessors) - 1


def write_glb(
    path: str | Path,
    mesh: Mesh,
    targets: Mapping[str, Float[np.ndarray, "v 3"]],
    weights: Float[np.ndarray, "n m"] | None = None,
    fps: float = 30.0,
) -> None:
    """Write a mesh, offsets of its vertices by name, and an animation of their weights if given.

    Normals of mesh and targets are written as well, since viewers shade by them. Texture
    coordinates are left out: in glTF they would split vertices along seams.
    """
    buffer = _Buffer()
    from facemill.render.raycast import vertex_normals

    rest = vertex_normals(mesh.vertices, mesh.faces)

    def shape(vertices: np.ndarray, normals: np.ndarray) -> dict[str, int]:
        return {
            "POSITION": buffer.add(vertices.astype(np.float32), "VEC3", ARRAY),
            "NORMAL": buffer.add(normals.astype(np.float32), "VEC3", ARRAY),
        }

    primitive: dict[str, Any] = {
        "attributes": shape(mesh.vertices, rest),
        "indices": buffer.add(mesh.faces.astype(np.uint32).reshape(-1), "SCALAR", ELEMENT_ARRAY),
        "material": 0,
    }
    moved = [
        shape(offset, vertex_normals(mesh.vertices + offset, mesh.faces) - rest)
        for offset in targets.values()
    ]
    face: dict[str, Any] = {"name": "face", "primitives": [primitive]}
    if moved:
        primitive["targets"] = moved
        face |= {"weights": [0.0] * len(moved), "extras": {"targetNames": list(targets)}}
    content = {
        "asset": {"version": "2.0", "generator": "facemill"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0, "name": "face"}],
        "meshes": [face],
        "materials": [{"name": "clay", "doubleSided": True, "pbrMetallicRoughness": CLAY}],
    }
    if weights is not None and len(weights):
        times = buffer.add(np.arange(len(weights), dtype=np.float32) / np.float32(fps), "SCALAR")
        values = buffer.add(weights.astype(np.float32).reshape(-1), "SCALAR")
        content["animations"] = [
            {
                "name": "expressions",
                "samplers": [{"input": times, "output": values, "interpolation": "LINEAR"}],
                "channels": [{"sampler": 0, "target": {"node": 0, "path": "weights"}}],
            }
        ]
    content |= {"accessors": buffer.accessors, "bufferViews": buffer.views}
    content["buffers"] = [{"byteLength": len(buffer.data)}]
    with writing(path) as part:
        part.write_bytes(_packed(content, bytes(buffer.data)))


def _packed(content: dict[str, Any], data: bytes) -> bytes:
    """Header and both chunks, each filled up to four bytes."""
    text = json.dumps(content, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 4)
    data += b"\0" * (-len(data) % 4)
    chunks = b"".join(
        struct.pack("<I", len(chunk)) + kind + chunk
        for kind, chunk in ((JSON_CHUNK, text), (BINARY_CHUNK, data))
    )
    return struct.pack("<4sII", MAGIC, VERSION, 12 + len(chunks)) + chunks


@dataclass(frozen=True)
class Morphs:
    """A mesh with morph targets as a GLB of :func:`write_glb` holds it."""

    vertices: Float[np.ndarray, "v 3"]
    faces: Int[np.ndarray, "f 3"]
    targets: dict[str, Float[np.ndarray, "v 3"]]
    times: Float[np.ndarray, " n"]
    weights: Float[np.ndarray, "n m"]


def read_glb_morphs(path: str | Path) -> Morphs:
    """Read positions, faces, morph targets and the animation of a GLB of :func:`write_glb`."""
    raw = require_file(path, "A .glb with morph targets is expected here.").read_bytes()
    if raw[:4] != MAGIC or struct.unpack("<I", raw[8:12])[0] != len(raw):
        raise DataError(f"{path}: not a whole .glb file. Export it again.")
    length = struct.unpack("<I", raw[12:16])[0]
    content, data = json.loads(raw[20 : 20 + length]), raw[28 + length :]

    def array(number: int) -> np.ndarray:
        accessor = content["accessors"][number]
        view = content["bufferViews"][accessor["bufferView"]]
        kind = np.uint32 if accessor["componentType"] == UNSIGNED_INT else np.float32
        start = view["byteOffset"]
        values = np.frombuffer(data[start : start + view["byteLength"]], kind)
        return values.reshape(-1, 3) if accessor["type"] == "VEC3" else values

    face = content["meshes"][0]
    primitive = face["primitives"][0]
    names = face.get("extras", {}).get("targetNames", [])
    moved = [array(one["POSITION"]) for one in primitive.get("targets", [])]
    times, weights = np.zeros(0, np.float32), np.zeros((0, len(names)), np.float32)
    if "animations" in content:
        sampler = content["animations"][0]["samplers"][0]
        times = array(sampler["input"])
        weights = array(sampler["output"]).reshape(len(times), -1)
    return Morphs(
        array(primitive["attributes"]["POSITION"]),
        array(primitive["indices"]).reshape(-1, 3).astype(np.int64),
        dict(zip(names, moved, strict=True)),
        times,
        weights,
    )
