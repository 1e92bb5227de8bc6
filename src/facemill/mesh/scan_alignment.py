"""A raw scan on the registered mesh of the same person and expression, and what is left of it.

Similarity by trimmed point-to-plane ICP of the face, its residual, and the clip that takes
shoulders off. The registered mesh is in the face frame (mm); the scan in any frame and unit.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from facemill.errors import GeometryError
from facemill.mesh.alignment import trimmed_icp
from facemill.mesh.distance import distance_to_mesh
from facemill.mesh.frames import HEAD_CENTRE, Similarity
from facemill.mesh.normals import corner_normals
from facemill.mesh.surface import Mesh
from facemill.mesh.visibility import visible_part

FACE_RADIUS = 90.0
"""mm about the origin of the face frame: what counts as face."""

KEEP = 0.8
"""Share of the scan's points that ICP keeps: hair, glasses and borders have no partner."""

FREE_ROUNDS, FIXED_ROUNDS = 10, 50
"""Rounds of ICP with free scale, and after them with fixed scale."""

ICP_POINTS, MEASURED_POINTS = 8000, 20000
"""Points of the scan that ICP moves, and that the residual is the median of."""

REACH = 4.0
"""mm; a place of the registered face that has a scan this near is covered by it."""

CLIP = 1.02
"""The clip's radius over the largest distance of a registered vertex from the head's centre."""


@dataclass(frozen=True)
class Agreement:
    """How well a scan lies on the registered face.

    ``residual`` is the median distance in mm of the scan's face to the registered surface;
    ``coverage`` the share of the registered face that has some scan within 4 mm.
    """

    residual: float
    coverage: float


def face_region(mesh: Mesh) -> Mesh:
    """The part of a registered mesh (face frame, mm) that shows from the front, near the nose."""
    kept = np.linalg.norm(mesh.vertices, axis=1) < FACE_RADIUS
    faces = mesh.faces[kept[mesh.faces].all(axis=1)]
    if len(faces) == 0:
        raise GeometryError(
            f"no face of the registered mesh within {FACE_RADIUS:g} mm of the origin; it is not in "
            "the face frame. Prepare it again."
        )
    return visible_part(Mesh(np.asarray(mesh.vertices, np.float64), faces))


def align_to_face(scan: Mesh, face: Mesh, start: Similarity) -> Similarity:
    """Improve ``start``, from the scan's frame and unit to the face frame, by trimmed ICP.

    ``face`` is a :func:`face_region`. Ten rounds with free scale, then with fixed scale, each on
    those points of the scan that have the face before them; the worst 20 % of a round are left out.
    """
    normals = np.zeros_like(face.vertices)
    normals[face.faces] = corner_normals(face, 180.0)
    now = start
    for rounds, with_scale in ((FREE_ROUNDS, True), (FIXED_ROUNDS, False)):
        points = now.apply(scan.vertices[_on_face(now.apply(scan.vertices), face, ICP_POINTS)])
        step, _ = trimmed_icp(
            points, face.vertices, normals, Similarity(), KEEP, rounds, with_scale
        )
        now = step.after(now)
    return now


def agreement(scan: Mesh, face: Mesh, similarity: Similarity) -> Agreement:
    """Residual and coverage of a scan moved by ``similarity`` on a :func:`face_region`."""
    moved = Mesh(similarity.apply(scan.vertices), scan.faces)
    chosen = _on_face(moved.vertices, face, MEASURED_POINTS)
    distance, _, _ = distance_to_mesh(moved.vertices[chosen], face)
    places = face.vertices[:: max(1, len(face.vertices) // 4000)]
    back, _, _ = distance_to_mesh(places, moved)
    return Agreement(float(np.median(distance)), float((back < REACH).mean()))


def require_agreement(found: Agreement, limit: float, name: str, way_out: str) -> None:
    """Raise a GeometryError where a scan is not on the face: ``limit`` in mm for the median."""
    if found.residual > limit:
        raise GeometryError(
            f"{name}: the median distance to the registered face is {found.residual:.2f} mm; "
            f"expected at most {limit:g} mm. {way_out}"
        )
    if found.coverage < 0.5:
        raise GeometryError(
            f"{name}: the scan covers {100 * found.coverage:.0f} % of the registered face; "
            f"expected at least half. {way_out}"
        )


def clip_radius(registered: Mesh) -> float:
    """1.02 times the largest distance of a registered vertex from the head's centre, mm."""
    return CLIP * float(np.linalg.norm(registered.vertices - HEAD_CENTRE, axis=1).max())


def clip_to_ball(mesh: Mesh, centre: Float[np.ndarray, "3"], radius: float) -> Mesh:
    """The faces whose three vertices lie within ``radius`` of ``centre``; nothing unused stays.

    Texture coordinates are carried along. Raises GeometryError where nothing is left.
    """
    inside = np.linalg.norm(mesh.vertices - centre, axis=1) < radius
    kept = inside[mesh.faces].all(axis=1)
    if not kept.any():
        raise GeometryError(
            f"no triangle within {radius:.0f} mm of the head's centre; the scan lies elsewhere."
        )
    vertices, faces = _used(np.asarray(mesh.vertices), mesh.faces[kept])
    if mesh.uv is None or mesh.faces_uv is None:
        return Mesh(vertices, faces)
    return Mesh(vertices, faces, *_used(np.asarray(mesh.uv), mesh.faces_uv[kept]))


def _used(
    rows: Float[np.ndarray, "n d"], faces: Int[np.ndarray, "f 3"]
) -> tuple[Float[np.ndarray, "m d"], Int[np.ndarray, "f 3"]]:
    """The rows that a face names, in their order, and the faces by their new numbers."""
    used = np.zeros(len(rows), bool)
    used[faces] = True
    return rows[used], (np.cumsum(used) - 1)[faces]


def _on_face(points: Float[np.ndarray, "n 3"], face: Mesh, count: int) -> Int[np.ndarray, " k"]:
    """Numbers of at most ``count`` points whose closest place is on the face, not on its border."""
    near = np.flatnonzero(np.linalg.norm(points, axis=1) < FACE_RADIUS)
    near = near[:: max(1, len(near) // count)]
    if len(near) == 0:
        raise GeometryError(
            "nothing of the scan lies where the face is: another person's transform, or another "
            "unit. Check the alignment, or leave it out to have it computed."
        )
    _, _, at = distance_to_mesh(points[near], face)
    chosen = near[~_touches_border(face)[at]]
    if len(chosen) < 100:
        raise GeometryError(
            f"{len(chosen)} points of the scan lie on the face; expected at least 100. It is no "
            "scan of a face, or its alignment is another scan's."
        )
    return chosen


def _touches_border(face: Mesh) -> np.ndarray:
    """By triangle: whether one of its vertices lies on the border."""
    edges = np.sort(face.faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
    edges, count = np.unique(edges, axis=0, return_counts=True)
    border = np.zeros(len(face.vertices), bool)
    border[edges[count == 1]] = True
    return border[face.faces].any(axis=1)
