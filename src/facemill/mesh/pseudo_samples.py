"""Signed distance samples from a scan of unknown completeness: a piece, a cloud, one with holes.

The samples that ImFace trains on (:mod:`facemill.mesh.samples`) are measured against a whole
sheet. A piece of a face has no such sheet: where it ends, the face goes on, and a distance to its
rim is no distance to the face. So only what is certain is sampled: points of the surface, and
points off it that no unseen part of the face can be nearer to.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32
from scipy.spatial import cKDTree

from facemill.data.packs import SAMPLE_COLUMNS
from facemill.errors import GeometryError
from facemill.mesh.crop import crop_to_sphere
from facemill.mesh.frames import Similarity
from facemill.mesh.point_cloud import (
    PointCloud,
    border_points,
    front_normals,
    in_front,
    require_points,
    spacing,
    without_outliers,
)
from facemill.mesh.sampling import sample_surface
from facemill.mesh.surface import Mesh
from facemill.mesh.visibility import visible_part

REACH = 10.0
"""mm; free samples lie up to this far from the surface, on both sides."""

FREE_SHARE = 0.2
"""Of the samples that lie off the surface."""


@dataclass(frozen=True)
class Oriented:
    """Points of the visible surface inside the crop ball, face frame, mm; unit normals, n_z >= 0.

    ``gap`` is the median distance between neighbours, ``surface`` the visible mesh where the scan
    is one.
    """

    points: Float[np.ndarray, "n 3"]
    normals: Float[np.ndarray, "n 3"]
    gap: float
    surface: Mesh | None = None


def visible_surface(
    scan: Mesh | PointCloud,
    to_face: Similarity,
    radius: float,
    count: int,
    rng: np.random.Generator,
    name: str,
) -> Oriented:
    """What of a scan is seen from the front inside the ball, as at most ``count`` oriented points.

    A mesh is cropped, rid of hidden parts as in preparation, and sampled evenly. Of a cloud,
    outliers and hidden points are dropped. Raises GeometryError where too little is left.
    """
    if isinstance(scan, Mesh):
        moved = Mesh(to_face.apply(scan.vertices), scan.faces)
        try:
            surface = visible_part(crop_to_sphere(moved, np.zeros(3), radius))
        except GeometryError as error:
            raise GeometryError(f"{name}: {error}") from None
        samples = sample_surface(surface, count, rng)
        front = np.where(samples.normals[:, 2:] < 0, -samples.normals, samples.normals)
        return Oriented(samples.points, front, spacing(samples.points), surface)
    normals = None if scan.normals is None else to_face.apply_to_normals(scan.normals)
    cloud = PointCloud(to_face.apply(scan.points), normals)
    cloud = cloud.take(np.linalg.norm(cloud.points, axis=1) <= radius)
    require_points(len(cloud.points), name, f"within {radius:g} mm of the middle of the face")
    cloud = without_outliers(cloud)
    gap = spacing(cloud.points)
    cloud = cloud.take(in_front(cloud.points, gap))
    require_points(len(cloud.points), name, "are visible from the front")
    normals = front_normals(cloud, gap)
    if len(cloud.points) > count:
        chosen = np.sort(rng.permutation(len(cloud.points))[:count])
        cloud, normals = cloud.take(chosen), normals[chosen]
    return Oriented(cloud.points, normals, gap)


def pseudo_samples(
    surface: Oriented, count: int, rng: np.random.Generator
) -> Float32[np.ndarray, "count 7"]:
    """Rows (x y z, normal, signed distance, positive in front), mm, shuffled, as in sample packs.

    Off the surface: q = p + t n with distance t. Kept where no other point of the scan is nearer
    than |t| (less a tenth), and where |t| is at most half of p's way to the border: then, by the
    triangle inequality, nothing beyond the border is nearer either. What cannot be had off the
    surface is made up on it.
    """
    free = _free_samples(surface, round(FREE_SHARE * count), rng)
    rest = count - len(free)
    order = rng.permutation(len(surface.points))
    order = np.resize(order, rest)
    rows = np.zeros((count, SAMPLE_COLUMNS), np.float32)
    rows[:rest, :3] = surface.points[order]
    rows[:rest, 3:6] = surface.normals[order]
    rows[rest:] = free
    return rows[rng.permutation(count)]


def _free_samples(
    surface: Oriented, count: int, rng: np.random.Generator
) -> Float32[np.ndarray, "m 7"]:
    """At most ``count`` rows off the surface."""
    points, normals = surface.points, surface.normals
    tree = cKDTree(points)
    border = border_points(points, normals)
    room = np.full(len(points), np.inf)
    if border.any():
        room = cKDTree(points[border]).query(points)[0]
    foot = rng.integers(len(points), size=4 * count)
    t = rng.uniform(-REACH, REACH, len(foot))
    foot, t = (part[np.abs(t) <= room[foot] / 2] for part in (foot, t))
    q = points[foot] + t[:, None] * normals[foot]
    alone = tree.query(q)[0] >= 0.9 * np.abs(t)
    rows = np.concatenate([q, normals[foot], t[:, None]], axis=1)[alone]
    return rows[:count].astype(np.float32)
