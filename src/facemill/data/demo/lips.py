"""The lips at rest: shut along the mouth line whatever the shape of the person's mouth."""

from functools import lru_cache

import numpy as np
from jaxtyping import Float, Int

from facemill.data.demo.cage import ROWS
from facemill.data.demo.grid import MOUTH_CORNER
from facemill.data.demo.sculpt import LIP_GAP, mean_head

DEPTH = 9
"""Rows of skin above and below the mouth line that give way."""


@lru_cache(maxsize=1)
def _lip_rows() -> tuple[Int[np.ndarray, "2 k c"], Float[np.ndarray, " k"]]:
    """Vertices of the upper (0) and lower (1) lip by row from the line and column; shares."""
    grid = mean_head().grid
    columns = range(-MOUTH_CORNER + 1, MOUTH_CORNER)
    rows = np.array(
        [
            [
                [grid.at(c, ROWS["mouth"] + sign * k, upper=sign > 0) for c in columns]
                for k in range(DEPTH)
            ]
            for sign in (1, -1)
        ]
    )
    t = 1 - np.arange(DEPTH) / DEPTH
    return rows, t * t * (3 - 2 * t)


def close_lips(vertices: Float[np.ndarray, "v 3"]) -> None:
    """Bring both lips together half-way, up to the mean head's gap, in place."""
    grid = mean_head().grid
    rows, share = _lip_rows()
    edge = grid.mouth.vertices
    before = vertices[edge]
    upper, lower = vertices[rows[0, 0]], vertices[rows[1, 0]]
    gap = LIP_GAP * np.linspace(-1, 1, rows.shape[2])
    gap = LIP_GAP - np.abs(gap)
    apart = upper - lower - gap[:, None] * [0.0, 1.0, 0.0]
    for lip, sign in ((0, -0.5), (1, 0.5)):
        vertices[rows[lip]] += sign * share[:, None, None] * apart
    shift = vertices[edge] - before
    for ring, keep in zip(grid.mouth.rings, (1.0, 0.7, 0.3, 0.0, 0.0), strict=True):
        vertices[ring] += keep * shift
