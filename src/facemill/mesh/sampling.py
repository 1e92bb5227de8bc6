"""Random points on surfaces and in balls."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from facemill.errors import GeometryError
from facemill.mesh.normals import corner_normals, face_normals_and_areas, interpolated
from facemill.mesh.surface import Mesh


@dataclass(frozen=True)
class SurfaceSamples:
    """Points on a mesh, mm, with unit normals and the face each lies on."""

    points: Float[np.ndarray, "n 3"]
    normals: Float[np.ndarray, "n 3"]
    faces: Int[np.ndarray, " n"]


def sample_surface(
    mesh: Mesh,
    count: int,
    rng: np.random.Generator,
    normals: Float[np.ndarray, "f 3 3"] | None = None,
) -> SurfaceSamples:
    """``count`` points, uniform by area, with normals interpolated from the faces' corners.

    The corner normals are split at creases (:func:`facemill.mesh.normals.corner_normals`, which
    ``normals`` holds where it is known): on smooth skin the normal is that of the surface the
    triangles stand for, at lips and steps of a height field it is that of the own side.
    """
    _, areas = face_normals_and_areas(mesh)
    cumulative = np.cumsum(areas)
    if len(cumulative) == 0 or not cumulative[-1] > 0:
        raise GeometryError(f"cannot sample {len(areas)} faces without area.")
    faces = np.searchsorted(cumulative, rng.random(count) * cumulative[-1], side="right")
    faces = np.minimum(faces, len(areas) - 1)
    # sqrt folds the unit square evenly onto the triangle.
    root, along = np.sqrt(rng.random(count)), rng.random(count)
    weights = np.stack([1.0 - root, root * (1.0 - along), root * along], axis=1)
    corners = np.asarray(mesh.vertices, np.float64)[mesh.faces[faces]]
    points = (corners * weights[..., None]).sum(axis=1)
    normals = corner_normals(mesh) if normals is None else normals
    return SurfaceSamples(points, interpolated(normals, faces, weights), faces)


def sample_ball(
    count: int, radius: float, rng: np.random.Generator
) -> Float[np.ndarray, "count 3"]:
    """``count`` points, uniform by volume, in the ball about the origin."""
    direction = rng.normal(size=(count, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    return direction * (radius * np.cbrt(rng.random(count)))[:, None]
