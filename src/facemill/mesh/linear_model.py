"""The linear baselines: a PCA face model of the registered training scans, and their mean face.

Built from the same training scans that a neural system sees (train people, seen expressions) and
fitted to the same raw surface samples of an unseen scan, without correspondence. What is evaluated
passes through the same steps as the target: crop, hidden parts off, height-field sheet.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from facemill.data.index import load_index
from facemill.data.packs import FacePack, SamplePack
from facemill.errors import ConfigError, DataError
from facemill.files import reading_npz, write_npz
from facemill.mesh.distance import distance_to_mesh
from facemill.mesh.normals import barycentric, face_normals_and_areas
from facemill.mesh.sheet import face_sheet
from facemill.mesh.surface import Mesh
from facemill.mesh.visibility import hidden_vertices
from facemill.randomness import generator
from facemill.training.settings import from_settings

log = logging.getLogger(__name__)

METHODS = ("pca", "mean")
MODEL_AGAIN = "Delete it to have baseline_train make it again."


@dataclass(frozen=True)
class LinearModel:
    """vertices = mean + coefficients @ components; millimetres, face frame.

    Components are scaled so that the training scans' coefficients have unit variance. Only the part
    of the head that can show inside the crop sphere is modelled.
    """

    mean: Float[np.ndarray, "v 3"]
    components: Float[np.ndarray, "k v 3"]
    std: Float[np.ndarray, " k"]  # rms over the surface in mm that one unit of each component makes
    landmarks: Int[np.ndarray, "68"]
    faces: Int[np.ndarray, "f 3"]
    source: str

    def vertices(self, coefficients: Float[np.ndarray, " k"]) -> Float[np.ndarray, "v 3"]:
        """The face that the coefficients stand for."""
        return self.mean + np.tensordot(coefficients, self.components, 1)


@dataclass(frozen=True)
class LinearModelConfig:
    """How the model is built and fitted."""

    components: int = 256  # at most; the systems it is compared with have as many latent numbers
    crop_radius: float = (
        100.0  # mm, of the sheets; vertices beyond by more than `margin` are left out
    )
    margin: float = 20.0  # mm
    points: int = 6000  # surface samples that a fit looks at
    iterations: int = 20  # rounds of closest points and least squares
    start_deviation: float = 4.0  # mm of noise granted to a sample in the first round
    end_deviation: float = 0.5  # and in the last
    tangential: float = 0.1  # weight of point-to-point beside point-to-plane residuals
    landmarks: bool = True  # start from the landmarks; they count in no later round
    seed: int = 0  # of the samples looked at

    def __post_init__(self) -> None:
        for name in ("components", "crop_radius", "points", "iterations", "end_deviation"):
            value = getattr(self, name)
            if not value > 0:
                raise ConfigError(f"{name}: found {value}, expected a number above 0")


def train_linear_model(
    index: str | Path, faces: str | Path, settings: Mapping[str, Any], out: str | Path
) -> LinearModel:
    """PCA of the registered vertices of all training scans; writes the model as .npz.

    Scans of another vertex count than most are left out with a line in the log. At most as many
    components as scans less one exist.
    """
    config = from_settings(LinearModelConfig, settings, "baselines")
    scans, expressions, mesh, landmarks = _registered_scans(load_index(index), Path(faces))
    kept = _modelled_vertices(scans, expressions, mesh.faces, config)
    number = np.cumsum(kept) - 1
    used = mesh.faces[kept[mesh.faces].all(axis=1)]
    model = principal_components(
        scans[:, kept],
        number[used],
        landmarks=number[_nearest_kept(scans.mean(axis=0), landmarks, kept)],
        components=config.components,
        source=f"{len(scans)} scans, {len(mesh.vertices)} vertices",
    )
    log.info(
        "linear model of %d scans: %d components of %d asked for, %d of %d vertices",
        len(scans), len(model.components), config.components, kept.sum(), len(kept),
    )  # fmt: skip
    write_npz(out, vars(model) | {"source": np.array(model.source)})
    return model


def load_linear_model(path: str | Path) -> LinearModel:
    """Read what :func:`train_linear_model` wrote."""
    with reading_npz(path, MODEL_AGAIN) as arrays:
        fields = {name: arrays[name] for name in LinearModel.__dataclass_fields__}
    return LinearModel(**fields | {"source": str(fields["source"])})


def principal_components(
    scans: Float[np.ndarray, "n v 3"],
    faces: Int[np.ndarray, "f 3"],
    *,
    landmarks: Int[np.ndarray, "68"],
    components: int,
    source: str,
) -> LinearModel:
    """PCA in the metric of the surface: a vertex counts with its share of the mean face's area."""
    mean = scans.mean(axis=0, dtype=np.float64)
    weight = np.sqrt(_vertex_areas(mean, faces))[:, None]
    weight /= np.sqrt((weight**2).sum())
    offsets = ((scans - mean) * weight).reshape(len(scans), -1)
    variance, vectors = np.linalg.eigh(offsets @ offsets.T / max(len(scans) - 1, 1))
    k = min(components, len(scans) - 1)
    order = np.argsort(variance)[::-1][:k]
    order = order[variance[order] > 1e-10 * max(variance.max(), 1e-12)]
    unit = (vectors[:, order].T @ (scans - mean).reshape(len(scans), -1)) / np.sqrt(len(scans) - 1)
    return LinearModel(
        mean=mean.astype(np.float32),
        components=unit.reshape(len(order), -1, 3).astype(np.float32),
        std=np.sqrt(variance[order]).astype(np.float32),
        landmarks=np.asarray(landmarks, np.int32),
        faces=np.asarray(faces, np.int32),
        source=source,
    )


def fit_to_surface(
    model: LinearModel,
    points: Float[np.ndarray, "n 3"],
    normals: Float[np.ndarray, "n 3"],
    config: LinearModelConfig,
    landmarks: Float[np.ndarray, "68 3"] | None = None,
) -> Float[np.ndarray, " k"]:
    """Coefficients of the face closest to oriented surface samples (maximum a posteriori).

    Each round pairs every sample with the closest point of the current face and solves the least
    squares of point-to-plane residuals (and weakly point-to-point) plus |coefficients|^2. Pairs
    whose normals part by more than 60 degrees or that are far apart are left out, so that skirts
    and filled holes of the sheet do not pull.
    """
    k = len(model.components)
    coefficients = np.zeros(k)
    if landmarks is not None:
        basis = model.components[:, model.landmarks].reshape(k, -1).T.astype(np.float64)
        residual = (landmarks - model.mean[model.landmarks]).reshape(-1)
        coefficients = _ridge(basis, residual, 3.0)
    for deviation in np.geomspace(config.start_deviation, config.end_deviation, config.iterations):
        vertices = model.vertices(coefficients)
        mesh = Mesh(vertices, model.faces)
        distance, closest, faces = distance_to_mesh(points, mesh)
        facing = face_normals_and_areas(mesh)[0][faces]
        limit = max(3.0 * deviation, 3.0 * float(np.median(distance)))
        good = ((facing * normals).sum(axis=1) > 0.5) & (distance < limit)
        if not good.any():
            break
        corners = model.faces[faces[good]]
        shares = barycentric(closest[good], mesh, faces[good])
        basis = np.einsum("kpcx,pc->pxk", model.components[:, corners], shares, optimize=True)
        base = np.einsum("pcx,pc->px", model.mean[corners], shares)
        residual, plane = points[good] - base, facing[good]
        rows = [np.einsum("pxk,px->pk", basis, plane)]
        values = [(residual * plane).sum(axis=1)]
        rows.append(np.sqrt(config.tangential) * basis.reshape(-1, k))
        values.append(np.sqrt(config.tangential) * residual.reshape(-1))
        coefficients = _ridge(np.concatenate(rows), np.concatenate(values), deviation)
    return coefficients


def fit_person(
    model: str | Path,
    samples: str | Path,
    *,
    method: str,
    settings: Mapping[str, Any],
    out: str | Path,
) -> None:
    """Fit every scan of a person and write the sheets, as a fit file (docs/data-layouts.md).

    ``pca`` fits the model to the scan's surface samples; ``mean`` fits nothing and gives the mean
    of all training scans for every scan.
    """
    if method not in METHODS:
        raise ConfigError(f"method: found {method}, expected one of {', '.join(METHODS)}")
    config = from_settings(LinearModelConfig, settings, "baselines")
    linear = load_linear_model(model)
    pack = SamplePack(samples)
    arrays: dict[str, np.ndarray] = {}
    for expression in pack.expressions:
        coefficients = np.zeros(len(linear.components))
        if method == "pca":
            rng = generator(config.seed, "linear_model", expression)
            points, normals = surface_samples(pack, expression, config.points, rng)
            landmarks = pack.landmarks(expression) if config.landmarks else None
            coefficients = fit_to_surface(linear, points, normals, config, landmarks)
        sheet = face_sheet(Mesh(linear.vertices(coefficients), linear.faces), config.crop_radius)
        arrays[f"{expression}/vertices"] = sheet.vertices.astype(np.float32)
        arrays[f"{expression}/faces"] = sheet.faces.astype(np.int32)
        arrays[f"{expression}/coefficients"] = coefficients.astype(np.float32)
        log.info("%s %s fitted", method, expression)
    write_npz(out, arrays)


def surface_samples(
    pack: SamplePack, expression: str, count: int, rng: np.random.Generator
) -> tuple[Float[np.ndarray, "n 3"], Float[np.ndarray, "n 3"]]:
    """Surface points and normals of a scan from a random block of its shuffled rows."""
    block = pack.block(expression, int(rng.integers(pack.rows)), min(2 * count, pack.rows))
    block = block[block[:, 6] == 0][:count].astype(np.float64)
    if len(block) == 0:
        raise DataError(f"{pack.path}: no surface sample of {expression}; sample it again.")
    return block[:, :3], block[:, 3:6]


def _ridge(
    basis: Float[np.ndarray, "m k"], values: Float[np.ndarray, " m"], deviation: float
) -> Float[np.ndarray, " k"]:
    """argmin |basis c - values|^2 / deviation^2 + |c|^2."""
    normal = basis.T @ basis + deviation**2 * np.eye(basis.shape[1])
    return np.linalg.solve(normal, basis.T @ values)


def _registered_scans(
    index: Mapping[str, Any], faces: Path
) -> tuple[np.ndarray, list[str], Mesh, np.ndarray]:
    """Training scans (n, v, 3) of the commonest topology, their expressions, a mesh, landmarks."""
    split = index["split"]
    packs = {person: FacePack(faces / f"{person}.npz") for person in split["train"]}
    found: dict[int, list[tuple[str, str]]] = {}
    for person, pack in packs.items():
        for expression in pack.expressions:
            if expression in split["seen_expressions"]:
                count = len(pack.registered(expression).vertices)
                found.setdefault(count, []).append((person, expression))
    if not found:
        raise DataError(f"{faces}: no training scan with a seen expression; prepare people first.")
    chosen = max(found, key=lambda count: len(found[count]))
    for count, scans in found.items():
        if count != chosen:
            log.warning(
                "left out %d scans of %d vertices (most have %d)", len(scans), count, chosen
            )
    if len(found[chosen]) < 2:
        raise DataError(f"{faces}: one training scan makes no linear model; prepare more people.")
    scans = np.stack([packs[p].registered(e).vertices for p, e in found[chosen]])
    person, expression = found[chosen][0]
    landmarks = _nearest_kept(scans[0], packs[person].landmarks(expression), np.ones(chosen, bool))
    return scans, [e for _, e in found[chosen]], packs[person].registered(expression), landmarks


def _modelled_vertices(
    scans: np.ndarray, expressions: Sequence[str], faces: np.ndarray, config: LinearModelConfig
) -> Bool[np.ndarray, " v"]:
    """Vertices near the crop ball that show in some expression's mean, and two rings about them."""
    shows = np.zeros(scans.shape[1], bool)
    for expression in dict.fromkeys(expressions):
        mean = scans[[e == expression for e in expressions]].mean(axis=0, dtype=np.float64)
        shows |= ~hidden_vertices(mean, faces)
    radius = np.linalg.norm(scans.mean(axis=0, dtype=np.float64), axis=1)
    shows &= radius <= config.crop_radius + config.margin
    for _ in range(2):
        shows[faces[shows[faces].any(axis=1)]] = True
    in_a_face = np.zeros_like(shows)
    in_a_face[faces[shows[faces].all(axis=1)]] = True
    return shows & in_a_face


def _vertex_areas(vertices: np.ndarray, faces: np.ndarray) -> Float[np.ndarray, " v"]:
    """A third of the area of the faces around each vertex."""
    a, b, c = vertices[faces].transpose(1, 0, 2)
    area = np.linalg.norm(np.cross(b - a, c - a), axis=1) / 6
    return np.bincount(faces.reshape(-1), np.repeat(area, 3), len(vertices))


def _nearest_kept(
    vertices: np.ndarray, landmarks: np.ndarray, kept: Bool[np.ndarray, " v"]
) -> Int[np.ndarray, "68"]:
    """Landmarks, given as vertex numbers or positions, as numbers of the nearest kept vertices."""
    wanted = vertices[landmarks] if landmarks.ndim == 1 else landmarks
    distance = np.linalg.norm(vertices[None, kept] - wanted[:, None], axis=-1)
    return np.flatnonzero(kept)[distance.argmin(axis=1)]
