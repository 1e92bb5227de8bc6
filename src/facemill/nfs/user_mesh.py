"""A mesh file with its operators, and the way back from the network's vertices to the file's."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int
from scipy.sparse import coo_array, diags_array
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import splu

from facemill.errors import DataError
from facemill.mesh.io import read_mesh
from facemill.mesh.operators import Operators, read_operators
from facemill.mesh.surface import Mesh

AGAIN = "Delete them to have them made again, or name the mesh they were made of."

REACH = 0.3
"""Canonical units (30 mm) over which what was left out follows what moved."""

SAME_PLACE = 1e-4
"""Canonical units (0.01 mm): operators hold their vertices in single precision."""


@dataclass(frozen=True)
class UserMesh:
    """A neutral mesh as its file has it, in the file's own frame, and its operators.

    ``back[j]`` is the vertex of the operators that vertex j of the file went into, or -1 for one
    that was left out (waste, eyeballs, what is not seen from the front).
    """

    name: str
    mesh: Mesh
    operators: Operators
    back: Int[np.ndarray, " n"]
    followers: "Followers"

    def restored(self, vertices: Float[np.ndarray, "b v 3"]) -> Float[np.ndarray, "b n 3"]:
        """Canonical vertices of the cleaned mesh as vertices of the file, in its frame and unit.

        Every vertex takes the motion of the one it was welded into. Of those that were left out,
        the ones that hang together with moved ones follow smoothly; loose pieces stay where they
        are. Where nothing moved the file's numbers come back untouched.
        """
        operators = self.operators
        moved = np.asarray(vertices, np.float64) - operators.vertices.astype(np.float64)
        own = moved @ operators.placed.rotation / operators.placed.scale
        kept = self.back >= 0
        offsets = np.zeros((len(own), len(self.back), 3))
        offsets[:, kept] = own[:, self.back[kept]]
        self.followers.follow(offsets)
        return self.mesh.vertices.astype(np.float64) + offsets


class Followers:
    """Vertices that were left out but hang together with moved ones, and how they follow.

    Their offsets d are the smallest in sum_edges |d_i - d_j|^2 / length^2 + sum |d_i|^2 / reach^2:
    the motion goes on across the border and dies away over about ``reach``.
    """

    def __init__(self, mesh: Mesh, back: Int[np.ndarray, " n"], reach: float) -> None:
        n = len(mesh.vertices)
        first = first_of_each(mesh.vertices, back)
        faces = first[mesh.faces]
        edges = np.sort(faces[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), axis=1)
        edges = np.unique(edges[edges[:, 0] != edges[:, 1]], axis=0)
        length = np.linalg.norm(mesh.vertices[edges[:, 0]] - mesh.vertices[edges[:, 1]], axis=1)
        # An edge of no length would hold its ends together more than numbers can say.
        weights = 1.0 / np.maximum(length, 1e-3 * reach) ** 2
        graph = coo_array((weights, (edges[:, 0], edges[:, 1])), shape=(n, n)).tocsr()
        graph = (graph + graph.T).tocsr()
        _, part = connected_components(graph, directed=False)
        moves = np.isin(part, np.unique(part[back >= 0]))
        alone = first == np.arange(n)
        self.free = np.flatnonzero((back < 0) & moves & alone)
        self._first, self._left = first, np.flatnonzero(back < 0)
        self.fixed = np.flatnonzero(back >= 0)
        rows = graph[self.free]
        own = diags_array(rows.sum(axis=1) + 1.0 / reach**2)
        self._across = rows[:, self.fixed]
        self._solve = splu((own - rows[:, self.free]).tocsc()).solve if len(self.free) else None

    def follow(self, offsets: Float[np.ndarray, "b n 3"]) -> None:
        """Fill in the offsets of the followers, in place."""
        if self._solve is None:
            return
        for frame in offsets:
            frame[self.free] = self._solve(self._across @ frame[self.fixed])
            frame[self._left] = frame[self._first[self._left]]


def first_of_each(
    vertices: Float[np.ndarray, "n 3"], back: Int[np.ndarray, " n"]
) -> Int[np.ndarray, " n"]:
    """For each vertex the first one that went into the same, or of those left out at its place."""
    left = back < 0
    place = np.concatenate([vertices + 0.0, back[:, None]], axis=1)
    place[~left, :3] = 0.0  # kept ones go by what they went into
    _, at, group = np.unique(place, axis=0, return_index=True, return_inverse=True)
    return at[group.reshape(-1)]


def read_user_mesh(path: str | Path, operators: str | Path) -> UserMesh:
    """A mesh file and the operators that were made of it.

    Raises DataError where the operators were made of another mesh or of an older state of it.
    """
    return user_mesh(read_mesh(path), read_operators(operators), path, operators)


def user_mesh(mesh: Mesh, held: Operators, path: str | Path, operators: str | Path) -> UserMesh:
    """The same of a mesh and operators in memory; ``path`` and ``operators`` name them."""
    if len(mesh.vertices) != held.n_source:
        raise DataError(
            f"{operators}: operators of a mesh of {held.n_source} vertices, but {path} has "
            f"{len(mesh.vertices)}. {AGAIN}"
        )
    placed = held.placed.apply(mesh.vertices[held.source])
    if np.abs(placed - held.vertices).max() > SAME_PLACE:
        raise DataError(f"{operators}: operators of another mesh than {path}. {AGAIN}")
    back = back_map(mesh.vertices, held.source)
    reach = REACH / held.placed.scale
    return UserMesh(Path(path).stem, mesh, held, back, Followers(mesh, back, reach))


def back_map(
    vertices: Float[np.ndarray, "n 3"], source: Int[np.ndarray, " v"]
) -> Int[np.ndarray, " n"]:
    """For each vertex of a file the kept vertex at bitwise the same place, or -1; first itself."""
    # Adding 0 turns -0 into 0, which is the same place.
    _, place = np.unique(vertices + 0.0, axis=0, return_inverse=True)
    place = place.reshape(-1)
    kept = np.full(place.max() + 1, -1)
    kept[place[source][::-1]] = np.arange(len(source))[::-1]
    back = kept[place]
    back[source] = np.arange(len(source))
    return back
