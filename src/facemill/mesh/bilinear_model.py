"""The bilinear baseline: a Tucker model of the registered training scans, person x expression.

The classic form of a multilinear face model (Vlasic et al. 2005; FaceScape's own model is one):

    vertices(a, b) = sum_ij (1, a)_i (1, b)_j core_ij

with one code ``a`` for the person and one ``b`` for the expression, as ImFace has, both standard
normal over the training data. The leading 1 makes both factors affine: core_00 is the mean face,
core_i0 and core_0j what a person and an expression change on their own, core_ij what only the two
together do.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from facemill.data.index import load_index
from facemill.errors import DataError
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

MODEL_AGAIN = "Delete it to have baseline_bilinear_train make it again."

LANDMARK_ROUNDS = 5
"""Least-squares rounds on the landmarks alone before the first closest points."""


@dataclass(frozen=True)
class BilinearModel:
    """The core tensor, millimetres, face frame: p - 1 numbers a person, q - 1 an expression."""

    core: Float[np.ndarray, "p q v 3"]
    landmarks: Int[np.ndarray, "68"]
    faces: Int[np.ndarray, "f 3"]
    source: str

    def vertices(
        self, identity: Float[np.ndarray, " a"], expression: Float[np.ndarray, " b"]
    ) -> Float[np.ndarray, "v 3"]:
        """The face that the two codes stand for."""
        return np.tensordot(self._with_one(expression), self.of_person(identity), 1)

    def of_person(self, identity: Float[np.ndarray, " a"]) -> Float[np.ndarray, "q v 3"]:
        """A person's mean over expressions (first) and what each expression number adds to it."""
        return np.tensordot(self._with_one(identity), self.core, 1)

    def of_expression(self, expression: Float[np.ndarray, " b"]) -> Float[np.ndarray, "p v 3"]:
        """An expression of the mean person (first) and what each identity number adds to it."""
        return np.tensordot(self._with_one(expression), self.core, (0, 1))

    def _with_one(self, code: Float[np.ndarray, " k"]) -> Float[np.ndarray, " l"]:
        # In the core's precision: the core is large and would be copied at every product.
        return np.concatenate([[1.0], code]).astype(self.core.dtype)


def train_bilinear_model(
    index: str | Path, faces: str | Path, settings: Mapping[str, Any], out: str | Path
) -> BilinearModel:
    """Tucker model of all training scans; writes it as .npz.

    Scans that are missing are filled in (:func:`completed`); people who have half of the
    expressions or fewer are left out with a line in the log.
    """
    config = from_settings(BaselineConfig, settings, "baselines")
    scans = load_registered_scans(
        load_index(index), faces, crop_radius=config.crop_radius, margin=config.margin
    )
    tensor = completed(scans.vertices, scans.people, scans.expressions)
    core = tucker_core(
        tensor,
        scans.faces,
        identity_components=config.identity_components,
        expression_components=config.expression_components,
    )
    people, expressions = tensor.shape[:2]
    source = f"{people} people x {expressions} expressions, {scans.source}"
    log.info(
        "bilinear model of %s: %d + %d components of %d + %d asked for, %d vertices modelled",
        source, core.shape[0] - 1, core.shape[1] - 1, config.identity_components,
        config.expression_components, core.shape[2],
    )  # fmt: skip
    model = BilinearModel(
        core=core.astype(np.float32),
        landmarks=np.asarray(scans.landmarks, np.int32),
        faces=np.asarray(scans.faces, np.int32),
        source=source,
    )
    write_npz(out, vars(model) | {"source": np.array(model.source)})
    return model


def load_bilinear_model(path: str | Path) -> BilinearModel:
    """Read what :func:`train_bilinear_model` wrote."""
    with reading_npz(path, MODEL_AGAIN) as arrays:
        fields = {name: arrays[name] for name in BilinearModel.__dataclass_fields__}
    return BilinearModel(**fields | {"source": str(fields["source"])})


def completed(
    scans: Float[np.ndarray, "n v 3"], people: Sequence[str], expressions: Sequence[str]
) -> Float[np.ndarray, "p e v 3"]:
    """Scans as a full table of people and expressions, in the order of their first appearance.

    A missing scan is put in as the additive model has it, person + expression, fitted by least
    squares to all scans there are: leaving the person out would throw away more than it assumes,
    and the fill adds nothing to what only a person's own expression does. People with half of the
    expressions or fewer are left out; of the others any two share an expression, so that the
    additive model has one answer. Raises DataError when fewer than two people are left.
    """
    names = list(dict.fromkeys(expressions))
    counts = {person: list(people).count(person) for person in dict.fromkeys(people)}
    kept = [person for person, count in counts.items() if 2 * count > len(names)]
    if len(kept) < len(counts):
        left_out = [person for person in counts if person not in kept]
        log.warning(
            "bilinear model: left out %s (half of the %d expressions or fewer)",
            ", ".join(left_out), len(names),
        )  # fmt: skip
    if len(kept) < 2:
        raise DataError(
            f"bilinear model: {len(kept)} training people have more than half of the expressions "
            f"{', '.join(names)}; it needs two. Prepare more people, or ask for fewer expressions."
        )
    cells = {(p, e): scan for scan, p, e in zip(scans, people, expressions, strict=True)}
    every = [(person, name) for person in kept for name in names]
    present = np.array([cell in cells for cell in every])
    table = np.zeros((len(every), *scans.shape[1:]), scans.dtype)
    table[present] = [cells[cell] for cell in every if cell in cells]
    if not present.all():
        log.info("bilinear model: %d of %d scans filled in", (~present).sum(), len(every))
        of_person = np.repeat(np.eye(len(kept)), len(names), axis=0)
        of_expression = np.tile(np.eye(len(names)), (len(kept), 1))
        design = np.concatenate([of_person, of_expression], axis=1)
        mixing = design[~present] @ np.linalg.pinv(design[present])
        table[~present] = np.tensordot(mixing.astype(scans.dtype), table[present], 1)
    return table.reshape(len(kept), len(names), *scans.shape[1:])


def tucker_core(
    tensor: Float[np.ndarray, "n m v 3"],
    faces: Int[np.ndarray, "f 3"],
    *,
    identity_components: int,
    expression_components: int,
) -> Float[np.ndarray, "p q v 3"]:
    """Core of the truncated Tucker decomposition (higher-order SVD) with affine factors.

    The factor of a mode holds a column of ones and the leading left singular vectors of the
    unfolded tensor less its mean along that mode, scaled to unit variance; vertices count with
    their share of the mean face's area. At most as many components as people (expressions) less
    one exist; with all of them the model holds every training scan exactly.
    """
    mean = tensor.mean(axis=(0, 1), dtype=np.float64)
    weight = np.sqrt(vertex_areas(mean, faces))[:, None]
    weight = (weight / np.sqrt((weight**2).sum())).astype(tensor.dtype)
    people = _projector(tensor, weight, 0, identity_components)
    expressions = _projector(tensor, weight, 1, expression_components)
    core = np.tensordot(people, tensor, 1)
    return np.moveaxis(np.tensordot(expressions, core, (1, 1)), 0, 1)


def fit_to_surface(
    model: BilinearModel,
    points: Float[np.ndarray, "n 3"],
    normals: Float[np.ndarray, "n 3"],
    config: BaselineConfig,
    landmarks: Float[np.ndarray, "68 3"] | None = None,
) -> tuple[Float[np.ndarray, " a"], Float[np.ndarray, " b"]]:
    """Codes of the face closest to oriented surface samples (maximum a posteriori).

    Each round pairs samples and surface anew and takes one Gauss-Newton step in both codes
    together, from coarse to fine as the linear model does.
    """
    a, b = (size - 1 for size in model.core.shape[:2])
    identity, expression = np.zeros(a), np.zeros(b)
    if landmarks is not None:
        at = model.landmarks
        few = BilinearModel(model.core[:, :, at], np.arange(68), model.faces[:0], "")
        for _ in range(LANDMARK_ROUNDS):
            base, components = linearised(few, identity, expression)
            both = solve_landmarks(landmarks, base, components)
            identity, expression = both[:a], both[a:]
    for deviation in config.deviations:
        mesh = Mesh(model.vertices(identity, expression), model.faces)
        pairs = closest_pairs(points, normals, mesh, deviation)
        if pairs is None:
            break
        base, components = linearised(model, identity, expression)
        both = solve_pairs(pairs, base, components, deviation, config.tangential)
        identity, expression = both[:a], both[a:]
    return identity, expression


def linearised(
    model: BilinearModel,
    identity: Float[np.ndarray, " a"],
    expression: Float[np.ndarray, " b"],
) -> tuple[Float[np.ndarray, "v 3"], Float[np.ndarray, "k v 3"]]:
    """The affine map base + (a, b) @ components that touches the model at the given codes."""
    components = np.concatenate(
        [model.of_expression(expression)[1:], model.of_person(identity)[1:]]
    )
    here = np.tensordot(np.concatenate([identity, expression]), components, 1)
    return model.vertices(identity, expression) - here, components


def fit_person(
    model: str | Path, samples: str | Path, settings: Mapping[str, Any], out: str | Path
) -> None:
    """Fit every scan of a person, each with its own two codes, and write the sheets."""
    config = from_settings(BaselineConfig, settings, "baselines")
    bilinear = load_bilinear_model(model)

    def fit(
        points: np.ndarray, normals: np.ndarray, landmarks: np.ndarray | None
    ) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        identity, expression = fit_to_surface(bilinear, points, normals, config, landmarks)
        codes = {"identity_code": identity, "expression_code": expression}
        return bilinear.vertices(identity, expression), codes

    fit_scans(samples, fit, bilinear.faces, config, out)


def _projector(
    tensor: np.ndarray, weight: np.ndarray, mode: int, components: int
) -> Float[np.ndarray, "p n"]:
    """Pseudo-inverse of a mode's factor: its first row takes the mean, the others are weighted
    differences, one unit of which is a standard deviation over the mode."""
    n = tensor.shape[mode]
    spread = np.moveaxis((tensor - tensor.mean(axis=mode, keepdims=True)) * weight, mode, 0)
    spread = spread.reshape(n, -1)
    variance, vectors = np.linalg.eigh((spread @ spread.T).astype(np.float64))
    order = np.argsort(variance)[::-1][: min(components, n - 1)]
    order = order[variance[order] > 1e-6 * max(variance.max(), 1e-12)]
    rows = [np.full((1, n), 1 / n), vectors[:, order].T / np.sqrt(n - 1)]
    return np.concatenate(rows).astype(tensor.dtype)
