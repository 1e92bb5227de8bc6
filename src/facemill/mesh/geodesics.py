"""Distances along a surface, by shortest paths over its edges and across pairs of triangles."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import dijkstra

from facemill.mesh.laplacian import undirected_edges
from facemill.mesh.surface import Mesh


def path_graph(mesh: Mesh) -> csr_array:
    """Lengths (v, v) of edges, and of the other diagonal of each pair of neighbouring triangles.

    The extra diagonals halve what paths over edges are too long by, a tenth on a regular mesh.
    """
    vertices = np.asarray(mesh.vertices, np.float64)
    edges = np.concatenate([undirected_edges(mesh.faces), _across(mesh.faces)])
    length = np.linalg.norm(vertices[edges[:, 0]] - vertices[edges[:, 1]], axis=1)
    n = len(vertices)
    return coo_array((np.maximum(length, 1e-12), (edges[:, 0], edges[:, 1])), shape=(n, n)).tocsr()


def _across(faces: Int[np.ndarray, "f 3"]) -> Int[np.ndarray, "e 2"]:
    """Pairs of corners that lie opposite one another over a common edge, smaller number first."""
    edges = np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), axis=1)
    tip = np.concatenate([faces[:, 2], faces[:, 0], faces[:, 1]])
    order = np.lexsort((edges[:, 1], edges[:, 0]))
    edges, tip = edges[order], tip[order]
    same = np.flatnonzero((edges[1:] == edges[:-1]).all(axis=1))
    pairs = np.unique(np.sort(np.stack([tip[same], tip[same + 1]], axis=1), axis=1), axis=0)
    known = {tuple(edge) for edge in edges.tolist()}
    return np.array([p for p in pairs.tolist() if tuple(p) not in known], np.int64).reshape(-1, 2)


def distances_from(mesh: Mesh, seeds: Sequence[Int[np.ndarray, " _"]]) -> Float[np.ndarray, "s v"]:
    """Distance of every vertex from the nearest seed of each set, in the mesh's unit."""
    graph = path_graph(mesh)
    return np.stack(
        [dijkstra(graph, directed=False, indices=np.unique(s), min_only=True) for s in seeds]
    )
