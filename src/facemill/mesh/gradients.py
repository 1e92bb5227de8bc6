"""Gradients of functions on a mesh's vertices, in a tangent frame at each (DiffusionNet)."""

import numpy as np
from jaxtyping import Float
from scipy.sparse import coo_array, csr_array

from facemill.mesh.laplacian import undirected_edges
from facemill.mesh.normals import face_normals_and_areas
from facemill.mesh.surface import Mesh

RIDGE = 1e-5
"""Added to the normal equations' diagonal, in squared units of the mesh (DiffusionNet)."""


def plain_vertex_normals(mesh: Mesh) -> Float[np.ndarray, "v 3"]:
    """Unit normals at vertices: the unweighted mean of the unit normals of the faces around (NFS).

    (0, 0, 1) where they cancel.
    """
    normals, _ = face_normals_and_areas(mesh)
    flat = mesh.faces.ravel()
    total = np.stack(
        [
            np.bincount(flat, np.repeat(normals[:, axis], 3), len(mesh.vertices))
            for axis in range(3)
        ],
        axis=1,
    )
    length = np.linalg.norm(total, axis=1, keepdims=True)
    return np.where(length > 1e-12, total / np.maximum(length, 1e-300), np.array([0.0, 0.0, 1.0]))


def tangent_frames(
    normals: Float[np.ndarray, "v 3"],
) -> tuple[Float[np.ndarray, "v 3"], Float[np.ndarray, "v 3"]]:
    """Two unit vectors a vertex that make a right-handed frame with its normal.

    The first is the coordinate axis least along the normal, made orthogonal to it; which of all
    the possible ones does not matter to DiffusionNet, whose features do not change with it.
    """
    axis = np.eye(3)[np.abs(normals).argmin(axis=1)]
    first = axis - (axis * normals).sum(axis=1, keepdims=True) * normals
    first /= np.linalg.norm(first, axis=1, keepdims=True)
    return first, np.cross(normals, first)


def gradient_operators(mesh: Mesh) -> tuple[csr_array, csr_array]:
    """Sparse matrices (v, v) that take a function to its gradient along the two tangent axes.

    At every vertex the plane that fits the differences to its neighbours in the least squares:
    g_i = (T^T T + 1e-5 I)^-1 T^T (f_j - f_i), with the edges' tangent projections as T's rows. The
    2 x 2 system has a closed form, so all vertices are done at once.
    """
    n = len(mesh.vertices)
    first, second = tangent_frames(plain_vertex_normals(mesh))
    edges = undirected_edges(mesh.faces)
    i = np.concatenate([edges[:, 0], edges[:, 1]])
    j = np.concatenate([edges[:, 1], edges[:, 0]])
    vertices = np.asarray(mesh.vertices, np.float64)
    step = vertices[j] - vertices[i]
    tx, ty = (step * first[i]).sum(axis=1), (step * second[i]).sum(axis=1)
    xx, xy, yy = (np.bincount(i, w, n) for w in (tx * tx, tx * ty, ty * ty))
    xx, yy = xx + RIDGE, yy + RIDGE
    determinant = xx * yy - xy * xy
    along_x = (yy[i] * tx - xy[i] * ty) / determinant[i]
    along_y = (xx[i] * ty - xy[i] * tx) / determinant[i]
    return _differences(i, j, along_x, n), _differences(i, j, along_y, n)


def _differences(i: np.ndarray, j: np.ndarray, weights: np.ndarray, n: int) -> csr_array:
    """The operator f -> sum_j w_ij (f_j - f_i)."""
    diagonal = -np.bincount(i, weights, n)
    rows, columns = np.concatenate([i, np.arange(n)]), np.concatenate([j, np.arange(n)])
    return coo_array((np.concatenate([weights, diagonal]), (rows, columns)), shape=(n, n)).tocsr()
