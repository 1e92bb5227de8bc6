"""The mean head: the cage made smooth, with nose, lips, lids and ears sculpted on top.

Everything is laid out once on the left half and mirrored, so the mean head is exactly symmetric.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Float
from scipy.interpolate import Akima1DInterpolator, PchipInterpolator
from scipy.ndimage import gaussian_filter1d

from facemill.data.demo import ear, nose
from facemill.data.demo.cage import MERIDIANS, N_HALF, N_ROWS, POLE, ROWS, cage_rings
from facemill.data.demo.grid import (
    BALL_RINGS,
    BALL_SECTORS,
    EYE_COLUMNS,
    MOUTH_CORNER,
    TEETH_COLUMNS,
    TEETH_ROWS,
    Grid,
    build_grid,
)

EYE_CENTRE = np.array([31.6, 0.0, 75.0])
EYE_RADIUS = 13.0
LID_THICKNESS = 1.5
LID_GAP = 0.15
LIP_GAP = 0.15


@dataclass(frozen=True)
class MeanHead:
    """Vertices of the mean head and the numbers of its parts."""

    grid: Grid
    vertices: Float[np.ndarray, "v 3"]


@lru_cache(maxsize=1)
def mean_head() -> MeanHead:
    """The mean head in mm, made once a process."""
    grid = build_grid()
    half = _smooth_cage()
    _lay_lids(half)
    half[..., 2] = nose.with_nose(half)
    nose.relax_nose(half, _smooth_cage())
    _lay_lips(half)
    upper_mouth = half[ROWS["mouth"], : MOUTH_CORNER + 1].copy()
    upper_eye, _ = _eye_margins()
    _seat_lids(half)
    ear.raise_ear(half)
    vertices = np.full((grid.n_vertices, 3), np.nan)
    vertices[grid.skin] = _both_halves(half)
    vertices[grid.pole] = POLE
    _place_edges(grid, vertices, upper_mouth, upper_eye)
    _place_mouth_bag(grid, vertices)
    _place_lid_rims(grid, vertices)
    _place_eyeballs(grid, vertices)
    _place_teeth(grid, vertices)
    return MeanHead(grid, vertices)


def _smooth_cage() -> np.ndarray:
    """The cage's surface on the fine grid, (rows, 65, 3): Akima splines, then a light blur."""
    rings = cage_rings()
    flip = np.array([-1.0, 1.0, 1.0])
    meridians = np.array(MERIDIANS, float)
    around = np.concatenate([-meridians[3:0:-1], meridians, 2 * N_HALF - meridians[-2:-5:-1]])
    wide = np.concatenate([rings[:, 3:0:-1] * flip, rings, rings[:, -2:-5:-1] * flip], axis=1)
    columns = np.arange(-6, N_HALF + 7)
    columns = columns[(columns >= around[0]) & (columns <= around[-1])]
    lines = PchipInterpolator(around, wide, axis=1)(columns)
    rows = np.array(list(ROWS.values()), float)
    skin = Akima1DInterpolator(rows, lines, axis=0)(np.arange(N_ROWS))
    skin = gaussian_filter1d(skin, 1.3, axis=0, mode="nearest")
    skin = gaussian_filter1d(skin, 1.3, axis=1, mode="nearest")
    sides = np.clip((np.abs(columns) - 24) / 10, 0, 1)[None, :, None]
    skin += sides * (gaussian_filter1d(skin, 3.0, axis=0, mode="nearest") - skin)
    first = int(np.flatnonzero(columns == 0)[0])
    half = skin[:, first : first + N_HALF + 1].copy()
    half[:, 0, 0] = 0.0
    half[:, -1, 0] = 0.0
    return half


def _eye_margins() -> tuple[np.ndarray, np.ndarray]:
    """Upper and lower margin of the left lids at the slit's columns, (17, 3), on the lid sphere."""
    first, last = EYE_COLUMNS
    s = np.linspace(0, 1, last - first + 1)
    x = 18.3 + 26.4 * s
    corner = -1.2 + 2.6 * s
    upper = corner + 5.0 * np.sin(np.pi * s**0.86) ** 0.85
    lower = corner - 4.9 * np.sin(np.pi * s**1.12) ** 0.95
    return tuple(np.stack([x, y, _lid_sphere(x, y)], axis=1) for y in (upper, lower))


def _lid_sphere(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Height of the lids' outer surface over the eyeball; falls away steeply beyond its rim."""
    radius = EYE_RADIUS + LID_THICKNESS
    inside = radius**2 - (x - EYE_CENTRE[0]) ** 2 - (y - EYE_CENTRE[1]) ** 2
    return EYE_CENTRE[2] + np.where(inside > 0, np.sqrt(np.maximum(inside, 0)), inside / 6)


def _lay_lids(half: np.ndarray) -> None:
    """Draw the rows beside the eye slit to the lid margins and lay them over the eyeball."""
    first, last = EYE_COLUMNS
    upper, lower = _eye_margins()
    eye, top, bottom = ROWS["eye"], ROWS["upper_orbit"], ROWS["lower_orbit"]
    columns = slice(first, last + 1)
    for k in range(eye + 1, top):
        t = ((k - eye) / (top - eye)) ** 1.05
        half[k, columns, :2] = upper[:, :2] * (1 - t) + half[top, columns, :2] * t
    for k in range(bottom + 1, eye + 1):
        t = ((eye - k) / (eye - bottom)) ** 1.05
        half[k, columns, :2] = lower[:, :2] * (1 - t) + half[bottom, columns, :2] * t
    rows = slice(bottom - 3, top + 3)
    near = half[rows, first - 6 : last + 7]
    socket = near[..., 2]
    near[..., 2] = nose.soft_maximum(1.6, socket, _lid_sphere(near[..., 0], near[..., 1]))
    for k in range(eye + 1, top):
        along = np.exp(-(((np.arange(last - first + 1) - 7.5) / 6.6) ** 4))
        half[k, columns, 2] -= 0.9 * along * np.exp(-(((k - eye - 4.6) / 0.9) ** 2))


def _seat_lids(half: np.ndarray) -> None:
    """Put the lower margin exactly on the lid sphere (blending had lifted it)."""
    first, last = EYE_COLUMNS
    margin = half[ROWS["eye"], first : last + 1]
    margin[:, 2] = _lid_sphere(margin[:, 0], margin[:, 1])


def _lay_lips(half: np.ndarray) -> None:
    """Philtrum, the rounded red of both lips, and their turning in towards the mouth line."""
    x, y = half[..., 0], half[..., 1]
    row = np.arange(N_ROWS)[:, None]
    mouth = ROWS["mouth"]
    centre = np.clip(1 - (x / half[mouth, MOUTH_CORNER, 0]) ** 2, 0, 1)
    for border, bulge, recess in ((ROWS["upper_lip"], 4.2, 2.2), (ROWS["lower_lip"], 4.8, 2.2)):
        t = (row - mouth) / (border - mouth)
        red = np.where(
            t < 0.55,
            bulge - (bulge + recess) * (np.clip(0.55 - t, 0, 1) / 0.55) ** 2.2,
            bulge * np.clip((1.25 - t) / 0.7, 0, 1) ** 1.5,
        )
        red = np.where((t >= 0) & (t < 1.25), red, 0)
        front = (np.arange(N_HALF + 1) <= MOUTH_CORNER + 2)[None, :]
        if border < mouth:
            red[mouth] = 0
        half[..., 2] += front * red * (0.12 + 0.88 * centre) * np.where(x > 25.6, 0.5, 1.0)
    corner = np.exp(-(((x - 26.5) / 3.5) ** 2) - ((y + 68.2) / 3.0) ** 2)
    band = np.clip((y + 60.5) / 2.5, 0, 1) * np.clip((-46.5 - y) / 3.0, 0, 1)
    front = half[..., 2] > 60
    philtrum = 0.3 * np.exp(-(((x - 5.2) / 2.4) ** 2)) - 0.6 * np.exp(-((x / 3.0) ** 2))
    half[..., 2] += front * (band * philtrum - 1.0 * corner)


def _both_halves(half: np.ndarray) -> np.ndarray:
    right = half[:, N_HALF - 1 : 0 : -1] * [-1, 1, 1]
    return np.concatenate([half, right], axis=1)


def _place_edges(grid: Grid, vertices: np.ndarray, mouth: np.ndarray, eye: np.ndarray) -> None:
    """Upper edges of the slits; the lips stand a hair apart."""
    left = mouth + np.linspace(LIP_GAP, 0, len(mouth))[:, None] * [0, 1, 0]
    vertices[grid.mouth.upper] = np.concatenate([left[:0:-1] * [-1, 1, 1], left])
    vertices[grid.left_eye.upper[1:-1]] = eye[1:-1]
    vertices[grid.right_eye.upper[1:-1]] = eye[-2:0:-1] * [-1, 1, 1]


def _place_mouth_bag(grid: Grid, vertices: np.ndarray) -> None:
    loop = vertices[grid.mouth.vertices]
    lower = len(grid.mouth.lower)
    side = np.where(np.arange(len(loop)) < lower, -1.0, 1.0)
    open_ = np.clip(1 - (loop[:, 0] / 25.5) ** 2, 0, 1) ** 0.5
    middle = loop[:, 1].copy()
    for ring, (narrow, apart, back) in zip(
        grid.mouth.rings,
        (
            (0.99, -0.5, 2.5),
            (0.97, 3.0, 6.0),
            (0.95, 9.0, 9.0),
            (0.95, 12.0, 30.0),
            (0.6, 8.0, 50.0),
        ),
        strict=True,
    ):
        vertices[ring, 0] = narrow * loop[:, 0]
        vertices[ring, 1] = middle + side * apart * open_
        vertices[ring, 2] = loop[:, 2] - back * (0.55 + 0.45 * open_)
    vertices[grid.bag_pole] = vertices[grid.mouth.rings[-1]].mean(axis=0) * [0, 1, 1] - [0, 0, 6]


def _place_lid_rims(grid: Grid, vertices: np.ndarray) -> None:
    """The lids' thickness: from the outer margin straight towards the eye's centre."""
    for loop, sign in ((grid.left_eye, 1.0), (grid.right_eye, -1.0)):
        centre = EYE_CENTRE * [sign, 1, 1]
        out = vertices[loop.vertices] - centre
        out /= np.linalg.norm(out, axis=1, keepdims=True)
        for ring, radius in zip(loop.rings, (EYE_RADIUS + LID_GAP, EYE_RADIUS - 1.5), strict=True):
            vertices[ring] = centre + radius * out


def _place_eyeballs(grid: Grid, vertices: np.ndarray) -> None:
    turn = np.radians(100) * np.arange(BALL_RINGS, 0, -1)[:, None] / BALL_RINGS
    angle = 2 * np.pi * np.arange(BALL_SECTORS)[None, :] / BALL_SECTORS
    ball = np.stack(
        np.broadcast_arrays(
            np.sin(turn) * np.cos(angle), np.sin(turn) * np.sin(angle), np.cos(turn)
        ),
        axis=-1,
    )
    for side, sign in (("left", 1.0), ("right", -1.0)):
        centre = EYE_CENTRE * [sign, 1, 1]
        vertices[grid.eyeballs[side]] = centre + EYE_RADIUS * ball
        vertices[grid.eyeball_poles[side]] = centre + np.array([0, 0, EYE_RADIUS])


def _place_teeth(grid: Grid, vertices: np.ndarray) -> None:
    """Two arches behind the lips; their ends vanish in the cheeks."""
    s = np.linspace(-1, 1, TEETH_COLUMNS)[None, :]
    t = np.linspace(0, 1, TEETH_ROWS)[:, None]
    x = 27.0 * np.sin(s * np.pi / 2 * 0.92)
    for jaw, (edge, gum, front) in {
        "upper": (-69.0, -58.0, 99.0),
        "lower": (-68.3, -79.0, 97.0),
    }.items():
        y = (edge + (gum - edge) * t) if jaw == "upper" else (gum + (edge - gum) * t)
        z = front - 22.0 * (x / 25.0) ** 2 - (0.5 if jaw == "upper" else 0.0) * t
        vertices[grid.teeth[jaw]] = np.stack(np.broadcast_arrays(x, y, z), axis=-1)
