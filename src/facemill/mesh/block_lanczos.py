"""The largest eigenpairs of a symmetric operator by block Lanczos with full reorthogonalisation.

The library's solver (ARPACK) takes one vector at a time, so that most of its time goes into reading
its basis again for each. A block of vectors reads it once, and solves for several right-hand sides
cost less apiece. And a block finds as many functions at one eigenvalue as it has vectors: the
symmetry of a mesh in space makes five of them equal at most (those of the icosahedron), while one
vector finds all but the first by rounding alone.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float
from scipy.linalg import LinAlgError, eigh, qr

BLOCK = 8
"""Vectors at a time: more than five (above), and few enough to lose little in convergence."""


def largest_eigenpairs(
    operator: Callable[[Float[np.ndarray, "n b"]], Float[np.ndarray, "n b"]],
    n: int,
    count: int,
    tolerance: float,
    rng: np.random.Generator,
) -> tuple[Float[np.ndarray, " k"], Float[np.ndarray, "n k"]]:
    """The ``count`` largest eigenvalues, ascending, and orthonormal eigenvectors.

    An eigenpair is found when its residual is below ``tolerance`` of its eigenvalue. The basis is
    not restarted: it grows to about 3.5 times ``count`` vectors. Raises LinAlgError where it has
    grown to as many as there are, or to twelve times ``count`` and more, without that.
    """
    limit = min(n, 12 * count + 40 * BLOCK) - BLOCK
    basis = np.empty((limit + BLOCK, n))
    projected = np.zeros((limit, limit))
    basis[:BLOCK] = qr(rng.standard_normal((n, BLOCK)), mode="economic")[0].T
    size, next_look = 0, 3 * count
    while size + BLOCK <= limit:
        now = slice(size, size + BLOCK)
        rest = operator(basis[now].T).T
        # In exact arithmetic the last two blocks are all that it has a part in.
        for seen in (basis[max(0, size - BLOCK) : now.stop], basis[: now.stop]):
            part = seen @ rest.T
            rest = rest - part.T @ seen
            projected[now.stop - len(seen) : now.stop, now] += part
        size = now.stop
        block, step = qr(rest.T, mode="economic", overwrite_a=True)
        basis[size : size + BLOCK] = block.T
        if size >= next_look:
            wanted = [size - count, size - 1]
            values, small = eigh(projected[:size, :size], lower=False, subset_by_index=wanted)
            residual = np.linalg.norm(step @ small[-BLOCK:], axis=0)
            if (residual <= tolerance * np.abs(values)).all():
                return values, (small.T @ basis[:size]).T
            next_look = size + max(4 * BLOCK, count // 4)
    raise LinAlgError(f"{count} eigenpairs have not converged in {limit} vectors")
