"""Rigid alignment of a reconstruction before the metrics that papers report after ICP."""

import numpy as np
from jaxtyping import Float
from scipy.spatial import cKDTree

from facemill.mesh.alignment import umeyama
from facemill.mesh.frames import Similarity


def rigid_icp(
    source: Float[np.ndarray, "n 3"],
    target: Float[np.ndarray, "m 3"],
    *,
    iterations: int = 20,
    tolerance: float = 0.01,
) -> Similarity:
    """Move ``source`` onto ``target`` by plain iterated closest points, without scale.

    Stops after ``iterations`` or when the mean distance falls by less than ``tolerance`` mm.
    """
    tree = cKDTree(target)
    motion, before = Similarity(), np.inf
    for _ in range(iterations):
        distance, nearest = tree.query(motion.apply(source))
        if before - distance.mean() < tolerance:
            break
        before = distance.mean()
        motion = umeyama(source, target[nearest], with_scale=False)
    return motion
