"""The single-valued sheet z = h(x, y) over the visible face: ImFace's pseudo-watertight mesh.

It is not closed. It divides the crop ball into "in front" and "behind" and is what ImFace trains
on and is measured against; for inside and outside of a head see :mod:`facemill.mesh.closing`.
"""

import numpy as np
from jaxtyping import Float
from scipy.spatial import Delaunay, QhullError

from facemill.errors import GeometryError
from facemill.mesh.crop import crop_to_sphere, without_unused_vertices
from facemill.mesh.projection import triangles_at
from facemill.mesh.surface import Mesh
from facemill.mesh.visibility import visible_part


def face_sheet(mesh: Mesh, crop_radius: float = 100.0) -> Mesh:
    """A scan in the face frame to its sheet: crop about the origin, hidden parts off, Delaunay."""
    return height_sheet(visible_part(crop_to_sphere(mesh, np.zeros(3), crop_radius)).vertices)


def height_sheet(points: Float[np.ndarray, "n 3"]) -> Mesh:
    """Delaunay triangulation of the points' (x, y), every face towards +z.

    ImFace throws the visible faces away and spans the convex hull of the projected vertices, which
    closes mouth, lids and nostrils and leaves one outer border. Of points that coincide in (x, y)
    the highest stays. Coordinates are rounded to single precision first, which is how packs keep
    them, so that the triangulation is one of the stored points.
    """
    points = np.asarray(points, np.float32).astype(np.float64)
    order = np.lexsort((-points[:, 2], points[:, 1], points[:, 0]))
    ordered = points[order]
    again = (np.diff(ordered[:, :2], axis=0) == 0).all(axis=1)
    points = points[np.sort(order[np.concatenate([[True], ~again])])]
    try:
        # The origin is moved to the middle: qhull's tolerances grow with the largest coordinate.
        faces = Delaunay(points[:, :2] - points[:, :2].mean(axis=0)).simplices.astype(np.int64)
    except (QhullError, ValueError) as error:
        raise GeometryError(
            f"no height field over {len(points)} visible points: {str(error).splitlines()[0]}"
        ) from None
    area = _projected_area(points, faces)
    faces = np.where((area < 0)[:, None], faces[:, ::-1], faces)
    # What is left of cocircular or border points on one line has no area and no height.
    faces = faces[np.abs(area) > 1e-9]
    return without_unused_vertices(Mesh(points, faces))


def height(sheet: Mesh, xy: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, " n"]:
    """h(x, y) of the sheet, not-a-number outside its hull."""
    points, _, z = triangles_at(xy, np.asarray(sheet.vertices, np.float64), sheet.faces)
    result = np.full(len(xy), np.nan)
    result[points] = z
    return result


def _projected_area(points: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Signed area of the faces' projections along z, positive where they face +z."""
    a, b, c = (points[faces[:, i], :2] for i in range(3))
    return 0.5 * (
        (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0])
    )
