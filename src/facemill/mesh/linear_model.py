"""The linear baselines: a PCA face model of the registered training scans, and their mean face.

Built from the same training scans that a neural system sees (train people, seen expressions) and
fitted to the same raw surface samples of an unseen scan, without correspondence.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from facemill.data.index import load_index
from facemill.errors import ConfigError
from facemill.files import reading_npz, write_npz
from facemill.mesh.registered_scans import load_registered_scans, vertex_areas
from facemill.mesh.surface import Mesh
from facemill.mesh.surface_fit import (
    BaselineConfig,
    closest_pairs,
    fit_scans,
    solve_landmarks,
    solve_pairs,
)
from facemill.training.settings import from_settings

log = logging.getLogger(__name__)

METHODS = ("pca", "mean")
MODEL_AGAIN = "Delete it to have baseline_train make it again."


@dataclass(frozen=True)
class LinearModel:
    """vertices = mean + coefficients @ components; millimetres, face frame.

    Components are scaled so that the training scans' coefficients have unit variance.
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


def train_linear_model(
    index: str | Path, faces: str | Path, settings: Mapping[str, Any], out: str | Path
) -> LinearModel:
    """PCA of the registered vertices of all training scans; writes the model as .npz.

    Scans of another vertex count than most are left out with a line in the log. At most as many
    components as scans less one exist.
    """
    config = from_settings(BaselineConfig, settings, "baselines")
    scans = load_registered_scans(
        load_index(index), faces, crop_radius=config.crop_radius, margin=config.margin
    )
    model = principal_components(
        scans.vertices,
        scans.faces,
        landmarks=scans.landmarks,
        components=config.components,
        source=scans.source,
    )
    log.info(
        "linear model of %s: %d components of %d asked for, %d vertices modelled",
        scans.source, len(model.components), config.components, len(model.mean),
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
    weight = np.sqrt(vertex_areas(mean, faces))[:, None]
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
    config: BaselineConfig,
    landmarks: Float[np.ndarray, "68 3"] | None = None,
) -> Float[np.ndarray, " k"]:
    """Coefficients of the face closest to oriented surface samples (maximum a posteriori)."""
    coefficients = np.zeros(len(model.components))
    if landmarks is not None:
        at = model.landmarks
        coefficients = solve_landmarks(landmarks, model.mean[at], model.components[:, at])
    for deviation in config.deviations:
        mesh = Mesh(model.vertices(coefficients), model.faces)
        pairs = closest_pairs(points, normals, mesh, deviation)
        if pairs is None:
            break
        coefficients = solve_pairs(
            pairs, model.mean, model.components, deviation, config.tangential
        )
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
    config = from_settings(BaselineConfig, settings, "baselines")
    linear = load_linear_model(model)

    def fit(
        points: np.ndarray, normals: np.ndarray, landmarks: np.ndarray | None
    ) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        coefficients = np.zeros(len(linear.components))
        if method == "pca":
            coefficients = fit_to_surface(linear, points, normals, config, landmarks)
        return linear.vertices(coefficients), {"coefficients": coefficients}

    fit_scans(samples, fit, linear.faces, config, out)
