"""Pictures of one fitted scan: error map, and a strip of views from side to side."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from facemill.figures.errors import error_colours, scale_maximum
from facemill.figures.layout import grid
from facemill.figures.shading import portrait_camera, shade
from facemill.mesh.crop import without_unused_vertices
from facemill.mesh.distance import distance_to_mesh
from facemill.mesh.pseudo_samples import Oriented
from facemill.mesh.sheet import height_sheet
from facemill.mesh.surface import Mesh

if TYPE_CHECKING:
    from facemill.imface.fit_one import FittedScan

BOX = np.array([[-92.0, -96.0, -62.0], [92.0, 100.0, 44.0]])
"""Box round what the crop sphere leaves of a face, mm."""

SIZE = 300
"""Pixels of a picture's width."""

PAPER = (255, 255, 255)


def error_picture(
    fitted: "FittedScan", path: str | Path, yaws: Sequence[float] = (20, -40)
) -> None:
    """The scan, what was fitted, and the distance from the one to the other, from two sides."""
    scan = drawn(fitted.scan)
    distance, _, _ = distance_to_mesh(scan.vertices, fitted.mesh)
    maximum = scale_maximum(distance)
    colours = error_colours(distance, maximum)
    rows = []
    for yaw in yaws:
        camera = portrait_camera(BOX, float(yaw), SIZE, height=round(1.2 * SIZE))
        rows.append(
            [
                shade(scan, camera, background=PAPER),
                shade(fitted.mesh, camera, background=PAPER),
                shade(scan, camera, colours=colours, background=PAPER, contrast=0.35),
            ]
        )
    values = {score.metric: score.value for score in fitted.scores}
    grid(
        rows,
        path,
        column_labels=["scan", "ImFace", "error"],
        title=fitted.name,
        subtitle=(
            f"Scan to reconstruction: mean {values['completeness_mean']:.2f} mm, "
            f"median {values['completeness_median']:.2f} mm"
        ),
        error_maximum=maximum,
    )


def turntable(
    fitted: "FittedScan", path: str | Path, yaws: Sequence[float] = (-60, -40, -20, 0, 20, 40, 60)
) -> None:
    """The scan above and the reconstruction below, turned from side to side."""
    cameras = [portrait_camera(BOX, float(yaw), SIZE, height=round(1.2 * SIZE)) for yaw in yaws]
    scan = drawn(fitted.scan)
    grid(
        [
            [shade(mesh, camera, background=PAPER) for camera in cameras]
            for mesh in (scan, fitted.mesh)
        ],
        path,
        row_labels=["scan", "ImFace"],
        column_labels=[f"{yaw:g}°" for yaw in yaws],
        title=fitted.name,
    )


def drawn(scan: Oriented) -> Mesh:
    """The visible scan as a mesh: its own, or triangles between near points of a cloud."""
    if scan.surface is not None:
        return scan.surface
    sheet = height_sheet(scan.points)
    corners = np.asarray(sheet.vertices, np.float64)[sheet.faces]
    return without_unused_vertices(
        Mesh(sheet.vertices, sheet.faces[_longest(corners) <= max(4.0 * scan.gap, 3.0)])
    )


def _longest(corners: Float[np.ndarray, "f 3 3"]) -> Float[np.ndarray, " f"]:
    return np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=2).max(axis=1)
