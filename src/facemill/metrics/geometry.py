"""How far a reconstructed face lies from the scan: distances, F-scores, normal angles.

Definitions and formulas: docs/metrics.md. All lengths are millimetres in the face frame. Two kinds
of distance are told apart by name: the plain names use exact distances from area-uniform samples of
one surface to the triangles of the other; ``*_sampled`` uses the nearest of a finite set of
samples, as ImFace's evaluation publishes it, which never falls below the sampling floor.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.spatial import cKDTree

from facemill.errors import ConfigError
from facemill.mesh.distance import distance_to_mesh
from facemill.mesh.frames import NOSE_TIP, Similarity
from facemill.mesh.normals import barycentric, corner_normals, face_normals_and_areas, interpolated
from facemill.mesh.sampling import SurfaceSamples, sample_surface
from facemill.mesh.surface import Mesh
from facemill.metrics.registration import rigid_icp

THRESHOLDS = (0.5, 1.0, 2.0)
"""Distances in mm below which a point counts as hit in the F-scores."""


@dataclass(frozen=True)
class EvaluateConfig:
    """How much is sampled, and what the inner face is."""

    points: int = 150_000  # per surface for the sampled metrics (ImFace's evaluation)
    exact_points: int = 30_000  # per surface for exact distances, at most `points`
    icp_points: int = 20_000  # of those that the rigid alignment looks at
    inner_radius: float = 80.0  # mm about the nose tip that bound the inner face
    inner_slope: float = 0.17  # least |n_z| of its triangles: no skirts across depth steps
    inner_edge: float = 8.0  # mm, longest edge of its triangles: no slivers that fill the hull
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("points", "exact_points", "icp_points", "inner_radius", "inner_edge"):
            value = getattr(self, name)
            if not value > 0:
                raise ConfigError(f"{name}: found {value}, expected a number above 0")


@dataclass(frozen=True)
class OneWay:
    """From the samples of one surface to the other: distance in mm, angle in degrees, face met."""

    distance: Float[np.ndarray, " n"]
    angle: Float[np.ndarray, " n"]
    face: Int[np.ndarray, " n"]


@dataclass(frozen=True)
class Surface:
    """One side of a comparison: a mesh, the normals at its faces' corners, points sampled on it."""

    mesh: Mesh
    normals: Float[np.ndarray, "f 3 3"]
    samples: SurfaceSamples

    def moved(self, motion: Similarity) -> "Surface":
        """The same points and faces elsewhere."""
        points, turned = motion.apply(self.samples.points), motion.apply_to_normals
        return Surface(
            Mesh(motion.apply(self.mesh.vertices), self.mesh.faces),
            turned(self.normals),
            SurfaceSamples(points, turned(self.samples.normals), self.samples.faces),
        )


def one_way(samples: SurfaceSamples, onto: Surface) -> OneWay:
    """Exact distance and angle of normals from samples of one surface to another mesh."""
    distance, closest, faces = distance_to_mesh(samples.points, onto.mesh)
    normals = interpolated(onto.normals, faces, barycentric(closest, onto.mesh, faces))
    cosine = np.clip((samples.normals * normals).sum(axis=1), -1.0, 1.0)
    return OneWay(distance, np.degrees(np.arccos(cosine)), faces)


def f_score(
    accuracy: Float[np.ndarray, " n"], completeness: Float[np.ndarray, " m"], threshold: float
) -> float:
    """Harmonic mean, in percent, of the shares of both distance sets within ``threshold``."""
    precision, recall = np.mean(accuracy <= threshold), np.mean(completeness <= threshold)
    total = precision + recall
    return float(200.0 * precision * recall / total) if total > 0 else 0.0


def inner_faces(target: Mesh, config: EvaluateConfig) -> Bool[np.ndarray, " f"]:
    """Triangles of the target sheet that are face: near the nose, no skirt, no hull filling."""
    corners = np.asarray(target.vertices, np.float64)[target.faces]
    longest = np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=-1).max(axis=1)
    near = np.linalg.norm(corners.mean(axis=1) - NOSE_TIP, axis=1) <= config.inner_radius
    upright = np.abs(face_normals_and_areas(target)[0][:, 2]) >= config.inner_slope
    return near & upright & (longest <= config.inner_edge)


def exact_metrics(accuracy: OneWay, completeness: OneWay) -> dict[str, float]:
    """Point-to-surface statistics, F-scores and normal angle of a pair of one-way comparisons.

    ``point_to_surface_*`` is the mean of the statistic over the two directions.
    """
    statistics = {
        "mean": np.mean,
        "median": np.median,
        "rms": lambda d: np.sqrt(np.mean(d**2)),
        "p95": lambda d: np.quantile(d, 0.95),
    }
    a, c = accuracy.distance, completeness.distance
    metrics = {
        f"point_to_surface_{name}": float((of(a) + of(c)) / 2) for name, of in statistics.items()
    }
    metrics |= {"accuracy_mean": float(np.mean(a)), "completeness_mean": float(np.mean(c))}
    metrics |= {f"f_score_{t:g}mm": f_score(a, c, t) for t in THRESHOLDS}
    angle = (np.mean(accuracy.angle) + np.mean(completeness.angle)) / 2
    return metrics | {"normal_angle_mean": float(angle)}


def sampled_metrics(
    ours: Float[np.ndarray, "n 3"],
    theirs: Float[np.ndarray, "m 3"],
    inner: Bool[np.ndarray, " m"],
) -> dict[str, float]:
    """Chamfer distance in mm and F-scores in percent, as ImFace's evaluation has them.

    ``inner`` tells which samples of the target lie on the inner face: ``*_inner`` counts these and
    the samples of ours whose nearest one is among them.
    """
    a, nearest = cKDTree(theirs).query(ours)
    c, _ = cKDTree(ours).query(theirs)
    metrics = _chamfer_and_f(a, c)
    on_inner = inner[nearest]
    if on_inner.any() and inner.any():
        metrics |= _named("inner", _chamfer_and_f(a[on_inner], c[inner]))
    return metrics


def compare(
    reconstruction: Mesh, target: Mesh, config: EvaluateConfig, rng: np.random.Generator
) -> dict[str, float]:
    """All metrics of one reconstruction against the target sheet, by name (docs/metrics.md).

    ``*_inner``: the inner face alone. ``*_icp``: after a rigid alignment of the reconstruction.
    ``*_floor``: the target against a second sampling of itself, the least that samples can give.
    """

    def sampled(mesh: Mesh, normals: Float[np.ndarray, "f 3 3"]) -> Surface:
        return Surface(mesh, normals, sample_surface(mesh, config.points, rng, normals))

    theirs = sampled(target, corner_normals(target))
    again = sampled(target, theirs.normals)
    ours = sampled(reconstruction, corner_normals(reconstruction))
    inner = inner_faces(target, config)
    of_inner = inner[theirs.samples.faces]
    k = config.icp_points
    aligned = ours.moved(rigid_icp(ours.samples.points[:k], theirs.samples.points[: 5 * k]))

    def measured(side: Surface) -> dict[str, float]:
        exact = _exact_full_and_inner(side, theirs, inner, config)
        return exact | sampled_metrics(side.samples.points, theirs.samples.points, of_inner)

    floor = sampled_metrics(again.samples.points, theirs.samples.points, of_inner)
    # The target needs no alignment with itself: its floor is the same with and without.
    floors = _named("floor", floor) | _named("icp_floor", floor)
    return measured(ours) | _named("icp", measured(aligned)) | floors


def unit_of(metric: str) -> str:
    """The unit that belongs to a metric's name."""
    if metric.startswith("f_score"):
        return "%"
    return "degree" if metric.startswith("normal_angle") else "mm"


def _exact_full_and_inner(
    ours: Surface, theirs: Surface, inner: Bool[np.ndarray, " f"], config: EvaluateConfig
) -> dict[str, float]:
    """Exact metrics over the full sheet and, as ``*_inner``, over the inner face of the target."""
    count = min(config.exact_points, config.points)
    from_us, from_them = _first(ours.samples, count), _first(theirs.samples, count)
    accuracy, completeness = one_way(from_us, theirs), one_way(from_them, ours)
    metrics = exact_metrics(accuracy, completeness)
    on_inner, of_inner = inner[accuracy.face], inner[from_them.faces]
    if on_inner.any() and of_inner.any():
        inside = exact_metrics(_where(accuracy, on_inner), _where(completeness, of_inner))
        metrics |= _named("inner", inside)
    return metrics


def _chamfer_and_f(
    accuracy: Float[np.ndarray, " n"], completeness: Float[np.ndarray, " m"]
) -> dict[str, float]:
    """Mean and F-scores of distances between samples."""
    scores = {f"f_score_{t:g}mm_sampled": f_score(accuracy, completeness, t) for t in THRESHOLDS}
    return {"chamfer_sampled": float((accuracy.mean() + completeness.mean()) / 2)} | scores


def _first(samples: SurfaceSamples, count: int) -> SurfaceSamples:
    return SurfaceSamples(samples.points[:count], samples.normals[:count], samples.faces[:count])


def _where(way: OneWay, keep: Bool[np.ndarray, " n"]) -> OneWay:
    return OneWay(way.distance[keep], way.angle[keep], way.face[keep])


def _named(ending: str, metrics: Mapping[str, float]) -> dict[str, float]:
    return {f"{name}_{ending}": value for name, value in metrics.items()}
