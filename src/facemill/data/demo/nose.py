"""The nose: a ridge, a tip, two wings and a columella melted into the skin of the cage."""

import numpy as np
from scipy.interpolate import CloughTocher2DInterpolator, PchipInterpolator

from facemill.data.demo.cage import N_HALF, ROWS


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
    columella = _ball(x, y, (0, -41.0, 105.5), (3.8, 4.7, 9.0))
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


def with_nose(half: np.ndarray) -> np.ndarray:
    zone = _nose_zone(half)
    skin = half[..., 2]
    return skin + zone * (_nose_height(half[..., 0], half[..., 1], skin) - skin)


def relax_nose(half: np.ndarray, plain: np.ndarray) -> None:
    """Let the grid flow along the surface to where the nose is steep; triangles stay fair."""
    rows = slice(ROWS["upper_lip"] + 1, ROWS["cheek"] + 4)
    columns = slice(0, 22)
    plain = plain[rows, columns]
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
        patch[..., :2] += inner[..., None] * step[..., :2] * [0.03, 0.35]
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
        both = np.concatenate([patch[:, :0:-1] * [-1, 1, 1], patch], axis=1).reshape(-1, 3)
        self.surface = CloughTocher2DInterpolator(both[:, :2], both[:, 2])

    def __call__(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return self.surface(x, y)
