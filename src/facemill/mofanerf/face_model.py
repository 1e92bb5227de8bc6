"""Codes as files hold them, and the linear model of registered faces that they belong to.

A shape code is the place of a neutral mesh among the principal components of the training people's
neutral meshes, whitened. The same components, and what each expression adds to them, predict a
surface for any code and expression: rays are sampled round it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Float32, Int, UInt8

from facemill.data.expressions import NEUTRAL
from facemill.errors import DataError
from facemill.files import reading_npz
from facemill.mesh.surface import Mesh
from facemill.mofanerf.config import CodesConfig

SHAPE_DIM = 50
"""Numbers of a shape code: the identity factors of FaceScape's bilinear model (sec. 3.1)."""

LIMIT = 3.0
"""Standard deviations that a projected component is held within."""

HINT = "Delete it to have mofanerf_codes make it again."


@dataclass(frozen=True)
class FaceModel:
    """Linear model of registered faces, mm, face frame.

    A neutral face is ``mean + z basis``; expression e adds ``shift[e] + z expression_basis[e]``.
    """

    mean: Float32[np.ndarray, "v 3"]
    basis: Float32[np.ndarray, "k v 3"]  # one standard deviation of each component
    shift: Float32[np.ndarray, "e v 3"]
    expression_basis: Float32[np.ndarray, "e j v 3"]  # of the first j components
    canonical: Float32[np.ndarray, "v 3"]  # the mean of all training scans
    faces: Int[np.ndarray, "f 3"]
    uv: Float32[np.ndarray, "t 2"]
    faces_uv: Int[np.ndarray, "f 3"]

    def code(self, neutral: Float[np.ndarray, "v 3"]) -> Float32[np.ndarray, " k"]:
        """Whitened components of a neutral mesh: its projection, held within three deviations."""
        flat = self.basis.reshape(len(self.basis), -1).astype(np.float64)
        offset = (neutral - self.mean).reshape(-1).astype(np.float64)
        z = flat @ offset / (flat**2).sum(axis=1)
        return np.clip(z, -LIMIT, LIMIT).astype(np.float32)

    def predict(self, z: Float[np.ndarray, " k"], expression: int) -> Mesh:
        """The surface expected for a shape code (padded or not) and the row of an expression."""
        return Mesh(self.vertices(z, expression), self.faces, self.uv, self.faces_uv)

    def vertices(
        self,
        z: Float[np.ndarray, " k"],
        expression: int,
        rows: Int[np.ndarray, " n"] | slice = slice(None),
    ) -> Float32[np.ndarray, "n 3"]:
        """Vertices (all, or those of the rows given) of :meth:`predict`."""
        z = np.asarray(z[: len(self.basis)], np.float32)
        vertices = self.mean[rows] + np.tensordot(z, self.basis[:, rows], 1)
        vertices = vertices + self.shift[expression][rows]
        part = self.expression_basis[expression]
        return vertices + np.tensordot(z[: len(part)], part[:, rows], 1)

    def blend(self, z: Float[np.ndarray, " k"], mix: Float[np.ndarray, " e"]) -> Mesh:
        """The surface for a mix of expressions: neutral, and each one's change times its weight.

        One weight of 1 and no other is :meth:`predict`.
        """
        z, mix = np.asarray(z[: len(self.basis)], np.float32), np.asarray(mix, np.float32)
        vertices = self.mean + np.tensordot(z, self.basis, 1)
        for row in np.flatnonzero(mix):
            part = self.expression_basis[row]
            change = self.shift[row] + np.tensordot(z[: len(part)], part, 1)
            vertices = vertices + mix[row] * change
        return Mesh(vertices, self.faces, self.uv, self.faces_uv)


def fit_face_model(
    scans: Mapping[tuple[str, str], Float[np.ndarray, "v 3"]],
    expressions: tuple[str, ...],
    mesh: Mesh,
    config: CodesConfig,
) -> FaceModel:
    """Components of the neutral scans, then ridge regression of what each expression adds.

    ``scans`` are those that may be trained on, by (person, expression).
    """
    people = [person for person, expression in scans if expression == NEUTRAL]
    if len(people) < 2:
        raise DataError(f"{len(people)} neutral training scan; shape codes need two people.")
    neutral = np.stack([scans[person, NEUTRAL] for person in people]).astype(np.float64)
    mean = neutral.mean(axis=0)
    offsets = (neutral - mean).reshape(len(people), -1)
    _, sizes, directions = np.linalg.svd(offsets, full_matrices=False)
    share = np.cumsum(sizes**2) / (sizes**2).sum()
    count = min(SHAPE_DIM, len(people) - 1, int(np.searchsorted(share, config.shape_share)) + 1)
    std = sizes[:count] / np.sqrt(len(people))
    basis = (directions[:count] * std[:, None]).reshape(count, *mean.shape)
    used = min(count, config.expression_components)
    z = offsets @ directions[:count].T / std
    codes = dict(zip(people, z[:, :used], strict=True))
    shifts, parts = [], []
    for expression in expressions:
        shift, part = _expression(scans, expression, people, codes, config.ridge)
        shifts.append(shift)
        parts.append(part)
    return FaceModel(
        *(np.asarray(a, np.float32) for a in (mean, basis, np.stack(shifts), np.stack(parts))),
        canonical=np.mean(list(scans.values()), axis=0, dtype=np.float64).astype(np.float32),
        faces=mesh.faces,
        uv=np.zeros((1, 2), np.float32) if mesh.uv is None else mesh.uv.astype(np.float32),
        faces_uv=np.zeros_like(mesh.faces) if mesh.faces_uv is None else mesh.faces_uv,
    )


def _expression(
    scans: Mapping[tuple[str, str], np.ndarray],
    expression: str,
    people: list[str],
    codes: Mapping[str, np.ndarray],
    ridge: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Mean change from neutral, and how it goes with the shape code."""
    having = [person for person in people if (person, expression) in scans]
    if not having:
        raise DataError(f"{expression}: no training person has both it and a neutral scan.")
    change = np.stack(
        [scans[p, expression].astype(np.float64) - scans[p, NEUTRAL] for p in having]
    ).reshape(len(having), -1)
    z = np.stack([codes[person] for person in having])
    design = z - z.mean(axis=0)
    shift = change.mean(axis=0)
    penalty = ridge * len(having) * np.eye(z.shape[1])
    slope = np.linalg.solve(design.T @ design + penalty, design.T @ (change - shift))
    shift = shift - z.mean(axis=0) @ slope
    shape = scans[having[0], NEUTRAL].shape
    return shift.reshape(shape), slope.reshape(z.shape[1], *shape)


class CodesFile:
    """Reads ``codes.npz``; arrays are loaded when asked for."""

    def __init__(self, path: str | Path):
        self.path = Path(path)
        with reading_npz(self.path, HINT) as arrays:
            self._names = frozenset(arrays.files)
        if "model/mean" not in self._names:
            raise DataError(f"{self.path}: no face model in it; these are no codes. {HINT}")

    def __contains__(self, name: str) -> bool:
        return name in self._names

    @property
    def training_scans(self) -> list[tuple[str, str]]:
        """(person, expression) of the scans that the face model was made of."""
        start = "correspondence/"
        names = [n.removeprefix(start) for n in self._names if n.startswith(start)]
        return sorted((p, e) for p, slash, e in (name.partition("/") for name in names) if slash)

    def array(self, name: str) -> np.ndarray:
        """One array by its name; an unknown one is a DataError."""
        if name not in self._names:
            raise DataError(f"{self.path}: no {name}. {HINT}")
        with reading_npz(self.path, HINT) as arrays:
            return arrays[name]

    def model(self) -> FaceModel:
        """The linear face model."""
        with reading_npz(self.path, HINT) as arrays:
            names = FaceModel.__dataclass_fields__
            return FaceModel(**{name: arrays[f"model/{name}"] for name in names})

    def shape(self, person: str) -> Float32[np.ndarray, "50"]:
        """A person's whitened shape code."""
        return self.array(f"shape/{person}")

    def texture(self, person: str) -> UInt8[np.ndarray, "512 512 3"]:
        """A person's neutral texture."""
        return self.array(f"texture/{person}")
