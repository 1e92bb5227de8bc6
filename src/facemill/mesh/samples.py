"""From one person's face pack to their training samples: points, normals, signed distances."""

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Float32
from scipy.spatial import cKDTree

from facemill.data.landmarks import INNER_LIPS, LEFT_EYE, OUTER_LIPS, RIGHT_EYE
from facemill.data.packs import SAMPLE_COLUMNS, FacePack, write_sample_pack
from facemill.errors import ConfigError
from facemill.mesh.distance import signed_distance_sheet
from facemill.mesh.normals import corner_normals
from facemill.mesh.sampling import SurfaceSamples, sample_ball, sample_surface
from facemill.mesh.surface import Mesh
from facemill.randomness import generator

log = logging.getLogger(__name__)

SMALLEST_FREE_DISTANCE = 1e-6
"""A free point on the sheet itself gets this distance, mm: zero marks surface rows."""


@dataclass(frozen=True)
class SampleSettings:
    """Everything that changes a sample pack, besides the faces."""

    surface_points: int = 235_000
    """Points on the sheet (ImFace 1.6: 0.94 of 250 000)."""
    free_points: int = 15_000
    """Points in the crop ball (ImFace 1.6: the remaining 0.06)."""
    feature_share: float = 0.0
    """Share of the surface points on skin about eyes and mouth (ImFace: none)."""
    feature_distance: float = 12.0
    """Farthest that such a triangle's centre lies from a landmark of lids or lips, mm."""
    near_share: float = 0.0
    """Share of the free points straight before or behind a surface point (ImFace: none)."""
    near_distance: float = 40.0
    """Farthest that such a point lies from it along z, mm."""
    crop_radius: float = 100.0
    """Radius of the ball, mm."""
    seed: int = 0

    def __post_init__(self):
        if self.surface_points < 0 or self.free_points < 0 or not self.crop_radius > 0:
            raise ConfigError(
                f"surface_points, free_points, crop_radius: {self.surface_points}, "
                f"{self.free_points}, {self.crop_radius}, expected counts and a length above 0"
            )
        for name in ("near", "feature"):
            share, length = getattr(self, f"{name}_share"), getattr(self, f"{name}_distance")
            if not 0 <= share <= 1 or not length > 0:
                raise ConfigError(
                    f"{name}_share, {name}_distance: {share}, {length}, "
                    "expected a share from 0 to 1 and a length above 0"
                )


Draw = Callable[[int], SurfaceSamples]
"""So many points of a surface."""


def sample_sheet(
    sheet: Mesh,
    landmarks: Float[np.ndarray, "68 3"],
    settings: SampleSettings,
    rng: np.random.Generator,
) -> Float32[np.ndarray, "rows 7"]:
    """Rows (x y z, normal or gradient, signed distance), surface and free ones shuffled together.

    Surface points are those of :func:`surface_points`, free ones those of :func:`free_points`.
    Positions are rounded to single precision before their distance is taken.
    """
    draw = surface_points(sheet, landmarks, settings, rng)
    on = draw(settings.surface_points)
    free = free_points(draw, settings, rng).astype(np.float32)
    distance, gradient = signed_distance_sheet(free.astype(np.float64), sheet)
    size = np.maximum(np.abs(distance), SMALLEST_FREE_DISTANCE)

    rows = np.zeros((len(on.points) + len(free), SAMPLE_COLUMNS), np.float32)
    rows[: len(on.points), :3] = on.points
    rows[: len(on.points), 3:6] = on.normals
    rows[len(on.points) :, :3] = free
    rows[len(on.points) :, 3:6] = gradient
    rows[len(on.points) :, 6] = np.where(distance < 0, -size, size)
    return rows[rng.permutation(len(rows))]


def surface_points(
    sheet: Mesh,
    landmarks: Float[np.ndarray, "68 3"],
    settings: SampleSettings,
    rng: np.random.Generator,
) -> Draw:
    """Draws points uniform by area, but for the share that is wanted about eyes and mouth.

    The whole sheet counts, including its steep steps and its border: it is one surface, the free
    distances are measured to all of it, and it is what a reconstruction is compared with. Lids and
    lips are small and have the finest shape.
    """
    normals = corner_normals(sheet)
    if not settings.feature_share:
        return lambda count: sample_surface(sheet, count, rng, normals)
    tree = cKDTree(landmarks[[*RIGHT_EYE, *LEFT_EYE, *OUTER_LIPS, *INNER_LIPS]])
    distance, _ = tree.query(sheet.vertices[sheet.faces].mean(axis=1))
    near = np.flatnonzero(distance <= settings.feature_distance)
    features = Mesh(sheet.vertices, sheet.faces[near])

    def draw(count: int) -> SurfaceSamples:
        of_features = round(settings.feature_share * count) if len(near) else 0
        anywhere = sample_surface(sheet, count - of_features, rng, normals)
        if not of_features:
            return anywhere
        about = sample_surface(features, of_features, rng, normals[near])
        return SurfaceSamples(
            np.concatenate([anywhere.points, about.points]),
            np.concatenate([anywhere.normals, about.normals]),
            np.concatenate([anywhere.faces, near[about.faces]]),
        )

    return draw


def free_points(
    draw: Draw, settings: SampleSettings, rng: np.random.Generator
) -> Float[np.ndarray, "n 3"]:
    """Points in the ball: some straight before or behind drawn surface points, others anywhere.

    Uniform points hardly ever fall into an open mouth, and where nothing says that there is air a
    network may spread skin over it, or leave air behind closed lips. Those that would leave the
    ball are drawn anywhere instead.
    """
    near = round(settings.near_share * settings.free_points)
    points = draw(near).points.astype(np.float64) if near else np.empty((0, 3))
    points[:, 2] += settings.near_distance * rng.uniform(-1, 1, near)
    points = points[np.linalg.norm(points, axis=1) <= settings.crop_radius]
    others = sample_ball(settings.free_points - len(points), settings.crop_radius, rng)
    return np.concatenate([points, others])


def sample_person(
    faces: str | Path,
    person: str,
    settings: SampleSettings,
    pack: str | Path,
    manifest: str | Path,
) -> None:
    """Sample all expressions of a face pack; write the sample pack and its manifest.

    The random numbers of a scan depend on (seed, person, expression) alone. The manifest lies
    beside the pack with the same stem. About 0.5 s a scan at the published counts, so a killed job
    starts anew.
    """
    if Path(manifest) != Path(pack).with_suffix(".json"):
        raise ConfigError(f"{manifest}: the manifest of {pack} must lie beside it, as .json")
    source = FacePack(faces)
    entries: dict[str, dict] = {}

    def scans() -> Iterator[Float32[np.ndarray, "rows 7"]]:
        for expression in source.expressions:
            start = time.perf_counter()
            rng = generator(settings.seed, person, expression, "sdf")
            landmarks = source.landmarks(expression)
            yield sample_sheet(source.sheet(expression), landmarks, settings, rng)
            seconds = round(time.perf_counter() - start, 3)
            entries[expression] = {"status": "ok", "seconds": seconds}
            log.info("%s %s: %.2f s", person, expression, seconds)

    content = {
        "stage": "sdf_sample",
        "person": person,
        "settings": asdict(settings),
        "scans": entries,
        "expressions": list(source.expressions),
        "surface_points": settings.surface_points,
        "free_points": settings.free_points,
        "landmarks": {name: source.landmarks(name).tolist() for name in source.expressions},
    }
    write_sample_pack(pack, content, scans())
