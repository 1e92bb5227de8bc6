"""Gradients of functions on a mesh's vertices, in a tangent frame at each (DiffusionNet)."""

import numpy as np
from jaxtyping import Float, Int
from scipy.sparse import coo_array, csr_array

from facemill.mesh.connectivity import directed_edges
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
    vertices = np.asarray(mesh.vertices, np.float64)
    starts, j = _rings(mesh.faces, n)
    degree = np.diff(starts)
    step = vertices[j] - np.repeat(vertices, degree, axis=0)
    tx, ty = (
        np.einsum("ij,ij->i", step, np.repeat(axis, degree, axis=0))
        for axis in tangent_frames(plain_vertex_normals(mesh))
    )
    xx, xy, yy = (np.add.reduceat(w, starts[:-1]) for w in (tx * tx, tx * ty, ty * ty))
    xx, yy = xx + RIDGE, yy + RIDGE
    inverse = np.stack([yy, -xy, xx]) / (xx * yy - xy * xy)
    (a, b, c) = np.repeat(inverse, degree, axis=1)
    centre = j == np.repeat(np.arange(n, dtype=j.dtype), degree)
    found = []
    for weights in (a * tx + b * ty, b * tx + c * ty):
        weights[centre] = -np.add.reduceat(weights, starts[:-1])
        found.append(csr_array((weights, j, starts), shape=(n, n)))
    return found[0], found[1]


def _rings(
    faces: Int[np.ndarray, "f 3"], n: int
) -> tuple[Int[np.ndarray, " n1"], Int[np.ndarray, " e"]]:
    """Each vertex with its neighbours, as row starts and columns of a sparse matrix."""
    a, b = directed_edges(faces).T
    own = np.arange(n)
    rows, columns = np.concatenate([a, b, own]), np.concatenate([b, a, own])
    graph = coo_array((np.ones(len(rows), bool), (rows, columns)), shape=(n, n)).tocsr()
    graph.sort_indices()
    return graph.indptr, graph.indices
