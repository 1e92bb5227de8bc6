"""Exact distances to meshes, and the two signs: in front of a sheet, outside a closed head."""

import igl
import numpy as np
from jaxtyping import Float, Int

from facemill.mesh.normals import barycentric, corner_normals, interpolated
from facemill.mesh.sheet import height
from facemill.mesh.surface import Mesh

NEAR_SURFACE = 3.0 * np.sqrt(3.0) * 0.25
"""Within this distance the gradient is the surface normal, mm (ImFace: 0.01299 units of 100 mm)."""


def distance_to_mesh(
    points: Float[np.ndarray, "n 3"], mesh: Mesh
) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, "n 3"], Int[np.ndarray, " n"]]:
    """Distance to the nearest point of the triangles, that point, and its face. Exact, float64."""
    squared, faces, closest = igl.point_mesh_squared_distance(
        np.ascontiguousarray(points, np.float64),
        np.ascontiguousarray(mesh.vertices, np.float64),
        np.ascontiguousarray(mesh.faces, np.int64),
    )
    return np.sqrt(squared), closest, faces.astype(np.int64)  # igl gives "long long"


def signed_distance_sheet(
    points: Float[np.ndarray, "n 3"], sheet: Mesh
) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, "n 3"]]:
    """Signed distance to a height-field sheet, mm, positive in front, and its unit gradient.

    The sign (ImFace 1.6, "behind" and "in front" instead of inside and outside):

    - over the hull: that of z - h(x, y). For the exact nearest point p of q this is also the sign
      of (q - p)_z: the sheet stays outside the ball about q through p, and on the way from q's
      (x, y) to p's it cannot pass from above that ball to below it.
    - beside the hull, where there is no h: that of (q - p)_z, and within ``NEAR_SURFACE`` that of
      (q - p) . n, n being the normal at p. The field may jump there, as in the original.

    The gradient is (q - p)/|q - p| towards the front, and within ``NEAR_SURFACE`` the normal n at
    p, interpolated as for surface samples; its z component is never negative.
    """
    points = np.asarray(points, np.float64)
    distance, closest, faces = distance_to_mesh(points, sheet)
    away = points - closest
    near = distance < NEAR_SURFACE
    normal = interpolated(
        corner_normals(sheet), faces[near], barycentric(closest[near], sheet, faces[near])
    )
    gradient = np.empty_like(points)
    gradient[near] = normal
    gradient[~near] = away[~near] / distance[~near, None]

    front = away[:, 2] >= 0
    front[near] = (away[near] * normal).sum(axis=1) >= 0
    above = points[:, 2] - height(sheet, points[:, :2])
    front = np.where(np.isnan(above), front, above >= 0)

    gradient[gradient[:, 2] < 0] *= -1.0
    return np.where(front, distance, -distance), gradient


def signed_distance_closed(
    points: Float[np.ndarray, "n 3"], closed: Mesh
) -> Float[np.ndarray, " n"]:
    """Signed distance to the surface of a closed head, mm, negative inside.

    Inside is where the winding number exceeds one half, so overlapping closed parts (an eyeball in
    its socket, crossing lips) count as one body. Only the sign comes from libigl's fast winding
    number, which is approximate in size; the distance is exact, to all faces, also to those that
    lie inside another part.
    """
    distance, _, _ = distance_to_mesh(points, closed)
    return np.where(inside_closed(points, closed), -distance, distance)


def inside_closed(points: Float[np.ndarray, "n 3"], closed: Mesh) -> np.ndarray:
    """True where the winding number of the closed mesh exceeds one half."""
    return winding_number(points, closed) > 0.5


def winding_number(points: Float[np.ndarray, "n 3"], mesh: Mesh) -> Float[np.ndarray, " n"]:
    """How often the mesh, open or closed, goes round each point; approximate."""
    return igl.fast_winding_number(
        np.ascontiguousarray(mesh.vertices, np.float64),
        np.ascontiguousarray(mesh.faces, np.int64),
        np.ascontiguousarray(points, np.float64),
    )
