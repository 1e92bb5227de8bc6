"""Normals and areas of triangle meshes."""

import numpy as np
from jaxtyping import Float, Int

from facemill.mesh.surface import Mesh

CREASE_DEGREES = 45.0
"""Faces that meet at a larger angle are a crease: their normals are not mixed."""


def face_normals_and_areas(
    mesh: Mesh,
) -> tuple[Float[np.ndarray, "f 3"], Float[np.ndarray, " f"]]:
    """Unit normals by the right-hand rule and areas; a face without area has normal 0."""
    corners = np.asarray(mesh.vertices, np.float64)[mesh.faces]
    cross = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    length = np.linalg.norm(cross, axis=1)
    return cross / np.maximum(length, 1e-300)[:, None], 0.5 * length


def corner_angles(mesh: Mesh) -> Float[np.ndarray, "f 3"]:
    """Interior angle of each face at each of its corners, radians."""
    corners = np.asarray(mesh.vertices, np.float64)[mesh.faces]
    after = np.roll(corners, -1, axis=1) - corners
    before = np.roll(corners, 1, axis=1) - corners
    cross = np.linalg.norm(np.cross(after, before), axis=2)
    return np.arctan2(cross, (after * before).sum(axis=2))


def corner_normals(
    mesh: Mesh, crease_degrees: float = CREASE_DEGREES
) -> Float[np.ndarray, "f 3 3"]:
    """Unit normals at the corners of faces: smooth on smooth surface, split at creases.

    The normal of face f at its corner v is the mean of the normals of the faces round v, weighted
    by their angle there, over those that meet f at no more than ``crease_degrees``. With 180
    degrees it is the usual angle-weighted vertex normal, the same for all faces round v.
    """
    normals, _ = face_normals_and_areas(mesh)
    weighted = normals[:, None] * corner_angles(mesh)[..., None]
    mine, other = _corner_pairs(mesh.faces, len(mesh.vertices))
    face_of_mine, face_of_other = mine // 3, other // 3
    cosine = (normals[face_of_mine] * normals[face_of_other]).sum(axis=1)
    together = cosine >= np.cos(np.radians(crease_degrees)) - 1e-12
    # A face without area has no normal of its own and takes everybody's.
    together |= ~normals[face_of_mine].any(axis=1)
    mine, other = mine[together], other[together]
    flat = weighted.reshape(-1, 3)
    total = np.stack(
        [np.bincount(mine, flat[other, axis], minlength=len(flat)) for axis in range(3)], axis=1
    )
    length = np.linalg.norm(total, axis=1, keepdims=True)
    fallback = np.repeat(normals, 3, axis=0)
    unit = np.where(length > 1e-12, total / np.maximum(length, 1e-300), fallback)
    return unit.reshape(-1, 3, 3)


def _corner_pairs(
    faces: Int[np.ndarray, "f 3"], n_vertices: int
) -> tuple[Int[np.ndarray, " p"], Int[np.ndarray, " p"]]:
    """All ordered pairs of corners (3 * face + place) that lie at the same vertex."""
    vertex = faces.reshape(-1)
    order = np.argsort(vertex, kind="stable")
    degree = np.bincount(vertex, minlength=n_vertices)
    first = np.cumsum(degree) - degree
    partners = degree[vertex]
    mine = np.repeat(np.arange(len(vertex)), partners)
    within = np.arange(len(mine)) - np.repeat(np.cumsum(partners) - partners, partners)
    return mine, order[first[vertex[mine]] + within]


def interpolated(
    corner_values: Float[np.ndarray, "f 3 3"],
    faces: Int[np.ndarray, " n"],
    weights: Float[np.ndarray, "n 3"],
) -> Float[np.ndarray, "n 3"]:
    """Unit vectors between the three corner vectors of each named face, by barycentric weights."""
    picked = (corner_values[faces] * weights[..., None]).sum(axis=1)
    return picked / np.maximum(np.linalg.norm(picked, axis=1, keepdims=True), 1e-300)


def barycentric(
    points: Float[np.ndarray, "n 3"], mesh: Mesh, faces: Int[np.ndarray, " n"]
) -> Float[np.ndarray, "n 3"]:
    """Barycentric weights of points that lie on the named faces; clipped to the face."""
    a, b, c = (np.asarray(mesh.vertices, np.float64)[mesh.faces[faces, i]] for i in range(3))
    first, second, to = b - a, c - a, points - a
    d11, d12, d22 = (
        (x * y).sum(axis=1) for x, y in ((first, first), (first, second), (second, second))
    )
    t1, t2 = (to * first).sum(axis=1), (to * second).sum(axis=1)
    area = np.maximum(d11 * d22 - d12 * d12, 1e-300)
    weights = np.stack([(d22 * t1 - d12 * t2) / area, (d11 * t2 - d12 * t1) / area], axis=1)
    weights = np.clip(np.column_stack([1.0 - weights.sum(axis=1), weights]), 0.0, 1.0)
    total = weights.sum(axis=1, keepdims=True)
    return np.where(total > 0, weights / np.maximum(total, 1e-300), 1.0 / 3.0)
