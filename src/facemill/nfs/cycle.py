"""Cyclic cloning: expressions of one mesh to another and back, where the truth is known."""

from collections.abc import Callable, Iterator

import numpy as np
from jaxtyping import Float

from facemill.nfs.baselines import copy_neutral, nearest_point_transfer
from facemill.nfs.measures import Case, displacement_energy, vertex_metrics

Cloning = Callable[[Case, np.ndarray, Case], np.ndarray]
"""Takes a source, frames of it (b, n, 3) and a target, all canonical; gives the target's frames
(b, v, 3). Of the target it sees the neutral alone."""


def still(source: Case, frames: Float[np.ndarray, "b n 3"], target: Case) -> np.ndarray:
    """The baseline that moves nothing."""
    return copy_neutral(target.operators.mesh, len(frames))


def by_nearest_points(source: Case, frames: Float[np.ndarray, "b n 3"], target: Case) -> np.ndarray:
    """Deformation transfer by nearest points."""
    return nearest_point_transfer(source.operators.mesh, frames, target.operators.mesh)


def cycle_metrics(clone: Cloning, source: Case, between: Case) -> Iterator[tuple[str, str, float]]:
    """Metric, unit and value of a source's frames cloned to another mesh and back to their own.

    The errors are those of :func:`facemill.nfs.measures.vertex_metrics`. They ask for a stable
    round trip and not for the right expression between: whoever moves nothing has the neutral's
    error and no more. So ``intermediate_energy`` is beside them: displacement energy of the mesh
    between as a share of the source's; 0 for a copied neutral.
    """
    there = clone(source, source.frames, between)
    yield from vertex_metrics(clone(between, there, source), source)
    given = displacement_energy(source.frames, source)
    if given > 0:
        yield "intermediate_energy", "%", 100.0 * displacement_energy(there, between) / given
