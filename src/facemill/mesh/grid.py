"""Regular grids: the one place where a grid index becomes a coordinate and back.

Extraction, slices and plots all use this map, so that no mesh comes out scaled by N/(N-1) because
one side counted points and the other gaps.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Shaped

from facemill.errors import GeometryError


@dataclass(frozen=True)
class Grid:
    """``resolution`` points along every axis of a cube, the first on ``low``, the last on ``high``.

    Units and frame are the caller's. An index may be fractional (a vertex between two points, the
    centre of a block), so the map is a plain affine one.
    """

    resolution: int
    low: float = -1.0
    high: float = 1.0

    def __post_init__(self) -> None:
        if self.resolution < 2 or not self.high > self.low:
            raise GeometryError(
                f"grid of {self.resolution} points from {self.low} to {self.high}: at least 2 "
                "points and an upper end above the lower one are needed. Set a larger resolution."
            )

    @property
    def spacing(self) -> float:
        """Distance of neighbouring points: the extent over the number of gaps."""
        return (self.high - self.low) / (self.resolution - 1)

    def coordinates(self, index: Shaped[np.ndarray, "*n"]) -> Float[np.ndarray, "*n"]:
        """Index (whole or fractional) along an axis to coordinate, in double precision."""
        return self.low + np.asarray(index, np.float64) * self.spacing

    def indices(self, coordinates: Float[np.ndarray, "*n"]) -> Float[np.ndarray, "*n"]:
        """Coordinate to fractional index; the inverse of :meth:`coordinates`."""
        return (np.asarray(coordinates, np.float64) - self.low) / self.spacing

    def points(self) -> Float[np.ndarray, "n 3"]:
        """All points, z running fastest: ``values.reshape(3 * (resolution,))`` is the volume."""
        axis = self.coordinates(np.arange(self.resolution))
        return np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1).reshape(-1, 3)
