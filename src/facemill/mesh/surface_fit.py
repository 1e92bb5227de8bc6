"""Fitting a shape space to raw surface samples: rounds of closest points and least squares.

What all fitted baselines share. A shape space is, near its present face, an affine map from
coefficients to vertices; the coefficients are taken to be standard normal (maximum a posteriori).
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from facemill.data.packs import SamplePack
from facemill.errors import ConfigError, DataError
from facemill.files import write_npz
from facemill.mesh.distance import distance_to_mesh
from facemill.mesh.normals import barycentric, face_normals_and_areas
from facemill.mesh.sheet import face_sheet
from facemill.mesh.surface import Mesh
from facemill.randomness import generator

log = logging.getLogger(__name__)

LANDMARK_DEVIATION = 3.0
"""Noise in mm granted to the landmarks that a fit starts from."""


@dataclass(frozen=True)
class BaselineConfig:
    """How the baselines are built and fitted."""

    components: int = 256  # of the linear model at most; ImFace has as many latent numbers
    identity_components: int = 128  # of the bilinear model at most, likewise
    expression_components: int = 128
    crop_radius: float = 100.0  # mm, of the sheets
    margin: float = 20.0  # mm; vertices farther out than this beyond the sphere are left out
    points: int = 6000  # surface samples that a fit looks at
    iterations: int = 20  # rounds of closest points and least squares
    start_deviation: float = 4.0  # mm of noise granted to a sample in the first round
    end_deviation: float = 0.5  # and in the last
    tangential: float = 0.1  # weight of point-to-point beside point-to-plane residuals
    landmarks: bool = True  # start from the landmarks; they count in no later round
    nearest_points: int = 2000  # of the samples, by which the nearest training scan is chosen
    seed: int = 0  # of the samples looked at

    def __post_init__(self) -> None:
        for name in (
            "components",
            "identity_components",
            "expression_components",
            "crop_radius",
            "points",
            "iterations",
            "start_deviation",
            "end_deviation",
            "nearest_points",
        ):
            value = getattr(self, name)
            if not value > 0:
                raise ConfigError(f"{name}: found {value}, expected a number above 0")

    @property
    def deviations(self) -> Float[np.ndarray, " r"]:
        """The noise granted in each round, from coarse to fine."""
        return np.geomspace(self.start_deviation, self.end_deviation, self.iterations)


@dataclass(frozen=True)
class Pairs:
    """Samples and the places of the present face that they belong to."""

    points: Float[np.ndarray, "n 3"]
    planes: Float[np.ndarray, "n 3"]  # unit normals of the face there
    corners: Int[np.ndarray, "n 3"]  # vertices around the place
    shares: Float[np.ndarray, "n 3"]  # and their barycentric weights


def closest_pairs(
    points: Float[np.ndarray, "n 3"],
    normals: Float[np.ndarray, "n 3"],
    mesh: Mesh,
    deviation: float,
) -> Pairs | None:
    """Pair every sample with the closest point of the present face; None where none belongs.

    Pairs whose normals part by more than 60 degrees or that are far apart are left out, so that
    skirts and filled holes of the sheet do not pull.
    """
    distance, closest, faces = distance_to_mesh(points, mesh)
    facing = face_normals_and_areas(mesh)[0][faces]
    limit = max(3.0 * deviation, 3.0 * float(np.median(distance)))
    good = ((facing * normals).sum(axis=1) > 0.5) & (distance < limit)
    if not good.any():
        return None
    shares = barycentric(closest[good], mesh, faces[good])
    return Pairs(points[good], facing[good], mesh.faces[faces[good]], shares)


def solve_pairs(
    pairs: Pairs,
    base: Float[np.ndarray, "v 3"],
    components: Float[np.ndarray, "k v 3"],
    deviation: float,
    tangential: float,
) -> Float[np.ndarray, " k"]:
    """Coefficients c that bring base + c @ components closest to the samples.

    Least squares of point-to-plane residuals (and weakly point-to-point) plus |c|^2.
    """
    k = len(components)
    basis = np.einsum("kpcx,pc->pxk", components[:, pairs.corners], pairs.shares, optimize=True)
    residual = pairs.points - np.einsum("pcx,pc->px", base[pairs.corners], pairs.shares)
    rows = [np.einsum("pxk,px->pk", basis, pairs.planes)]
    values = [(residual * pairs.planes).sum(axis=1)]
    rows.append(np.sqrt(tangential) * basis.reshape(residual.size, k))
    values.append(np.sqrt(tangential) * residual.reshape(-1))
    return _ridge(np.concatenate(rows), np.concatenate(values), deviation)


def solve_landmarks(
    landmarks: Float[np.ndarray, "68 3"],
    base: Float[np.ndarray, "68 3"],
    components: Float[np.ndarray, "k 68 3"],
) -> Float[np.ndarray, " k"]:
    """Coefficients c that bring base + c @ components closest to the 68 landmarks."""
    basis = components.reshape(len(components), base.size).T.astype(np.float64)
    return _ridge(basis, (landmarks - base).reshape(-1), LANDMARK_DEVIATION)


def surface_samples(
    pack: SamplePack, expression: str, count: int, rng: np.random.Generator
) -> tuple[Float[np.ndarray, "n 3"], Float[np.ndarray, "n 3"]]:
    """Surface points and normals of a scan from a random block of its shuffled rows."""
    block = pack.block(expression, int(rng.integers(pack.rows)), min(2 * count, pack.rows))
    block = block[block[:, 6] == 0][:count].astype(np.float64)
    if len(block) == 0:
        raise DataError(f"{pack.path}: no surface sample of {expression}; sample it again.")
    return block[:, :3], block[:, 3:6]


def samples_to_fit(
    pack: SamplePack, expression: str, config: BaselineConfig
) -> tuple[Float[np.ndarray, "n 3"], Float[np.ndarray, "n 3"]]:
    """The samples of a scan that a fit looks at: the same ones for every baseline."""
    rng = generator(config.seed, "linear_model", expression)
    return surface_samples(pack, expression, config.points, rng)


Fit = Callable[
    [np.ndarray, np.ndarray, np.ndarray | None],
    tuple[np.ndarray, Mapping[str, np.ndarray]],
]
"""From points, normals and landmarks of a scan to vertices and the coefficients behind them."""


def fit_scans(
    samples: str | Path,
    fit: Fit,
    faces: Int[np.ndarray, "f 3"],
    config: BaselineConfig,
    out: str | Path,
) -> None:
    """Fit every scan of a sample pack and write sheets and coefficients (docs/data-layouts.md).

    What is written passes through the same steps as the target: crop, hidden parts off, sheet.
    """
    pack = SamplePack(samples)
    arrays: dict[str, np.ndarray] = {}
    for expression in pack.expressions:
        points, normals = samples_to_fit(pack, expression, config)
        landmarks = pack.landmarks(expression) if config.landmarks else None
        vertices, coefficients = fit(points, normals, landmarks)
        sheet = face_sheet(Mesh(vertices, faces), config.crop_radius)
        arrays[f"{expression}/vertices"] = sheet.vertices.astype(np.float32)
        arrays[f"{expression}/faces"] = sheet.faces.astype(np.int32)
        for name, values in coefficients.items():
            arrays[f"{expression}/{name}"] = values.astype(np.float32)
        log.info("%s %s fitted", pack.path.stem, expression)
    write_npz(out, arrays)


def _ridge(
    basis: Float[np.ndarray, "m k"], values: Float[np.ndarray, " m"], deviation: float
) -> Float[np.ndarray, " k"]:
    """argmin |basis c - values|^2 / deviation^2 + |c|^2."""
    normal = basis.T @ basis + deviation**2 * np.eye(basis.shape[1])
    return np.linalg.solve(normal, basis.T @ values)
