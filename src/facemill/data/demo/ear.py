"""The outer ear: concentric rings of the grid on the side of the head become its relief.

Ring 0 is the bottom of the concha, then come antihelix, scapha and the helix rim; the outermost
rings lead back under the rim to the head, so the ear stands off with an undercut behind it.
"""

import numpy as np
from scipy.interpolate import PchipInterpolator

from facemill.data.demo.cage import MERIDIANS

ROW_RANGE = (13, 77)
CENTRE = np.array([0.0, -14.0, -11.0])
HALF_LENGTH, HALF_WIDTH = 31.0, 17.0
TILT = np.radians(12.0)

# By ring (0 centre .. 1 edge of the patch): share of the ear's half axes and height of the relief.
_RINGS = np.arange(9) / 8
_RADIUS = PchipInterpolator(_RINGS, [0, 0.20, 0.40, 0.58, 0.72, 0.88, 1.0, 0.90, 0.92])
_RELIEF = PchipInterpolator(_RINGS, [-8, -7.5, -3.5, 2.4, 0.5, 2.4, 1.0, -3.0, 0.0])
_FLAP = PchipInterpolator(_RINGS, [1, 1, 1, 1, 1, 1, 0.92, 0.5, 0.0])


def raise_ear(half: np.ndarray) -> None:
    """Shape the left ear out of the side of the left half, in place."""
    first, last = MERIDIANS[9], MERIDIANS[10]
    low, high = ROW_RANGE
    patch = half[low : high + 1, first : last + 1]
    p = np.linspace(-1, 1, last - first + 1)[None, :]
    q = np.linspace(-1, 1, high - low + 1)[:, None]
    ring = np.maximum(np.abs(p), np.abs(q)) + 0 * p
    ring = np.minimum(1, 0.75 * ring + 0.25 * np.hypot(p, q) / np.sqrt(1 + 0 * p))
    ring = np.where(np.maximum(np.abs(p), np.abs(q)) >= 1, 1.0, ring)
    angle = np.arctan2(q, p)
    radius = _RADIUS(ring)
    a, b = radius * np.cos(angle), radius * np.sin(angle)
    width = HALF_WIDTH * np.interp(b, [-1, -0.5, 0.3, 1], [0.62, 0.80, 1.0, 0.95])
    back = np.cos(TILT) * a * width + np.sin(TILT) * b * HALF_LENGTH
    up = -np.sin(TILT) * a * width + np.cos(TILT) * b * HALF_LENGTH
    behind = np.clip((np.cos(angle) + 0.85) / 0.9, 0, 1)
    behind = behind**2 * (3 - 2 * behind)
    upper = np.clip((b + 0.75) / 0.35, 0, 1)
    relief = _RELIEF(ring)
    relief = np.where((ring > 0.36) & (ring < 0.85), relief * upper + 0.8 * (1 - upper), relief)
    lift = 1.5 * np.clip(1.2 - ring, 0, 1) + relief * (0.25 + 0.75 * behind)
    lift += behind * 13.0 * np.clip((a + 0.8) / 1.8, 0, 1) * _FLAP(ring)
    lift += 4.0 * np.exp(-(((p + 0.50) / 0.13) ** 2) - ((q + 0.06) / 0.13) ** 2)
    side = 75.0 + 1.5 * a
    ear = np.stack([side + 0.95 * lift, CENTRE[1] + up, CENTRE[2] - back - 0.30 * lift], axis=-1)
    blend = np.clip((ring - 0.80) / 0.2, 0, 1)
    front = np.clip((np.clip(-np.cos(angle), 0, 1) - 0.5) / 0.4, 0, 1)
    blend = np.maximum(blend, front * np.clip((ring - 0.45) / 0.4, 0, 1))
    blend = (blend**2 * (3 - 2 * blend))[..., None]
    half[low : high + 1, first : last + 1] = patch * blend + ear * (1 - blend)
