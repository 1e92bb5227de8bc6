"""The 68 iBUG landmarks and the regions of the demo topology, named by column and row."""

import numpy as np
from jaxtyping import Int

from facemill.data.demo.cage import MERIDIANS, ROWS
from facemill.data.demo.grid import EYE_COLUMNS, MOUTH_CORNER, N_COLUMNS, Grid
from facemill.data.demo.hair import hair_cover
from facemill.data.demo.lids import eye_zone
from facemill.data.landmarks import OPPOSITE

# Left half of each landmark line as (column, row, on the upper edge of a slit).
_JAW = [(0, 14), (12, 14), (22, 15), (30, 15), (38, 17), (41, 23), (42, 28), (42, 36), (42, 46)]
_BROW = [(7, 79), (13, 80), (18, 81), (24, 81), (30, 80)]
_BRIDGE = [(0, 68), (0, 60), (0, 55), (0, 49)]
_BASE = [(0, 43), (5, 43), (11, 44)]


def landmark_vertices(grid: Grid) -> Int[np.ndarray, "68"]:
    """Vertex of every landmark in iBUG order: the subject's right first."""
    mouth, eye = ROWS["mouth"], ROWS["eye"]
    left = {}
    for k, (column, row) in enumerate(_JAW):
        left[8 + k] = (column, row, False)
    for k, (column, row) in enumerate(_BROW):
        left[22 + k] = (column, row, False)
    for k, (column, row) in enumerate(_BRIDGE):
        left[27 + k] = (column, row, False)
    for k, (column, row) in enumerate(_BASE):
        left[33 + k] = (column, row, False)
    first, last = EYE_COLUMNS
    third = (last - first) // 3
    left |= {
        42: (first, eye, False),
        43: (first + third, eye, True),
        44: (last - third, eye, True),
        45: (last, eye, False),
        46: (last - third, eye, False),
        47: (first + third, eye, False),
        51: (0, ROWS["upper_lip"], False),
        52: (4, ROWS["upper_lip"], False),
        53: (10, ROWS["upper_lip"] - 1, False),
        54: (MOUTH_CORNER, mouth, False),
        55: (10, ROWS["lower_lip"] + 1, False),
        56: (4, ROWS["lower_lip"], False),
        57: (0, ROWS["lower_lip"], False),
        62: (0, mouth + 1, False),
        63: (6, mouth + 1, False),
        64: (MOUTH_CORNER - 2, mouth, False),
        65: (6, mouth - 1, False),
        66: (0, mouth - 1, False),
    }
    numbers = np.full(68, -1)
    for landmark, (column, row, upper) in left.items():
        numbers[landmark] = grid.at(column, row, upper)
        numbers[OPPOSITE[landmark]] = grid.at(-column, row, upper)
    return numbers


def regions(grid: Grid) -> dict[str, np.ndarray]:
    """Vertex lists by name; a vertex may lie in more than one."""
    skin = grid.skin
    rows, columns = np.indices(skin.shape)
    columns = np.where(columns > N_COLUMNS // 2, columns - N_COLUMNS, columns)
    side = np.abs(columns)
    hair = hair_cover(columns, rows) > 0.5
    ear = (side > MERIDIANS[9]) & (side < MERIDIANS[10]) & (rows > 14) & (rows < 76)
    neck = (rows < ROWS["jaw_line"]) | ((side >= MERIDIANS[10]) & ~hair & (rows < 40))
    face = ~hair & ~ear & ~neck & (rows > ROWS["jaw_line"]) & (side < MERIDIANS[9] - 1)
    edges = np.array(sorted(grid.upper_edge.values()))
    across = side / (MOUTH_CORNER + 0.4)
    height = (ROWS["upper_lip"] - ROWS["mouth"]) * np.clip(1 - across**2, 0, 1) ** 0.4
    lips = (np.abs(rows - ROWS["mouth"]) <= height) & (side <= MOUTH_CORNER)
    eyes = [ball.ravel() for ball in grid.eyeballs.values()]
    zone = eye_zone()
    found = {
        "face": np.concatenate([skin[face], edges]),
        "scalp": np.append(skin[hair], grid.pole),
        "neck": skin[neck],
        "ears": skin[ear],
        "eyes": np.concatenate([*eyes, np.array(list(grid.eyeball_poles.values()))]),
        "lips": np.concatenate([skin[lips], grid.mouth.upper]),
        "lids": np.concatenate(
            [zone.lids.ravel()]
            + [np.append(e.vertices, e.rings) for e in (grid.left_eye, grid.right_eye)]
        ),
        "mouth_socket": np.append(grid.mouth.rings.ravel(), grid.bag_pole),
        "teeth": np.concatenate([t.ravel() for t in grid.teeth.values()]),
    }  # fmt: skip
    return {name: np.unique(numbers).astype(np.int32) for name, numbers in found.items()}
