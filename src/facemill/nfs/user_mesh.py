"""A mesh file with its operators, and the way back from the network's vertices to the file's."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from facemill.errors import DataError
from facemill.mesh.io import read_mesh
from facemill.mesh.operators import Operators, read_operators
from facemill.mesh.surface import Mesh

AGAIN = "Delete them to have them made again, or name the mesh they were made of."

SAME_PLACE = 1e-4
"""Canonical units (0.01 mm): operators hold their vertices in single precision."""


@dataclass(frozen=True)
class UserMesh:
    """A neutral mesh as its file has it, in the file's own frame, and its operators.

    ``back[j]`` is the vertex of the operators that vertex j of the file went into, or -1 for one
    that cleaning left out (waste, eyeballs, what is not skin).
    """

    name: str
    mesh: Mesh
    operators: Operators
    back: Int[np.ndarray, " n"]

    def restored(self, vertices: Float[np.ndarray, "b v 3"]) -> Float[np.ndarray, "b n 3"]:
        """Canonical vertices of the cleaned mesh as vertices of the file, in its frame and unit.

        Every vertex takes the motion of the one it was welded into; what was left out stays where
        it is. Where nothing moved the file's numbers come back untouched.
        """
        operators = self.operators
        moved = np.asarray(vertices, np.float64) - operators.vertices.astype(np.float64)
        own = moved @ operators.placed.rotation / operators.placed.scale
        kept = self.back >= 0
        found = np.repeat(self.mesh.vertices[None].astype(np.float64), len(own), axis=0)
        found[:, kept] += own[:, self.back[kept]]
        return found


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
    return UserMesh(Path(path).stem, mesh, held, back_map(mesh.vertices, held.source))


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
