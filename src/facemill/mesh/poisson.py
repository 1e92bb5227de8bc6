"""Deformation gradients of triangles, and the mesh that has given ones (Poisson)."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float
from scipy.sparse import coo_array, csr_array, diags_array

from facemill.mesh.normals import face_normals_and_areas
from facemill.mesh.surface import Mesh

REGULARISER = 1e-12
"""Added to the diagonal: a mesh is fixed by its Jacobians only up to translation (NFR)."""


def triangle_gradients(mesh: Mesh) -> csr_array:
    """The sparse (3 f, v) matrix that takes values at vertices to gradients of triangles.

    Rows 3 t to 3 t + 2 are the gradient's x, y, z of triangle t, in double precision: the
    gradient of a corner's hat function is n x (opposite edge) / (2 area).
    """
    corners = np.asarray(mesh.vertices, np.float64)[mesh.faces]
    normals, area = face_normals_and_areas(mesh)
    opposite = np.roll(corners, -2, axis=1) - np.roll(corners, -1, axis=1)
    hats = np.cross(normals[:, None], opposite) / np.maximum(2.0 * area, 1e-300)[:, None, None]
    rows = 3 * np.arange(len(mesh.faces))[:, None, None] + np.arange(3)
    columns = np.broadcast_to(mesh.faces[:, :, None], hats.shape)
    entries = (
        hats.ravel(),
        (np.broadcast_to(rows, hats.shape).ravel(), columns.ravel()),
    )
    return coo_array(entries, shape=(3 * len(mesh.faces), len(mesh.vertices))).tocsr()


def jacobians(mesh: Mesh, moved: Float[np.ndarray, "v 3"]) -> Float[np.ndarray, "f 3 3"]:
    """J of each triangle with J e = e' for its edges, extended along the normals.

    The unit normal of the triangle at rest goes to the moved one's, scaled by the square root of
    the ratio of areas: then a mesh scaled by s has J = s I, which a plain unit normal misses
    (Sumner and Popovic 2004).
    """
    along = (triangle_gradients(mesh) @ moved).reshape(-1, 3, 3).transpose(0, 2, 1)
    normals, area = face_normals_and_areas(mesh)
    moved_normals, moved_area = face_normals_and_areas(Mesh(moved, mesh.faces))
    growth = np.sqrt(moved_area / np.maximum(area, 1e-300))
    return along + np.einsum("f,fi,fj->fij", growth, moved_normals, normals)


class PoissonSolver:
    """Vertices whose triangles have given Jacobians, in the least squares weighted by area.

    (A^T W A + 1e-12 I) x = A^T W J, with A from :func:`triangle_gradients`; factorised once.
    Everything is in double precision: in single eleven digits are lost.
    """

    def __init__(self, mesh: Mesh) -> None:
        from scipy.sparse.linalg import splu

        gradients = triangle_gradients(mesh)
        _, area = face_normals_and_areas(mesh)
        self.mesh = mesh
        self.right = (gradients.T @ diags_array(np.repeat(area, 3))).tocsr()
        n = len(mesh.vertices)
        self.matrix = (self.right @ gradients + REGULARISER * diags_array(np.ones(n))).tocsc()
        self.solve: Callable[[np.ndarray], np.ndarray] = splu(
            self.matrix, permc_spec="MMD_AT_PLUS_A", options={"SymmetricMode": True}
        ).solve

    def vertices(self, wanted: Float[np.ndarray, "f 3 3"]) -> Float[np.ndarray, "v 3"]:
        """The mesh with these Jacobians, its mean where the mean of the mesh at rest is."""
        rows = wanted.astype(np.float64).transpose(0, 2, 1).reshape(-1, 3)
        found = self.solve(self.right @ rows)
        return found - found.mean(axis=0) + self.mesh.vertices.mean(axis=0)
