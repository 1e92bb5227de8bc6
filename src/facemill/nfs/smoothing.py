"""Decoded motion made smooth along a mesh's surface, but not across lips and lids.

A network that takes each vertex alone errs at each vertex alone: motion that is right by and large
comes out rough. Neighbours know better together, except where the skin parts.
"""

import numpy as np
from jaxtyping import Float
from scipy.sparse import coo_array, csr_array, diags_array
from scipy.sparse.linalg import splu

from facemill.mesh.operators import Operators

SEAM = 2.0
"""An edge that some unit stretches by so many of its lengths is half a seam; skin does not."""

LARGEST = 2.0
"""Cotangent weights are cut here: beyond are needles, where they say nothing of neighbourhood."""


class Smoother:
    """Weighs a vertex's motion m against its neighbours': of all d the one that minimises

        sum_i w_i |d_i - m_i|^2 + share sum_ij s_ij w_ij |d_i - d_j|^2

    w_ij are the neutral's cotangent weights cut to [0, 2] and w_i their sums, so that smoothing
    reaches as far as the next vertices, in dense places and in wide ones. s_ij falls from 1 to 0
    where one of the ``units`` (displacements of all vertices) stretches the edge: what the network
    itself tears apart is a seam, as lips and lids are. Factorised once for a mesh.
    """

    def __init__(
        self, operators: Operators, units: Float[np.ndarray, "e v 3"], share: float
    ) -> None:
        laplacian = operators.laplacian.tocoo()
        first, second = laplacian.row, laplacian.col
        edges = first < second
        first, second = first[edges], second[edges]
        weights = np.clip(-laplacian.data[edges].astype(np.float64), 0.0, LARGEST)
        apart = operators.vertices[first].astype(np.float64) - operators.vertices[second]
        length = np.maximum(np.linalg.norm(apart, axis=1), 1e-9)
        stretch = np.zeros(len(first))
        for unit in units:
            torn = np.linalg.norm(unit[first] - unit[second], axis=1)
            stretch = np.maximum(stretch, torn / length)
        held = weights / (1.0 + (stretch / SEAM) ** 4)
        n = len(operators.vertices)

        def graph(values: Float[np.ndarray, " e"]) -> csr_array:
            ends = np.concatenate([first, second]), np.concatenate([second, first])
            return coo_array((np.concatenate([values, values]), ends), shape=(n, n)).tocsr()

        total = graph(weights).sum(axis=1)
        # A vertex without weight keeps its motion.
        self._own = np.where(total > 0, total, 1.0)
        seams = graph(held)
        system = diags_array(self._own) + share * (diags_array(seams.sum(axis=1)) - seams)
        self._solve = splu(system.tocsc()).solve

    def __call__(self, motion: Float[np.ndarray, "b v 3"]) -> Float[np.ndarray, "b v 3"]:
        """Smoothed displacements of frames."""
        columns = np.moveaxis(motion, 0, 1)
        right = (self._own[:, None, None] * columns).reshape(len(self._own), -1)
        return np.moveaxis(self._solve(right).reshape(columns.shape), 1, 0)
