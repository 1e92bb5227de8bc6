"""Reading one raw scan: a mesh or a point cloud, and its landmarks, in its own frame."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Float

from facemill.data.align import read_points, welded_seams
from facemill.files import require_file
from facemill.mesh.io import read_mesh
from facemill.mesh.point_cloud import CLOUD_SUFFIXES, PointCloud, read_point_cloud, require_points
from facemill.mesh.sampling import sample_surface
from facemill.mesh.surface import Mesh

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Scan:
    """What was scanned, and the landmarks that are known, by iBUG number; own frame and unit."""

    path: Path
    shape: Mesh | PointCloud
    landmarks: Mapping[int, Float[np.ndarray, "3"]] = field(default_factory=dict)

    def spread(self, count: int, rng: np.random.Generator) -> Float[np.ndarray, "n 3"]:
        """At most ``count`` points, even over a mesh's area, or some of a cloud's."""
        if isinstance(self.shape, Mesh):
            return sample_surface(self.shape, count, rng).points
        points = self.shape.points
        return points[rng.permutation(len(points))[:count]]


def read_raw_scan(path: str | Path, landmarks: str | Path | None) -> Scan:
    """Read a scan and its landmark file (forms: docs/own-data.md), where there is one.

    Raises DataError or GeometryError naming the file where it is missing, empty, broken, or holds
    too few points to be a face.
    """
    path = Path(path)
    shape = _shape(path)
    if isinstance(shape, PointCloud):
        require_points(len(shape.points), str(path), "in the file")
        what = f"{len(shape.points)} points{' with normals' if shape.normals is not None else ''}"
        numbered = Mesh(shape.points, np.zeros((0, 3), np.int64))
    else:
        what = f"{len(shape.vertices)} vertices, {len(shape.faces)} triangles"
        numbered = shape
    known = {} if landmarks is None else read_points(landmarks, numbered)
    log.info("%s: %s, %s landmarks", path, what, len(known) or "no")
    return Scan(path, shape, known)


def _shape(path: Path) -> Mesh | PointCloud:
    """A mesh, or a cloud where the file holds points alone."""
    require_file(path, "A scan (mesh or point cloud) is expected here.")
    suffix = path.suffix.lower()
    if suffix in CLOUD_SUFFIXES and (suffix != ".ply" or not _has_faces(path)):
        return read_point_cloud(path)
    return welded_seams(read_mesh(path))


def _has_faces(ply: Path) -> bool:
    """Whether a PLY's header announces faces."""
    with open(ply, "rb") as file:
        for line in file:
            words = line.split()
            if words[:2] == [b"element", b"face"]:
                return words[2:] != [b"0"]
            if words == [b"end_header"] or file.tell() > 65536:
                break
    return False
