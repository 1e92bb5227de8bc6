"""Do views agree with each other? Colours carried from one view to its neighbour by depth.

A picture made view by view (by a 2D network, say) can look right alone and flicker when the camera
moves. Geometry and cameras say which pixels of two views see the same point of the surface; on an
unlit surface these must have one colour.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from facemill.errors import DataError
from facemill.render.cameras import Camera

DEPTH_TOLERANCE = 2.0
"""Depths in mm that may differ for a pixel of the other view to show the same point."""


@dataclass(frozen=True)
class View:
    """A picture with colours in [0, 1], the depth (camera z, mm; 0: nothing) and the camera."""

    colour: Float[np.ndarray, "h w 3"]
    depth: Float[np.ndarray, "h w"]
    camera: Camera


def carried(
    view: View, other: View, tolerance: float = DEPTH_TOLERANCE
) -> tuple[Float[np.ndarray, "h w 3"], Bool[np.ndarray, "h w"]]:
    """What ``other`` shows at the points that ``view``'s pixels see, and where it does.

    A pixel counts where the four pixels of ``other`` round its projection all lie on the same
    surface: their depth differs by at most ``tolerance`` mm, beyond what a straight surface through
    them would have. Colours between pixels are bilinear.
    """
    height, width = view.depth.shape
    seen = np.flatnonzero(view.depth.ravel() > 0)
    depth = view.depth.ravel()[seen].astype(np.float64)
    points = view.camera.unproject(view.camera.image_points(seen), depth)
    image, z = other.camera.project(points)
    place = image - 0.5  # whole numbers are pixel centres
    corner = np.floor(place).astype(np.int64)
    limit = [other.camera.width - 2, other.camera.height - 2]
    inside = ((corner >= 0) & (corner <= limit)).all(axis=1)
    seen, z, place, corner = seen[inside], z[inside], place[inside], corner[inside]
    right, down = (place - corner).T
    weights = np.stack([(1 - right) * (1 - down), right * (1 - down), (1 - right) * down])
    weights = np.concatenate([weights, (right * down)[None]])
    columns = corner[:, 0] + np.array([[0], [1], [0], [1]])
    rows = corner[:, 1] + np.array([[0], [0], [1], [1]])
    depths = other.depth[rows, columns].astype(np.float64)
    same = (depths > 0).all(axis=0)
    same &= np.abs((weights * depths).sum(axis=0) - z) <= tolerance
    # A step in depth between the four: some of them show something else.
    same &= np.ptp(depths, axis=0) <= 4 * tolerance
    colours = (weights[..., None] * other.colour[rows, columns]).sum(axis=0)
    found = np.zeros((height * width, 3))
    valid = np.zeros(height * width, bool)
    found[seen[same]] = colours[same]
    valid[seen[same]] = True
    return found.reshape(height, width, 3), valid.reshape(height, width)


def reprojection_error(view: View, other: View, tolerance: float = DEPTH_TOLERANCE) -> float:
    """Mean absolute colour difference where both views see the same point, both ways averaged.

    0 would be perfect; what resampling alone leaves is the error of the true pictures. Raises
    DataError if the views share no point.
    """
    errors = []
    for one, two in ((view, other), (other, view)):
        colours, valid = carried(one, two, tolerance)
        if not valid.any():
            raise DataError(
                "the two views have no point of the surface in common; compare neighbours."
            )
        errors.append(np.abs(colours - one.colour)[valid].mean())
    return float(np.mean(errors))
