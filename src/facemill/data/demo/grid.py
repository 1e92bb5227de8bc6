"""The connectivity of the head: a closed grid of rings with slits for the eyes and the mouth.

Columns run from the mid-line of the face (0) over the subject's left to the back (64) and over the
right (65 .. 127) home again; rows run from the neck to the crown. A slit doubles a row between two
columns; its two edges form a loop, from which further loops of the same length lead inwards (the
thickness of the lids, the mouth bag). Eyeballs and rows of teeth are pieces of their own.
"""

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from jaxtyping import Float, Int

from facemill.data.demo.cage import N_HALF, N_ROWS, ROWS

N_COLUMNS = 2 * N_HALF
EYE_COLUMNS = (12, 27)
MOUTH_CORNER = 17


@dataclass(frozen=True)
class Loop:
    """The edge of a slit in order: lower edge forwards, upper edge backwards, corners once."""

    vertices: Int[np.ndarray, " n"]
    lower: Int[np.ndarray, " m"]
    upper: Int[np.ndarray, " m"]
    rings: Int[np.ndarray, "k n"]


@dataclass(frozen=True)
class Grid:
    """Vertex numbers by meaning, with triangles, texture coordinates and mirror table."""

    n_vertices: int
    skin: Int[np.ndarray, "rows columns"]
    pole: int
    mouth: Loop
    left_eye: Loop
    right_eye: Loop
    bag_pole: int
    eyeballs: dict[str, Int[np.ndarray, "rings sectors"]]
    eyeball_poles: dict[str, int]
    teeth: dict[str, Int[np.ndarray, "high wide"]]
    faces: Int[np.ndarray, "f 3"]
    uv: Float[np.ndarray, "t 2"]
    faces_uv: Int[np.ndarray, "f 3"]
    mirror: Int[np.ndarray, " v"]
    upper_edge: dict[tuple[int, int], int] = field(default_factory=dict)

    def at(self, column: int, row: int, upper: bool = False) -> int:
        """Vertex number at a column (negative on the subject's right) and row of the skin."""
        key = (row, column % N_COLUMNS)
        if upper and key in self.upper_edge:
            return self.upper_edge[key]
        return int(self.skin[key])


EYE_RINGS = 2
BAG_RINGS = 5
BALL_RINGS, BALL_SECTORS = 9, 24
BALL_ZOOM = 0.65  # the iris gets a larger share of the texture than the hidden rim
TEETH_ROWS, TEETH_COLUMNS = 4, 25
# Texture chart of the skin in the unit square; the strip below it holds the small pieces.
SKIN_V = (0.15, 0.998)
SKIN_U = (0.002, 0.998)


def skin_uv(column: np.ndarray, row: np.ndarray) -> np.ndarray:
    """Texture coordinates of fractional columns -64 .. 64 and rows 0 .. 104, shape (..., 2)."""
    u = SKIN_U[0] + (SKIN_U[1] - SKIN_U[0]) * (np.asarray(column) / N_HALF + 1) / 2
    v = SKIN_V[0] + (SKIN_V[1] - SKIN_V[0]) * np.asarray(row) / N_ROWS
    return np.stack(np.broadcast_arrays(u, v), axis=-1)


# Boxes (u0, v0, u1, v1) of the small pieces.
EYE_BOX = {"left": (0.005, 0.005, 0.145, 0.145), "right": (0.155, 0.005, 0.295, 0.145)}
BAG_BOX = (0.305, 0.005, 0.495, 0.145)
TEETH_BOX = {"upper": (0.505, 0.08, 0.795, 0.145), "lower": (0.505, 0.005, 0.795, 0.07)}
LID_BOX = {"left": (0.805, 0.08, 0.995, 0.145), "right": (0.805, 0.005, 0.995, 0.07)}


def _in_box(box: tuple[float, float, float, float], s: np.ndarray, t: np.ndarray) -> np.ndarray:
    u0, v0, u1, v1 = box
    return np.stack(np.broadcast_arrays(u0 + (u1 - u0) * s, v0 + (v1 - v0) * t), axis=-1)


class _Builder:
    """Collects vertices, triangles and texture coordinates while the grid is laid out."""

    def __init__(self) -> None:
        self.count = 0
        self.faces: list[np.ndarray] = []
        self.faces_uv: list[np.ndarray] = []
        self.uv: list[np.ndarray] = []
        self.uv_count = 0
        self.mirrored: dict[int, int] = {}

    def new(self, *shape: int) -> np.ndarray:
        size = int(np.prod(shape))
        numbers = np.arange(self.count, self.count + size).reshape(shape)
        self.count += size
        return numbers

    def new_uv(self, uv: np.ndarray) -> np.ndarray:
        numbers = np.arange(self.uv_count, self.uv_count + uv[..., 0].size)
        self.uv.append(uv.reshape(-1, 2))
        self.uv_count += numbers.size
        return numbers.reshape(uv.shape[:-1])

    def quads(self, vertices: np.ndarray, uv: np.ndarray, flip: bool = False) -> None:
        """Triangles of a (rows, columns) patch that faces the viewer: rows up, columns right."""
        for numbers, store in ((vertices, self.faces), (uv, self.faces_uv)):
            a, b, c, d = (numbers[:-1, :-1], numbers[:-1, 1:], numbers[1:, 1:], numbers[1:, :-1])
            store.append(_split(a, b, c, d, flip))

    def fan(self, ring: np.ndarray, ring_uv: np.ndarray, pole: int, pole_uv: np.ndarray) -> None:
        """Triangles from an open list of ring vertices to one pole."""
        for a, b, p, store in (
            (ring[:-1], ring[1:], np.full(len(ring) - 1, pole), self.faces),
            (ring_uv[:-1], ring_uv[1:], pole_uv, self.faces_uv),
        ):
            store.append(np.stack([a, b, p], axis=-1))

    def pair(self, a: np.ndarray, b: np.ndarray) -> None:
        for i, j in zip(np.ravel(a), np.ravel(b), strict=True):
            self.mirrored[int(i)] = int(j)
            self.mirrored[int(j)] = int(i)


def _split(a, b, c, d, flip: bool) -> np.ndarray:
    """Two triangles a quad; ``flip`` turns the diagonal (mirror images need the other one)."""
    triangles = [(a, b, d), (b, c, d)] if flip else [(a, b, c), (a, c, d)]
    return np.concatenate([np.stack([x.ravel() for x in t], axis=-1) for t in triangles])


def _slit(builder: _Builder, skin, upper_edge, row: int, first: int, last: int, rings: int):
    """Double the row between two columns and hang ``rings`` further loops on the edge."""
    columns = np.arange(first, last + 1)
    lower = skin[row, columns % N_COLUMNS]
    middle = builder.new(len(columns) - 2)
    upper = np.concatenate([lower[:1], middle, lower[-1:]])
    for column, number in zip(columns[1:-1], middle, strict=True):
        upper_edge[(row, int(column) % N_COLUMNS)] = int(number)
    loop = np.concatenate([lower, upper[-2:0:-1]])
    return Loop(loop, lower, upper, builder.new(rings, len(loop)))


def build_grid() -> Grid:
    """Lay out the whole head."""
    builder = _Builder()
    skin = builder.new(N_ROWS, N_COLUMNS)
    pole = int(builder.new(1)[0])
    upper_edge: dict[tuple[int, int], int] = {}
    mouth = _slit(builder, skin, upper_edge, ROWS["mouth"], -MOUTH_CORNER, MOUTH_CORNER, BAG_RINGS)
    first, last = EYE_COLUMNS
    left = _slit(builder, skin, upper_edge, ROWS["eye"], first, last, EYE_RINGS)
    right = _slit(builder, skin, upper_edge, ROWS["eye"], -last, -first, EYE_RINGS)
    _skin_faces(builder, skin, upper_edge, pole)
    columns = np.arange(N_COLUMNS)
    builder.pair(skin, skin[:, -columns % N_COLUMNS])
    builder.pair(np.array([pole]), np.array([pole]))
    bag_pole = int(builder.new(1)[0])
    builder.pair(np.array([bag_pole]), np.array([bag_pole]))
    _loop_faces(builder, mouth, BAG_BOX, bag_pole, flips=(0, 3))
    _loop_faces(builder, left, LID_BOX["left"], None, flips=())
    _loop_faces(builder, right, LID_BOX["right"], None, flips=(0, 1, 2, 3))
    builder.pair(mouth.upper, mouth.upper[::-1])
    builder.pair(left.upper, right.upper[::-1])
    for one, other in ((mouth, mouth), (left, right)):
        builder.pair(one.rings, other.rings[:, _mirrored_loop(len(one.lower))])
    balls, ball_poles = _eyeballs(builder)
    teeth = _teeth(builder)
    mirror = np.array([builder.mirrored[i] for i in range(builder.count)])
    return Grid(
        builder.count, skin, pole, mouth, left, right, bag_pole, balls, ball_poles, teeth,
        np.concatenate(builder.faces).astype(np.int32), np.concatenate(builder.uv),
        np.concatenate(builder.faces_uv).astype(np.int32), mirror, upper_edge,
    )  # fmt: skip


def _mirrored_loop(edge: int) -> np.ndarray:
    """Place in a loop of the mirror image of each place: the lower edge reversed, so the upper."""
    lower = np.arange(edge)[::-1]
    upper = np.arange(edge, 2 * edge - 2)[::-1]
    return np.concatenate([lower, upper])


def _skin_faces(builder: _Builder, skin, upper_edge, pole: int) -> None:
    columns = np.arange(-N_HALF, N_HALF + 1)
    uv = builder.new_uv(skin_uv(columns[None, :], np.arange(N_ROWS)[:, None]))
    lower = skin[:, columns % N_COLUMNS]
    upper = lower.copy()
    for (row, column), number in upper_edge.items():
        upper[row, (columns % N_COLUMNS) == column] = number
    for half in (slice(0, N_HALF + 1), slice(N_HALF, 2 * N_HALF + 1)):
        for row in range(N_ROWS - 1):
            patch = np.stack([upper[row, half], lower[row + 1, half]])
            builder.quads(patch, uv[row : row + 2, half], flip=half.start != 0)
    tips = builder.new_uv(skin_uv((columns[:-1] + columns[1:]) / 2, np.array(N_ROWS)))
    builder.fan(lower[-1], uv[-1], pole, tips)


def _loop_faces(
    builder: _Builder, loop: Loop, box, pole: int | None, flips: tuple[int, ...]
) -> None:
    rings = np.concatenate([loop.vertices[None], loop.rings])
    closed = np.concatenate([rings, rings[:, :1]], axis=1)
    around, deep = closed.shape[1], closed.shape[0]
    levels = deep if pole is not None else deep - 1
    s = np.linspace(0, 1, around)[None, :]
    uv = builder.new_uv(_in_box(box, s, np.arange(deep)[:, None] / levels))
    # Seen from outside the lower edge runs to the right and deeper loops lie above it.
    half = len(loop.lower) // 2
    edges = [0, half, len(loop.lower) - 1, len(loop.lower) - 1 + half, around - 1]
    for k, (a, b) in enumerate(pairwise(edges)):
        part = slice(a, b + 1)
        builder.quads(closed[:, part], uv[:, part], flip=k in flips)
    if pole is not None:
        tips = builder.new_uv(_in_box(box, (s[0, :-1] + s[0, 1:]) / 2, np.array(1.0)))
        builder.fan(closed[-1], uv[-1], pole, tips)


def _eyeballs(builder: _Builder):
    """Half spheres with a pole on the pupil; sectors run counter-clockwise seen from the front."""
    balls, poles = {}, {}
    for side in ("left", "right"):
        ball = builder.new(BALL_RINGS, BALL_SECTORS)
        pole = int(builder.new(1)[0])
        closed = np.concatenate([ball, ball[:, :1]], axis=1)
        angle = 2 * np.pi * np.arange(BALL_SECTORS + 1) / BALL_SECTORS
        radius = 0.5 * (np.arange(BALL_RINGS, 0, -1) / BALL_RINGS)[:, None] ** BALL_ZOOM
        box = EYE_BOX[side]
        uv = builder.new_uv(
            _in_box(box, 0.5 + radius * np.cos(angle), 0.5 + radius * np.sin(angle))
        )
        builder.quads(closed, uv, flip=side == "right")
        tip = builder.new_uv(_in_box(box, np.array(0.5), np.array(0.5)))
        builder.fan(closed[-1], uv[-1], pole, np.broadcast_to(tip, BALL_SECTORS))
        balls[side], poles[side] = ball, pole
    # Sector k at angle a mirrors to angle pi - a.
    opposite = (BALL_SECTORS // 2 - np.arange(BALL_SECTORS)) % BALL_SECTORS
    builder.pair(balls["left"], balls["right"][:, opposite])
    builder.pair(np.array([poles["left"]]), np.array([poles["right"]]))
    return balls, poles


def _teeth(builder: _Builder):
    teeth = {}
    for jaw in ("upper", "lower"):
        patch = builder.new(TEETH_ROWS, TEETH_COLUMNS)
        s = np.linspace(0, 1, TEETH_COLUMNS)[None, :]
        t = np.linspace(0, 1, TEETH_ROWS)[:, None]
        uv = builder.new_uv(_in_box(TEETH_BOX[jaw], s, t))
        half = TEETH_COLUMNS // 2
        builder.quads(patch[:, : half + 1], uv[:, : half + 1], flip=True)
        builder.quads(patch[:, half:], uv[:, half:])
        builder.pair(patch, patch[:, ::-1])
        teeth[jaw] = patch
    return teeth
