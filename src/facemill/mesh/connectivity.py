"""Edges, borders and pieces of a triangle mesh, by its vertex numbers alone."""

import numpy as np
from jaxtyping import Int
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components


def directed_edges(faces: Int[np.ndarray, "f 3"]) -> Int[np.ndarray, "e 2"]:
    """The three edges of every face along it, a third of the list for each side."""
    return np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])


def boundary_edges(faces: Int[np.ndarray, "f 3"]) -> Int[np.ndarray, "e 2"]:
    """Directed edges, along their faces, that no neighbour runs through the other way."""
    edges = directed_edges(faces).astype(np.int64)
    size = edges.max(initial=0) + 1
    there = edges[:, 0] * size + edges[:, 1]
    back = edges[:, 1] * size + edges[:, 0]
    return edges[~np.isin(there, back)]


def parts(faces: Int[np.ndarray, "f 3"], n_vertices: int) -> Int[np.ndarray, " f"]:
    """Number of the connected part (by shared vertices) that each face belongs to."""
    edges = directed_edges(faces)
    graph = coo_array((np.ones(len(edges), bool), (edges[:, 0], edges[:, 1])), (n_vertices,) * 2)
    _, label = connected_components(graph, directed=False)
    return np.unique(label[faces[:, 0]], return_inverse=True)[1]
