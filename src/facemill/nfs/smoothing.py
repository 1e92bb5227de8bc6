"""Decoded motion made smooth along a mesh's surface.

A network that takes each vertex alone errs at each vertex alone: motion that is right by and large
comes out rough. Neighbours know better together.
"""

import numpy as np
from jaxtyping import Float
from scipy.sparse import coo_array, diags_array
from scipy.sparse.linalg import splu

from facemill.mesh.operators import Operators

LARGEST = 2.0
"""Cotangent weights are cut here: beyond are needles, where they say nothing of neighbourhood."""


class Smoother:
    """Weighs a vertex's motion m against its neighbours': of all d the one that minimises

        sum_i w_i |d_i - m_i|^2 + (reach / h)^2 sum_edges w_ij |d_i - d_j|^2

    w_ij are the neutral's cotangent weights cut to [0, 2], w_i their sums, and h is the root of the
    mean vertex area: so what differs within ``reach`` (canonical units) is evened out, on coarse
    meshes and on fine ones, and where vertices are dense it reaches less far. Nothing passes where
    the surface is cut open, as between lips and lids. Factorised once for a mesh.
    """

    def __init__(self, operators: Operators, reach: float) -> None:
        laplacian = operators.laplacian.tocoo()
        first, second = laplacian.row, laplacian.col
        weights = np.clip(-laplacian.data.astype(np.float64), 0.0, LARGEST)
        graph = coo_array((weights * (first != second), (first, second)), shape=laplacian.shape)
        total = graph.sum(axis=1)
        # A vertex without weight keeps its motion.
        self._own = np.where(total > 0, total, 1.0)
        share = reach**2 / operators.mass.astype(np.float64).mean()
        system = diags_array(self._own) + share * (diags_array(total) - graph)
        self._solve = splu(system.tocsc()).solve

    def __call__(self, motion: Float[np.ndarray, "b v 3"]) -> Float[np.ndarray, "b v 3"]:
        """Smoothed displacements of frames."""
        columns = np.moveaxis(motion, 0, 1)
        right = (self._own[:, None, None] * columns).reshape(len(self._own), -1)
        return np.moveaxis(self._solve(right).reshape(columns.shape), 1, 0)
