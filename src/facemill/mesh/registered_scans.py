"""The training scans in correspondence: what the linear and the bilinear baseline are made from.

Only scans that a neural system is trained on as well (train people, seen expressions), and only the
part of the head that can show inside the crop sphere.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from facemill.data.packs import FacePack
from facemill.errors import DataError
from facemill.mesh.surface import Mesh
from facemill.mesh.visibility import hidden_vertices

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RegisteredScans:
    """Scans of one topology, millimetres, face frame; ``people`` and ``expressions`` of each."""

    vertices: Float[np.ndarray, "n v 3"]
    people: tuple[str, ...]
    expressions: tuple[str, ...]
    faces: Int[np.ndarray, "f 3"]
    landmarks: Int[np.ndarray, "68"]
    source: str  # how many scans of how many vertices, in words


def load_registered_scans(
    index: Mapping[str, Any], faces: str | Path, *, crop_radius: float, margin: float
) -> RegisteredScans:
    """Read all training scans and keep the vertices that may show within ``crop_radius`` mm.

    Scans of another vertex count than most are left out with a line in the log. Vertices beyond
    the sphere by up to ``margin`` mm stay, so that a fitted face still reaches its border.
    Raises DataError when fewer than two scans are left.
    """
    scans, keys, mesh, landmarks = _commonest_topology(index, Path(faces))
    expressions = tuple(expression for _, expression in keys)
    kept = _showing_vertices(scans, expressions, mesh.faces, crop_radius, margin)
    number = np.cumsum(kept) - 1
    used = mesh.faces[kept[mesh.faces].all(axis=1)]
    return RegisteredScans(
        vertices=scans[:, kept],
        people=tuple(person for person, _ in keys),
        expressions=expressions,
        faces=number[used],
        landmarks=number[_nearest_kept(scans.mean(axis=0), landmarks, kept)],
        source=f"{len(scans)} scans, {len(mesh.vertices)} vertices",
    )


def vertex_areas(
    vertices: Float[np.ndarray, "v 3"], faces: Int[np.ndarray, "f 3"]
) -> Float[np.ndarray, " v"]:
    """A third of the area of the faces around each vertex, mm^2."""
    a, b, c = vertices[faces].transpose(1, 0, 2)
    area = np.linalg.norm(np.cross(b - a, c - a), axis=1) / 6
    return np.bincount(faces.reshape(-1), np.repeat(area, 3), len(vertices))


def _commonest_topology(
    index: Mapping[str, Any], faces: Path
) -> tuple[np.ndarray, list[tuple[str, str]], Mesh, np.ndarray]:
    """Scans (n, v, 3), their (person, expression), a mesh of that topology, its landmarks."""
    split = index["split"]
    packs = {person: FacePack(faces / f"{person}.npz") for person in split["train"]}
    found: dict[int, list[tuple[str, str]]] = {}
    for person, pack in packs.items():
        for expression in pack.expressions:
            if expression in split["seen_expressions"]:
                count = len(pack.registered(expression).vertices)
                found.setdefault(count, []).append((person, expression))
    if not found:
        raise DataError(f"{faces}: no training scan with a seen expression; prepare people first.")
    chosen = max(found, key=lambda count: len(found[count]))
    for count, scans in found.items():
        if count != chosen:
            log.warning(
                "left out %d scans of %d vertices (most have %d)", len(scans), count, chosen
            )
    if len(found[chosen]) < 2:
        raise DataError(f"{faces}: one training scan makes no linear model; prepare more people.")
    scans = np.stack([packs[p].registered(e).vertices for p, e in found[chosen]])
    person, expression = found[chosen][0]
    landmarks = _nearest_kept(scans[0], packs[person].landmarks(expression), np.ones(chosen, bool))
    return scans, found[chosen], packs[person].registered(expression), landmarks


def _showing_vertices(
    scans: np.ndarray,
    expressions: Sequence[str],
    faces: np.ndarray,
    crop_radius: float,
    margin: float,
) -> Bool[np.ndarray, " v"]:
    """Vertices near the crop ball that show in some expression's mean, and two rings about them."""
    shows = np.zeros(scans.shape[1], bool)
    for expression in dict.fromkeys(expressions):
        mean = scans[[e == expression for e in expressions]].mean(axis=0, dtype=np.float64)
        shows |= ~hidden_vertices(mean, faces)
    radius = np.linalg.norm(scans.mean(axis=0, dtype=np.float64), axis=1)
    shows &= radius <= crop_radius + margin
    for _ in range(2):
        shows[faces[shows[faces].any(axis=1)]] = True
    in_a_face = np.zeros_like(shows)
    in_a_face[faces[shows[faces].all(axis=1)]] = True
    return shows & in_a_face


def _nearest_kept(
    vertices: np.ndarray, landmarks: np.ndarray, kept: Bool[np.ndarray, " v"]
) -> Int[np.ndarray, "68"]:
    """Landmarks, given as vertex numbers or positions, as numbers of the nearest kept vertices."""
    wanted = vertices[landmarks] if landmarks.ndim == 1 else landmarks
    distance = np.linalg.norm(vertices[None, kept] - wanted[:, None], axis=-1)
    return np.flatnonzero(kept)[distance.argmin(axis=1)]
