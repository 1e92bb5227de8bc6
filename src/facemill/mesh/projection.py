"""Which triangles lie on the line along z through a point: exact, by bins in the xy plane."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float, Int

PAIRS_AT_ONCE = 4_000_000
"""Candidate pairs tested at a time, which bounds the memory (about 0.4 GB)."""


def triangles_at(
    xy: Float[np.ndarray, "n 2"],
    vertices: Float[np.ndarray, "v 3"],
    faces: Int[np.ndarray, "f 3"],
) -> tuple[Int[np.ndarray, " hits"], Int[np.ndarray, " hits"], Float[np.ndarray, " hits"]]:
    """All pairs (point, face) where the vertical line through the point meets the face.

    Returns point numbers, face numbers and the z of each meeting. Borders belong to the face, so a
    line cannot slip between two neighbours; faces that stand exactly upright have no z and are
    left out.
    """
    found = [
        _meetings(xy, vertices, faces, points, candidates)
        for points, candidates in _candidates(xy, vertices[faces][:, :, :2])
    ]
    if not found:
        return np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0)
    return tuple(np.concatenate(part) for part in zip(*found, strict=True))


def _meetings(xy, vertices, faces, points, candidates):
    """Of the candidate pairs those that meet, with z by barycentric coordinates."""
    corners = vertices[faces[candidates]]
    x, y = (xy[points] - corners[:, 0, :2]).T
    first = corners[:, 1] - corners[:, 0]
    second = corners[:, 2] - corners[:, 0]
    area = first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0]
    # A point counts as on the border within rounding: 1e-13 of the squared extent.
    extent = max(np.ptp(vertices[:, 0]), np.ptp(vertices[:, 1]), 1e-300)
    slack = 1e-13 * extent**2
    sign = np.sign(area)
    beyond_second = sign * (x * second[:, 1] - y * second[:, 0])
    beyond_first = sign * (first[:, 0] * y - first[:, 1] * x)
    size = np.abs(area)
    hit = (beyond_second >= -slack) & (beyond_first >= -slack)
    hit &= (size - beyond_second - beyond_first >= -slack) & (size > slack)
    points, candidates, size = points[hit], candidates[hit], size[hit]
    z = (
        corners[hit, 0, 2]
        + beyond_second[hit] / size * first[hit, 2]
        + beyond_first[hit] / size * second[hit, 2]
    )
    return points, candidates, z


def _candidates(
    xy: np.ndarray, corners: np.ndarray
) -> Iterator[tuple[Int[np.ndarray, " p"], Int[np.ndarray, " p"]]]:
    """Pairs (point, face) that share a bin, a bounded number at a time."""
    if len(xy) == 0 or len(corners) == 0:
        return
    low = corners.min(axis=(0, 1))
    extent = corners.max(axis=(0, 1)) - low
    extent = np.maximum(extent, max(1e-6 * extent.max(), 1e-300))
    bins = np.maximum(np.sqrt(len(corners) * extent / extent[::-1]), 1.0).astype(np.int64)
    bins = np.minimum(bins, 4096)

    def cell(position: np.ndarray) -> np.ndarray:
        return np.clip((position - low) / extent * bins, 0, bins - 1).astype(np.int64)

    within = ((xy >= low) & (xy <= low + extent)).all(axis=1)
    of_point = cell(xy)
    key_of_point = np.where(within, of_point[:, 1] * bins[0] + of_point[:, 0], -1)
    faces, keys = _bins_of_boxes(cell(corners.min(axis=1)), cell(corners.max(axis=1)), bins)
    occupied = np.zeros(bins[0] * bins[1], bool)
    occupied[key_of_point[within]] = True
    faces, keys = faces[occupied[keys]], keys[occupied[keys]]
    order = np.argsort(keys, kind="stable")
    faces, keys = faces[order], keys[order]

    first = np.searchsorted(keys, key_of_point, "left")
    count = np.searchsorted(keys, key_of_point, "right") - first
    total = np.cumsum(count)
    start = 0
    while start < len(xy):
        done = total[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(total, done + PAIRS_AT_ONCE, "right")))
        points, offset = _repeated(count[start:stop])
        yield start + points, faces[first[start + points] + offset]
        start = stop


def _bins_of_boxes(low: np.ndarray, high: np.ndarray, bins: np.ndarray):
    """Box number and bin key of every bin that each box touches."""
    size = high - low + 1
    boxes, offset = _repeated(size[:, 0] * size[:, 1])
    x = low[boxes, 0] + offset % size[boxes, 0]
    y = low[boxes, 1] + offset // size[boxes, 0]
    return boxes, y * bins[0] + x


def _repeated(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Item i ``counts[i]`` times, and 0, 1, ... within each run."""
    items = np.repeat(np.arange(len(counts)), counts)
    starts = np.cumsum(counts) - counts
    return items, np.arange(len(items)) - starts[items]
