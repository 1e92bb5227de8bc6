"""Block Lanczos: all eigenpairs of a known spectrum, several at one value, or an error."""

import numpy as np
import pytest
from scipy.linalg import LinAlgError

from facemill.mesh.block_lanczos import largest_eigenpairs

N = 900
FALLING = 1.0 / (np.arange(N) + 1.0)


def solved(values: np.ndarray, count: int, tolerance: float = 1e-10):
    """Eigenpairs of the diagonal matrix with these values."""

    def product(x: np.ndarray) -> np.ndarray:
        return values[:, None] * x

    rng = np.random.default_rng(1)
    return largest_eigenpairs(product, len(values), count, tolerance, rng)


def test_the_largest_are_found_with_orthonormal_vectors():
    values, vectors = solved(FALLING, 40)
    np.testing.assert_allclose(values[::-1], FALLING[:40], rtol=1e-10)
    np.testing.assert_allclose(FALLING[:, None] * vectors, vectors * values, atol=1e-10)
    np.testing.assert_allclose(vectors.T @ vectors, np.eye(40), atol=1e-10)


def test_none_of_five_at_one_value_is_missed():
    spectrum = np.repeat(FALLING[: N // 5], 5)
    np.testing.assert_allclose(solved(spectrum, 60)[0][::-1], spectrum[:60], rtol=1e-10)


def test_a_huge_value_leaves_the_others_exact():
    """As the constant function has it beside the shift."""
    spectrum = np.concatenate([[1e6], FALLING[1:]])
    _, vectors = solved(spectrum, 30)
    quotients = (vectors**2 * spectrum[:, None]).sum(axis=0)[::-1]
    np.testing.assert_allclose(quotients, spectrum[:30], rtol=1e-9)
    np.testing.assert_allclose(vectors.T @ vectors, np.eye(30), atol=1e-9)


def test_what_does_not_converge_is_an_error():
    flat = 1.0 + 1e-9 * np.arange(200)
    with pytest.raises(LinAlgError, match="20 eigenpairs have not converged in 192 vectors"):
        solved(flat, 20, tolerance=1e-16)


def test_the_same_seed_gives_the_same_bytes():
    assert solved(FALLING, 20)[1].tobytes() == solved(FALLING, 20)[1].tobytes()
