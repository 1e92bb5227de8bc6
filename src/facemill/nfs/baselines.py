"""What NFS is measured against: nothing moved, deformation transfer, the truth itself."""

from collections.abc import Iterable

import numpy as np
from jaxtyping import Float
from scipy.spatial import cKDTree

from facemill.mesh.operators import Operators
from facemill.mesh.poisson import PoissonSolver, jacobians
from facemill.mesh.surface import Mesh
from facemill.nfs.people import Labelled


def copy_neutral(target: Mesh, count: int) -> Float[np.ndarray, "b v 3"]:
    """The target's neutral in place of every frame."""
    return np.broadcast_to(target.vertices, (count, *target.vertices.shape)).copy()


def blendshape_oracle(
    target: Mesh, units: Float[np.ndarray, "e v 3"], weights: Float[np.ndarray, "b e"]
) -> Float[np.ndarray, "b v 3"]:
    """The target moved by its face model's units at the true weights.

    On people drawn from a linear model the error is zero by construction: it is the floor, told
    everything, and no method.
    """
    return target.vertices + np.tensordot(weights, units, axes=1)


def known_transfer(
    rest: Mesh, frames: Float[np.ndarray, "b v 3"], target: Mesh
) -> Float[np.ndarray, "b v 3"]:
    """Deformation transfer (Sumner and Popovic 2004) with the true correspondence.

    ``rest`` is the source's neutral on the target's triangles: vertex i of both is the same place
    of a face. Every triangle of the target takes the Jacobian of the source's own triangle, and
    the Poisson solve makes a mesh of them (their least squares without the fourth vertices, which
    constrain nothing). Jacobians say nothing of translation: the target's mean moves as the
    source's does. Raises ValueError for other triangles.
    """
    if not np.array_equal(rest.faces, target.faces):
        raise ValueError("source and target must have the same triangles")
    return _transferred(
        target, ((jacobians(rest, frame), frame - rest.vertices) for frame in frames)
    )


def drawn_known_transfer(
    labelled: Labelled, person: str, weights: Float[np.ndarray, "b e"], target: Operators
) -> Float[np.ndarray, "b v 3"]:
    """Expressions of a labelled person on another one by :func:`known_transfer`.

    The source is seen on the target's vertices and triangles, which are the face model's own.
    """
    neutral = np.zeros((1, weights.shape[1]))
    rest = labelled.frames(person, neutral, target.source)[0]
    frames = labelled.frames(person, weights, target.source)
    return known_transfer(Mesh(rest, target.mesh.faces), frames, target.mesh)


def nearest_point_transfer(
    source: Mesh, frames: Float[np.ndarray, "b n 3"], target: Mesh
) -> Float[np.ndarray, "b v 3"]:
    """Deformation transfer with the nearest points as correspondence, for any two topologies.

    Both neutrals lie in the canonical frame. Every triangle of the target takes the Jacobian of
    the source triangle whose middle is nearest to its own; its mean moves as the source does at
    the nearest points.
    """
    of_source, of_target = (mesh.vertices[mesh.faces].mean(axis=1) for mesh in (source, target))
    triangle = cKDTree(of_source).query(of_target)[1]
    vertex = cKDTree(source.vertices).query(target.vertices)[1]
    return _transferred(
        target,
        (
            (jacobians(source, frame)[triangle], (frame - source.vertices)[vertex])
            for frame in frames
        ),
    )


def _transferred(
    target: Mesh,
    motions: Iterable[tuple[Float[np.ndarray, "f 3 3"], Float[np.ndarray, "v 3"]]],
) -> Float[np.ndarray, "b v 3"]:
    """The target with given Jacobians, its mean moved as the mean of given displacements."""
    solver = PoissonSolver(target)
    return np.stack([solver.vertices(wanted) + moved.mean(axis=0) for wanted, moved in motions])
