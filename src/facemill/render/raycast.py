"""Ray casting: which triangle and which point of it a camera sees in every pixel.

The hit (face number and barycentric coordinates) gives every map by interpolation: depth, normals,
texture, colours. Embree searches in single precision; the point is then computed again on the
triangle it found, in double precision.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float, Float32, Int

from facemill.errors import GeometryError
from facemill.mesh.normals import corner_angles, face_normals_and_areas
from facemill.mesh.surface import Mesh
from facemill.render.cameras import Camera


@dataclass(frozen=True, eq=False)
class Hits:
    """What rays met: ``rays`` numbers those that hit, the other arrays have one row for each.

    ``barycentric`` weighs the face's corners, ``distance`` is the ray parameter (camera z for rays
    of a :class:`Camera`).
    """

    n_rays: int
    rays: Int[np.ndarray, " h"]
    face: Int[np.ndarray, " h"]
    barycentric: Float[np.ndarray, "h 3"]
    distance: Float[np.ndarray, " h"]

    def interpolate(
        self, values: Float[np.ndarray, "v c"], faces: Int[np.ndarray, "f 3"]
    ) -> Float[np.ndarray, "h c"]:
        """Values at the hits from values at the vertices that ``faces`` names.

        ``faces`` may be the mesh's own triangles or its ``faces_uv``.
        """
        corners = values[faces[self.face]]
        return np.einsum("hk,hkc->hc", self.barycentric.astype(values.dtype), corners)

    def scatter(self, values: np.ndarray, background: float = 0) -> np.ndarray:
        """An array over all rays with ``values`` where one hit and ``background`` elsewhere."""
        full = np.full((self.n_rays, *values.shape[1:]), background, values.dtype)
        full[self.rays] = values
        return full

    @cached_property
    def mask(self) -> Bool[np.ndarray, " n"]:
        """Which rays hit."""
        mask = np.zeros(self.n_rays, bool)
        mask[self.rays] = True
        return mask


class RayScene:
    """A triangle mesh (mm) with its search tree."""

    def __init__(
        self, vertices: Float[np.ndarray, "v 3"], faces: Int[np.ndarray, "f 3"], name: str = "mesh"
    ):
        from embreex.mesh_construction import TriangleMesh
        from embreex.rtcore_scene import EmbreeScene

        if len(faces) == 0 or not np.isfinite(vertices).all():
            raise GeometryError(
                f"{name}: {len(faces)} faces, coordinates "
                f"{'finite' if np.isfinite(vertices).all() else 'not all finite'}; rays need a "
                "mesh with faces and finite vertices. Leave this scan out or export it again."
            )
        self.vertices = np.ascontiguousarray(vertices, np.float64)
        self.faces = np.ascontiguousarray(faces, np.int32)
        self._scene = EmbreeScene(robust=True)
        # Embree keeps pointers into these arrays: they must live as long as the scene.
        self._buffers = (np.ascontiguousarray(vertices, np.float32), self.faces)
        TriangleMesh(self._scene, *self._buffers)

    def cast(
        self,
        origins: Float[np.ndarray, "n 3"],
        directions: Float[np.ndarray, "n 3"],
        precise: bool = True,
    ) -> Hits:
        """First hits of rays; ``distance`` counts in lengths of the given directions.

        Without ``precise`` Embree's own single-precision point serves: faster, and enough for
        colours.
        """
        found = self._scene.run(*_single(origins, directions), output=not precise)
        faces = found if precise else found["primID"]
        rays = np.flatnonzero(faces >= 0)
        face = faces[rays]
        if precise:
            barycentric, distance = self._refine(face, origins[rays], directions[rays])
        else:
            u, v = found["u"][rays], found["v"][rays]
            barycentric = np.stack([1 - u - v, u, v], axis=1)
            distance = found["tfar"][rays]
        return Hits(len(faces), rays, face, barycentric, distance)

    def blocked(
        self, origins: Float[np.ndarray, "n 3"], directions: Float[np.ndarray, "n 3"]
    ) -> Bool[np.ndarray, " n"]:
        """Whether anything lies on each ray, without saying what."""
        return self._scene.run(*_single(origins, directions)) >= 0

    def see(
        self,
        camera: Camera,
        directions: Float32[np.ndarray, "n 3"] | None = None,
        precise: bool = True,
    ) -> Hits:
        """First hits through all pixel centres, or through ``directions`` (camera z = 1)."""
        directions = camera.rays if directions is None else directions
        return self.cast(np.broadcast_to(camera.centre, directions.shape), directions, precise)

    def _refine(
        self,
        face: Int[np.ndarray, " h"],
        origins: Float[np.ndarray, "h 3"],
        directions: Float[np.ndarray, "h 3"],
    ) -> tuple[Float[np.ndarray, "h 3"], Float[np.ndarray, " h"]]:
        """Barycentrics and ray parameter on known triangles (Möller, Trumbore 1997), in double."""
        corners = self.vertices[self.faces[face]]
        first = corners[:, 0]
        edge_1, edge_2 = corners[:, 1] - first, corners[:, 2] - first
        directions = directions.astype(np.float64)
        normal = _cross(edge_1, edge_2)
        offset = first - origins
        # A sliver seen edge-on has no well-defined point: its first corner serves.
        facing = _dot(normal, directions)
        safe = np.where(facing == 0, 1.0, facing)
        across = _cross(directions, offset)
        u = np.where(facing == 0, 0.0, -_dot(across, edge_2) / safe)
        v = np.where(facing == 0, 0.0, _dot(across, edge_1) / safe)
        u, v = _into_triangle(u, v)
        distance = _dot(offset + u[:, None] * edge_1 + v[:, None] * edge_2, directions) / _dot(
            directions, directions
        )
        return np.stack([1.0 - u - v, u, v], axis=1), distance


def _single(*arrays: np.ndarray) -> list[np.ndarray]:
    return [np.ascontiguousarray(array, np.float32) for array in arrays]


def _into_triangle(u: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Single precision accepts hits a hair outside the triangle: put them on its border."""
    u, v = np.maximum(u, 0.0), np.maximum(v, 0.0)
    total = np.maximum(u + v, 1.0)
    return u / total, v / total


def _cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    # Four times faster than numpy.cross on many short rows.
    return np.stack(
        [
            a[:, 1] * b[:, 2] - a[:, 2] * b[:, 1],
            a[:, 2] * b[:, 0] - a[:, 0] * b[:, 2],
            a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0],
        ],
        axis=1,
    )


def _dot(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.einsum("ij,ij->i", a, b)


def vertex_normals(
    vertices: Float[np.ndarray, "v 3"], faces: Int[np.ndarray, "f 3"]
) -> Float[np.ndarray, "v 3"]:
    """Unit normals at the vertices: face normals weighted by the angle at the vertex.

    Vertices without faces get (0, 0, 1).
    """
    mesh = Mesh(vertices, faces)
    face_normals, _ = face_normals_and_areas(mesh)
    weighted = (face_normals[:, None] * corner_angles(mesh)[..., None]).reshape(-1, 3)
    total = np.stack(
        [np.bincount(faces.ravel(), weighted[:, k], len(vertices)) for k in range(3)], axis=1
    )
    length = np.linalg.norm(total, axis=1, keepdims=True)
    return np.where(length > 0, total / np.maximum(length, 1e-300), np.array([0.0, 0.0, 1.0]))
