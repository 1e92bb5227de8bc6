"""The small pieces of the texture: eyes, lid rims, mouth bag and teeth, painted as sRGB."""

import numpy as np

from facemill.data.demo.grid import (
    BAG_BOX,
    BALL_ZOOM,
    EYE_BOX,
    LID_BOX,
    TEETH_BOX,
)
from facemill.data.demo.skin_colour import lab_to_srgb

_MARGIN = 0.004


def _box(rgb: np.ndarray, box) -> tuple[tuple[slice, slice], np.ndarray, np.ndarray]:
    """Slices of a box with a margin, and s, t of its texels (0 .. 1 inside the box)."""
    size = len(rgb)
    u0, v0, u1, v1 = box
    columns = np.arange(int((u0 - _MARGIN) * size), int(np.ceil((u1 + _MARGIN) * size)))
    rows = np.arange(int((1 - v1 - _MARGIN) * size), int(np.ceil((1 - v0 + _MARGIN) * size)))
    columns, rows = columns.clip(0, size - 1), rows.clip(0, size - 1)
    s = ((columns + 0.5) / size - u0) / (u1 - u0)
    t = (1 - (rows + 0.5) / size - v0) / (v1 - v0)
    where = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    s, t = np.meshgrid(np.unique(s), np.unique(t)[::-1])
    return where, s, t


def _mix(a: np.ndarray, b: np.ndarray, share: np.ndarray) -> np.ndarray:
    return a + (np.asarray(b) - a) * share[..., None]


def _step(x: np.ndarray, low: float | int, high: float | int) -> np.ndarray:
    t = np.clip((x - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def paint_eyes(rgb: np.ndarray, iris_lab, rng: np.random.Generator) -> None:
    """Sclera, iris with fibres and limbus, pupil, the upper lid's shade and one catch light."""
    phases = rng.uniform(0, 2 * np.pi, 12)
    iris = lab_to_srgb(np.array(iris_lab, float))
    for box in EYE_BOX.values():
        where, s, t = _box(rgb, box)
        x, y = (s - 0.5) * 2, (t - 0.5) * 2
        radius = np.hypot(x, y)
        angle = np.arctan2(y, x)
        turn = 100.0 * np.minimum(radius, 1.2) ** (1 / BALL_ZOOM)  # degrees from the pupil
        up = np.sin(np.radians(turn)) * np.sin(angle)
        eye = np.empty((*radius.shape, 3))
        eye[...] = lab_to_srgb(np.array([84.0, 1.5, 3.0]))
        eye = _mix(eye, lab_to_srgb(np.array([68.0, 15.0, 9.0])), 0.8 * _step(turn, 36, 75))
        fibres = sum(np.sin(k * angle + p) for k, p in zip(range(17, 65, 4), phases, strict=True))
        colour = iris * (1 + 0.05 * fibres * _step(turn, 7, 16))[..., None]
        colour = _mix(colour, np.clip(iris * 1.5 + 0.04, 0, 1), 0.45 * (1 - _step(turn, 10, 19)))
        colour = _mix(colour, iris * 0.25, 0.9 * _step(turn, 21.5, 27))
        colour = _mix(colour, np.array([0.012, 0.01, 0.01]), 1 - _step(turn, 8.6, 10.4))
        eye = _mix(eye, np.clip(colour, 0, 1), 1 - _step(turn, 25.6, 28.6))
        eye *= (1 - 0.42 * _step(up, 0.10, 0.42) - 0.12 * _step(-up, 0.25, 0.5))[..., None]
        a, b = turn * np.cos(angle), turn * np.sin(angle)
        eye = _mix(eye, np.ones(3), 0.92 * (1 - _step(np.hypot(a + 8.0, b - 9.0), 2.4, 5.0)))
        eye = _mix(eye, np.ones(3), 0.16 * (1 - _step(np.hypot(a - 9.0, b + 10.0), 3.0, 8.0)))
        rgb[where] = eye


def paint_lids(rgb: np.ndarray, rim: np.ndarray, lashes: float) -> None:
    """The wet rim of the lids: pink below, dark with lashes above."""
    for box in LID_BOX.values():
        where, s, t = _box(rgb, box)
        upper = _step(s, 0.51, 0.56) * (1 - _step(s, 0.95, 1.0))
        colour = np.broadcast_to(rim, (*s.shape, 3))
        colour = _mix(colour, rim * 0.25, 0.9 * lashes * upper)
        colour = _mix(colour, rim * 0.55, _step(t, 0.55, 1.0))
        rgb[where] = np.clip(colour, 0, 1)


def paint_mouth_bag(rgb: np.ndarray, lip: np.ndarray) -> None:
    """From the lips' colour over wet gum to darkness."""
    where, s, t = _box(rgb, BAG_BOX)
    colour = _mix(
        np.broadcast_to(lip, (*s.shape, 3)), np.array([0.30, 0.09, 0.085]), _step(t, 0.1, 0.36)
    )
    rgb[where] = _mix(colour, np.array([0.055, 0.018, 0.018]), _step(t, 0.34, 0.62))


def paint_teeth(rgb: np.ndarray) -> None:
    """Ivory crowns parted by dark lines, gum at their roots."""
    for jaw, box in TEETH_BOX.items():
        where, s, t = _box(rgb, box)
        root = t if jaw == "upper" else 1 - t
        arc = np.arcsin(np.clip(np.sin((2 * s - 1) * np.pi / 2 * 0.92), -1, 1))
        width = 0.30 if jaw == "upper" else 0.22
        place = np.abs((arc / width) % 1.0 - 0.0)
        gap = np.minimum(place, 1 - place)
        ivory = np.array([0.88, 0.84, 0.75])
        colour = (
            np.broadcast_to(ivory, (*s.shape, 3))
            * (1 - 0.55 * _step(np.abs(2 * s - 1), 0.35, 0.95))[..., None]
        )
        colour = colour * (0.55 + 0.45 * _step(gap, 0.0, 0.09))[..., None]
        colour = _mix(colour, np.array([0.62, 0.30, 0.29]), _step(root, 0.80, 0.86))
        rgb[where] = colour
