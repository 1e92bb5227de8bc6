"""How much each vertex takes part in each action of the face, measured on the mean head."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Float

from facemill.data.demo.cage import ROWS
from facemill.data.demo.grid import MOUTH_CORNER, Grid
from facemill.data.demo.sculpt import mean_head


@dataclass(frozen=True)
class Weights:
    """Shares 0 .. 1 by vertex; ``left`` goes smoothly from the right (0) to the left side (1)."""

    jaw: Float[np.ndarray, " v"]
    left: Float[np.ndarray, " v"]
    side: Float[np.ndarray, " v"]
    corner: Float[np.ndarray, " v"]
    dimple: Float[np.ndarray, " v"]
    upper_lip: Float[np.ndarray, " v"]
    lower_lip: Float[np.ndarray, " v"]
    mouth: Float[np.ndarray, " v"]
    lips: Float[np.ndarray, " v"]
    chin: Float[np.ndarray, " v"]
    cheek: Float[np.ndarray, " v"]
    blow: Float[np.ndarray, " v"]
    suck: Float[np.ndarray, " v"]
    wings: Float[np.ndarray, " v"]
    brow_inner: Float[np.ndarray, " v"]
    brow_outer: Float[np.ndarray, " v"]
    roll: Float[np.ndarray, " v"]


def smooth(x: np.ndarray, low: float | int, high: float | int) -> np.ndarray:
    """Smooth step from 0 at ``low`` to 1 at ``high``."""
    t = np.clip((x - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def bump(points: np.ndarray, centre, radii, power: float = 1.0) -> np.ndarray:
    """A bell about a place and its mirror image."""
    at = points.copy()
    at[:, 0] = np.abs(at[:, 0])
    return np.exp(-(((((at - centre) / radii) ** 2).sum(axis=1)) ** power))


@lru_cache(maxsize=1)
def weights() -> Weights:
    """All shares, computed once a process."""
    head = mean_head()
    grid, points = head.grid, head.vertices
    corner = points[grid.at(MOUTH_CORNER, ROWS["mouth"])]
    outer, upper_lip, lower_lip, roll = _lip_shares(grid)
    eyeballs = np.concatenate(
        [b.ravel() for b in grid.eyeballs.values()] + [np.array(list(grid.eyeball_poles.values()))]
    )
    far = np.ones(grid.n_vertices)
    far[eyeballs] = 0.0
    for teeth in grid.teeth.values():
        far[teeth] = 0.0
    jaw = _jaw_share(grid, points, corner)
    above = np.clip(points[:, 1] - 26, 0, None)
    below = np.clip(22 - points[:, 1], 0, None)
    slide = np.exp(-((above / 32) ** 2) - (below / 9.5) ** 2) * far * smooth(points[:, 2], 20, 50)
    x = np.abs(points[:, 0])
    return Weights(
        jaw=jaw,
        left=smooth(points[:, 0], -9, 9),
        side=np.tanh(points[:, 0] / 5.0),
        corner=far * bump(points, corner, (20, 19, 30)),
        dimple=far * bump(points, corner + np.array([5, 1, -4]), (6, 8, 14)),
        upper_lip=upper_lip,
        lower_lip=lower_lip,
        mouth=far * bump(points, (0, -67, 104), (36, 24, 36), 1.6),
        lips=outer,
        chin=far * bump(points, (0, -95, 104), (24, 17, 30)),
        cheek=far * bump(points, (42, -32, 80), (19, 16, 30)),
        blow=far * bump(points, (46, -60, 70), (21, 24, 34)) * (outer < 0.5),
        suck=far * bump(points, (46, -58, 72), (15, 20, 30)),
        wings=far * bump(points, (13, -38, 104), (10, 13, 18)),
        brow_inner=slide * np.exp(-((x / 25.0) ** 2)),
        brow_outer=slide * (1 - np.exp(-((x / 25.0) ** 2))) * np.exp(-((x / 62.0) ** 6)),
        roll=roll,
    )


def _jaw_share(grid: Grid, points: np.ndarray, corner: np.ndarray) -> np.ndarray:
    """How far each vertex goes with the jaw.

    Around the corner of the mouth the share depends on the angle alone, as displacement does
    around the tip of a slit: 0 on the upper lip, 1 on the lower one, smooth through the cheek.
    """
    x = np.abs(points[:, 0])
    beyond = np.where(
        points[:, 2] > 0, np.hypot(np.maximum(x - corner[0], 0), points[:, 2] - corner[2]), 200.0
    )
    beyond = np.where(x < corner[0], x - corner[0], np.minimum(beyond, 2.2 * (x - corner[0]) + 40))
    line = corner[1] + 0.50 * np.maximum(beyond, 0)
    height = points[:, 1] - line
    angle = np.arctan2(height, beyond) / np.pi
    mouth = ROWS["mouth"]
    for row in range(ROWS["chin_fold"], ROWS["nose_base"]):
        columns = np.arange(-MOUTH_CORNER + 1, MOUTH_CORNER)
        numbers = grid.skin[row, columns]
        size = np.abs(angle[numbers])
        angle[numbers] = np.where(row > mouth, size, -size)
    for loop, sign in ((grid.mouth.upper[1:-1], 1), (grid.mouth.lower[1:-1], -1)):
        angle[loop] = sign
    share = smooth(-angle, -0.5, 0.58)
    # An opening mouth is round at its corners, not square.
    near = np.clip(np.hypot(beyond, height) / 20, 0, 1)
    share = 0.5 + (share - 0.5) * np.sqrt(1 - (1 - near) ** 2)
    inner = len(grid.mouth.lower)
    lower = np.zeros(len(grid.mouth.vertices))
    lower[:inner] = share[grid.mouth.lower]
    lower[inner:] = share[grid.mouth.vertices[inner:]]
    for ring, keep in zip(grid.mouth.rings, (1, 1, 1, 0.9, 0.6), strict=True):
        share[ring] = keep * lower + (1 - keep) * 0.3
    share *= smooth(points[:, 1], -152, -104) * smooth(points[:, 2], -22, 34)
    share *= smooth(-points[:, 1], -4, 26)
    for side, pole in zip(grid.eyeballs.values(), grid.eyeball_poles.values(), strict=True):
        share[side] = 0.0
        share[pole] = 0.0
    share[grid.teeth["upper"]] = 0.0
    share[grid.teeth["lower"]] = 1.0
    share[grid.bag_pole] = 0.3
    return share


def _lip_shares(grid: Grid):
    """The red of both lips, the part each lip moves alone, and how far it rolls in."""
    lips = np.zeros(grid.n_vertices)
    upper = np.zeros(grid.n_vertices)
    lower = np.zeros(grid.n_vertices)
    roll = np.zeros(grid.n_vertices)
    mouth = ROWS["mouth"]
    columns = np.arange(-MOUTH_CORNER - 3, MOUTH_CORNER + 4)
    across = np.clip(1 - (columns / (MOUTH_CORNER + 0.001)) ** 2, 0, 1) ** 0.6
    for row in range(ROWS["jaw_line"] - 2, ROWS["cheek"]):
        up = row >= mouth
        height = (row - mouth) / (
            (ROWS["upper_lip"] - mouth) if up else (ROWS["lower_lip"] - mouth)
        )
        numbers = np.array(
            [grid.at(int(c), row, upper=True) if up else grid.at(int(c), row) for c in columns]
        )
        (upper if up else lower)[numbers] = across * smooth(
            -np.full(len(columns), height), -2.4, 0.0
        )
        lips[numbers] = np.maximum(
            lips[numbers], smooth(-np.full(len(columns), height), -1.5, -0.9) * (across > 0)
        )
        roll[numbers] = across**0.5 * smooth(-np.full(len(columns), height), -1.5, 0.0)
    lower[grid.mouth.lower] = across[3:-3]
    roll[grid.mouth.lower] = across[3:-3] ** 0.5
    lips[grid.mouth.lower] = 1.0
    edge = len(grid.mouth.lower)
    opposite = np.concatenate([across[3:-3], across[3:-3][-2:0:-1]])
    for ring, keep in zip(grid.mouth.rings, (1.0, 0.85, 0.6, 0.2, 0.0), strict=True):
        lower[ring[:edge]] = keep * opposite[:edge]
        upper[ring[edge:]] = keep * opposite[edge:]
        roll[ring] = keep * opposite**0.5
        lips[ring] = keep
    return lips, upper, lower, roll
