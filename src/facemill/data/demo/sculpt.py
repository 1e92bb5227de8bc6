"""The mean head: the cage made smooth, with nose, lips, lids and ears sculpted on top.

Everything is laid out once on the left half and mirrored, so the mean head is exactly symmetric.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Float
from scipy.interpolate import Akima1DInterpolator, PchipInterpolator
from scipy.ndimage import gaussian_filter1d

from facemill.data.demo import ear
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
    half[..., 2] = _with_nose(half)
    _relax_nose(half)
    _lay_lips(half)
    upper_mouth = half[ROWS["mouth"], : MOUTH_CORNER + 1].copy()
    upper_eye, lower_eye = _eye_margins(half)
    _seat_lids(half, upper_eye)
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


def _eye_margins(half: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
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
    upper, lower = _eye_margins(half)
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
    near[..., 2] = soft_maximum(1.6, socket, _lid_sphere(near[..., 0], near[..., 1]))
    for k in range(eye + 1, top):
        along = np.exp(-(((np.arange(last - first + 1) - 7.5) / 6.6) ** 4))
        half[k, columns, 2] -= 0.9 * along * np.exp(-(((k - eye - 4.6) / 0.9) ** 2))


def _seat_lids(half: np.ndarray, upper: np.ndarray) -> None:
    """Put the lower margin exactly on the lid sphere (the blend with the socket lifts it a little)."""
    first, last = EYE_COLUMNS
    margin = half[ROWS["eye"], first : last + 1]
    margin[:, 2] = _lid_sphere(margin[:, 0], margin[:, 1])


def soft_maximum(width: float, *heights: np.ndarray) -> np.ndarray:
    """Smooth maximum: ``width`` is the rounding of the creases, in the heights' unit."""
    stack = np.stack(np.broadcast_arrays(*heights)) / width
    top = stack.max(axis=0)
    return width * (top + np.log(np.exp(stack - top).sum(axis=0)))


def _ball(x, y, centre, radii) -> np.ndarray:
    """Height of an ellipsoid's front, falling away steeply outside its outline."""
    inside = 1 - ((x - centre[0]) / radii[0]) ** 2 - ((y - centre[1]) / radii[1]) ** 2
    return centre[2] + radii[2] * np.where(inside > 0, np.sqrt(np.maximum(inside, 0)), 2 * inside)


_RIDGE = PchipInterpolator(
    [-46, -40, -34, -27, -18, -8, 0, 4, 9, 16, 24],
    [108, 114, 117.2, 112.6, 106.6, 100.2, 96.7, 96.2, 97.2, 99.5, 101],
)


def _nose_height(x: np.ndarray, y: np.ndarray, skin: np.ndarray) -> np.ndarray:
    """Height of skin and nose together at frontal positions (left half)."""
    slope = np.interp(y, [-40, -28, -16, -4, 6, 16], [1.25, 1.2, 1.2, 1.1, 0.75, 0.5])
    round_off = np.interp(y, [-36, -24, -14, 4, 16], [6.0, 5.0, 4.2, 5.0, 9.0])
    ridge = _RIDGE(np.clip(y, -46, 24)) - slope * (np.sqrt(x**2 + round_off**2) - round_off)
    ridge = np.where(y < -41, ridge - (-41 - y) * 3.0, ridge) - np.maximum(y - 14, 0) * 1.2
    tip = _ball(x, y, (0, -35.4, 111.0), (10.6, 7.8, 9.2))
    wing = _ball(x, y, (11.3, -38.2, 97.5), (6.6, 7.6, 12.0))
    columella = _ball(x, y, (0, -41.8, 105.5), (3.6, 5.2, 9.0))
    nose = soft_maximum(2.9, ridge, tip, wing, columella) - 1.2
    height = soft_maximum(1.7, skin, nose)
    nostril = np.exp(-(((x - 6.4) / 2.4) ** 2) - ((y + 43.2) / 2.0) ** 2)
    groove = np.exp(-(((x - 9.0) / 2.2) ** 2) - ((y + 33.0) / 3.0) ** 2)
    return height - 3.2 * nostril - 0.9 * groove


def _nose_zone(half: np.ndarray) -> np.ndarray:
    x, y = half[..., 0], half[..., 1]
    front = (half[..., 2] > 60) & (np.arange(N_HALF + 1) < 24)
    return (
        front
        * np.clip((32 - x) / 10, 0, 1)
        * np.clip((y + 56) / 6, 0, 1)
        * np.clip((34 - y) / 8, 0, 1)
    )


def _with_nose(half: np.ndarray) -> np.ndarray:
    zone = _nose_zone(half)
    skin = half[..., 2]
    return skin + zone * (_nose_height(half[..., 0], half[..., 1], skin) - skin)


def _relax_nose(half: np.ndarray) -> None:
    """Let the grid flow along the surface to where the nose is steep, so that triangles stay fair."""
    rows = slice(ROWS["upper_lip"] + 1, ROWS["cheek"] + 4)
    columns = slice(0, 22)
    plain = _smooth_cage()[rows, columns]
    patch = half[rows, columns].copy()
    skin = Heights(plain)
    inner = np.zeros(patch.shape[:2])
    inner[1:-1, :-1] = 1
    fade = np.minimum(np.arange(patch.shape[0]), np.arange(patch.shape[0])[::-1])[:, None] / 4.0
    fade = np.minimum(fade, np.arange(patch.shape[1])[::-1][None, :] / 5.0)
    inner *= np.clip(fade, 0, 1)
    for _ in range(60):
        left = np.concatenate([patch[:, 1:2] * [-1, 1, 1], patch[:, :-1]], axis=1)
        right = np.concatenate([patch[:, 1:], patch[:, -1:]], axis=1)
        below = np.concatenate([patch[:1], patch[:-1]])
        above = np.concatenate([patch[1:], patch[-1:]])
        step = (left + right + below + above) / 4 - patch
        normal = np.cross(right - left, above - below)
        normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
        step -= normal * (step * normal).sum(axis=-1, keepdims=True)
        patch[..., :2] += inner[..., None] * step[..., :2] * [0.10, 0.35]
        patch[:, 0, 0] = 0.0
        x, y = patch[..., 0], patch[..., 1]
        base = skin(x, y)
        zone = (
            np.clip((32 - x) / 10, 0, 1) * np.clip((y + 56) / 6, 0, 1) * np.clip((34 - y) / 8, 0, 1)
        )
        z = base + zone * (_nose_height(x, y, base) - base)
        patch[..., 2] = np.where(inner > 0, z, patch[..., 2])
    half[rows, columns] = patch


class Heights:
    """Heights of a patch of the cage's surface over frontal positions."""

    def __init__(self, patch: np.ndarray) -> None:
        from scipy.interpolate import CloughTocher2DInterpolator

        both = np.concatenate([patch[:, :0:-1] * [-1, 1, 1], patch], axis=1).reshape(-1, 3)
        self.surface = CloughTocher2DInterpolator(both[:, :2], both[:, 2])

    def __call__(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return self.surface(x, y)


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
    half[..., 2] += front * (band * philtrum - 1.6 * corner)


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
        vertices[grid.eyeball_poles[side]] = centre + [0, 0, EYE_RADIUS]


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
