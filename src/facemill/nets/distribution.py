"""A normal distribution of codes in its principal axes: fitted, drawn from."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32

from facemill.errors import ConfigError, DataError


@dataclass(frozen=True)
class CodeDistribution:
    """A normal distribution in the principal axes of n codes of c numbers."""

    mean: Float[np.ndarray, " c"]
    axes: Float[np.ndarray, "k c"]  # orthonormal rows, largest variance first
    std: Float[np.ndarray, " k"]

    def draw(
        self, rng: np.random.Generator, count: int, temperature: float = 1.0
    ) -> Float32[np.ndarray, "count c"]:
        """Codes: mean + temperature * sum_k std_k g_k axis_k, every g_k standard normal."""
        along = temperature * self.std * rng.normal(size=(count, len(self.std)))
        return (self.mean + along @ self.axes).astype(np.float32)


def fitted_distribution(codes: Float[np.ndarray, "n c"], share: float = 1.0) -> CodeDistribution:
    """Mean, axes and standard deviations of codes; as few axes as hold ``share`` of the variance.

    n codes span at most n - 1 axes. Raises DataError for a single code, which has no spread.
    """
    if len(codes) < 2:
        raise DataError(
            f"{len(codes)} trained code has no distribution; random faces need a model that was "
            "trained on two people or more."
        )
    mean = codes.mean(axis=0, dtype=np.float64)
    _, singular, axes = np.linalg.svd(codes - mean, full_matrices=False)
    variance = singular**2 / (len(codes) - 1)
    reached = np.cumsum(variance) >= share * variance.sum() * (1 - 1e-12)
    kept = min(int(reached.argmax()) + 1, len(codes) - 1)
    return CodeDistribution(mean, axes[:kept], np.sqrt(variance[:kept]))


def require_drawable(count: int, share: float, temperature: float) -> None:
    """Raise a ConfigError, led by the field's name, for what cannot be drawn."""
    if count < 1:
        raise ConfigError(f"count: found {count}, expected at least 1")
    if not 0 < share <= 1:
        raise ConfigError(f"share: found {share}, expected above 0 and up to 1")
    if temperature < 0:
        raise ConfigError(f"temperature: found {temperature}, expected at least 0")
