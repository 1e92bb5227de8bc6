"""What NFS is measured against: nothing moved, and deformation transfer by nearest points."""

import numpy as np
from jaxtyping import Float
from scipy.spatial import cKDTree

from facemill.mesh.poisson import PoissonSolver, jacobians
from facemill.mesh.surface import Mesh


def copy_neutral(target: Mesh, count: int) -> Float[np.ndarray, "b v 3"]:
    """The target's neutral in place of every frame."""
    return np.broadcast_to(target.vertices, (count, *target.vertices.shape)).copy()


def nearest_point_transfer(
    source: Mesh, frames: Float[np.ndarray, "b n 3"], target: Mesh
) -> Float[np.ndarray, "b v 3"]:
    """Deformation transfer (Sumner and Popovic 2004) with the nearest points as correspondence.

    Both neutrals lie in the canonical frame. Every triangle of the target takes the Jacobian of
    the source triangle whose middle is nearest to its own, and the Poisson solve makes a mesh of
    them; its mean moves as the source does at the nearest points.
    """
    middles = (mesh.vertices[mesh.faces].mean(axis=1) for mesh in (source, target))
    of_source, of_target = middles
    triangle = cKDTree(of_source).query(of_target)[1]
    vertex = cKDTree(source.vertices).query(target.vertices)[1]
    solver = PoissonSolver(target)
    found = []
    for frame in frames:
        moved = solver.vertices(jacobians(source, frame)[triangle])
        shift = (frame - source.vertices)[vertex].mean(axis=0)
        found.append(moved + shift)
    return np.stack(found)
