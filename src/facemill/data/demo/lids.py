"""The lids: seated on the eyeball, and sliding over it when the eye closes or opens."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Float, Int

from facemill.data.demo.cage import ROWS
from facemill.data.demo.grid import EYE_COLUMNS, N_COLUMNS
from facemill.data.demo.sculpt import EYE_CENTRE, EYE_RADIUS, mean_head

DEPTH = 8
"""Rows of skin above and below the slit that take part."""


@dataclass(frozen=True)
class EyeZone:
    """Vertices of the lids by eye (0 left, 1 right), lid (0 upper, 1 lower) and distance.

    ``lids[e, l, k, c]``: row k from the margin (0 .. 7, then two rims inside), column c of the
    slit with its corners, which belong to both lids. ``radius`` are their distances from the
    eye's centre on the mean head.
    """

    lids: Int[np.ndarray, "2 2 k c"]
    radius: Float[np.ndarray, "2 2 k c"]
    near: Float[np.ndarray, " k"]


@lru_cache(maxsize=1)
def eye_zone() -> EyeZone:
    """Vertex numbers and mean radii of the lids."""
    head = mean_head()
    grid = head.grid
    first, last = EYE_COLUMNS
    lids = np.empty((2, 2, DEPTH + 2, last - first + 1), np.int64)
    radius = np.empty(lids.shape)
    for e, (loop, sign) in enumerate(((grid.left_eye, 1), (grid.right_eye, -1))):
        columns = sign * np.arange(first, last + 1)
        edge = len(loop.lower)
        for lid, step in ((0, 1), (1, -1)):
            for k in range(DEPTH):
                for c, column in enumerate(columns):
                    lids[e, lid, k, c] = grid.at(
                        int(column) % N_COLUMNS, ROWS["eye"] + step * k, upper=lid == 0 and k == 0
                    )
            lower = np.arange(edge)
            upper = ((2 * edge - 2 - lower) % (2 * edge - 2)) if lid == 0 else lower
            order = upper if sign > 0 else upper[::-1]
            lids[e, lid, DEPTH:] = loop.rings[:, order]
        centre = EYE_CENTRE * [sign, 1, 1]
        radius[e] = np.linalg.norm(head.vertices[lids[e]] - centre, axis=-1)
    k = np.arange(DEPTH)
    near = np.concatenate([np.clip(1.25 - k / 4.0, 0, 1), [1.0, 1.0]])
    return EyeZone(lids, radius, near)


def seat_lids(
    vertices: Float[np.ndarray, "v 3"],
    zone: EyeZone,
    centres: Float[np.ndarray, "2 3"],
    scale: float,
) -> None:
    """Bring the lids to their distance from the eyeball's centre, fully at the margin, in place."""
    for e in range(2):
        offset = vertices[zone.lids[e]] - centres[e]
        distance = np.linalg.norm(offset, axis=-1, keepdims=True)
        target = scale * zone.radius[e][..., None]
        wanted = distance + zone.near[None, :, None, None] * (target - distance)
        wanted[:, :DEPTH] = np.maximum(wanted[:, :DEPTH], scale * (EYE_RADIUS + 0.5))
        vertices[zone.lids[e]] = centres[e] + offset * wanted / distance


def move_lids(
    vertices: Float[np.ndarray, "v 3"],
    zone: EyeZone,
    centres: Float[np.ndarray, "2 3"],
    close: float,
    raise_lower: float,
) -> None:
    """Turn the lids about the eye's transverse axis, in place.

    ``close`` 0 .. 1 brings the upper margin down to meet the lower one (negative opens wider);
    ``raise_lower`` 0 .. 1 lifts the lower margin by that share of the opening.
    """
    k = np.arange(DEPTH)
    follow = np.concatenate([(1 - k / DEPTH) ** 1.15, [1.0, 1.0]])[:, None]
    for e in range(2):
        offset = vertices[zone.lids[e]] - centres[e]
        elevation = np.arctan2(offset[..., 1], offset[..., 2])
        arm = np.hypot(offset[..., 1], offset[..., 2])
        opening = elevation[0, 0] - elevation[1, 0]
        meet = 0.16 * max(close, 0.0) + raise_lower
        turn_upper = -(close * (1 - 0.16) * opening) * follow
        turn_lower = meet * opening * follow
        # The skin that comes down from the fold settles on the ball.
        settle = max(close, 0.0) * np.concatenate([np.clip(1.6 - k / 4.0, 0, 1), [0.0, 0.0]])
        distance = np.linalg.norm(offset, axis=-1)
        margin = distance[0, :1]
        new = np.minimum(1.0, 1 + settle[:, None] * (margin / distance[0] - 1))
        arm[0] *= new
        x = offset[..., 0].copy()
        x[0] *= new
        for lid, turn in ((0, turn_upper), (1, turn_lower)):
            angle = elevation[lid] + turn
            vertices[zone.lids[e, lid]] = centres[e] + np.stack(
                [x[lid], arm[lid] * np.sin(angle), arm[lid] * np.cos(angle)], axis=-1
            )
