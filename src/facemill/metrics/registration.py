"""Rigid alignment of a reconstruction before the metrics that papers report after ICP."""

import numpy as np
from jaxtyping import Float
from scipy.spatial import cKDTree

from facemill.mesh.frames import Similarity


def rigid_fit(source: Float[np.ndarray, "n 3"], target: Float[np.ndarray, "n 3"]) -> Similarity:
    """The rotation and translation that bring paired points together in least squares (Kabsch)."""
    centre_s, centre_t = source.mean(axis=0), target.mean(axis=0)
    u, _, vt = np.linalg.svd((target - centre_t).T @ (source - centre_s))
    mirror = np.diag([1.0, 1.0, np.linalg.det(u @ vt)])  # a reflection is no motion
    rotation = u @ mirror @ vt
    return Similarity(1.0, rotation, centre_t - rotation @ centre_s)


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
        motion = rigid_fit(source, target[nearest])
    return motion
