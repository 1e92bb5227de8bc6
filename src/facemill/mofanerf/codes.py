"""Shape codes, textures and predicted surfaces: what MoFaNeRF takes from registered meshes.

A shape code is the place of a neutral mesh among the principal components of the training people's
neutral meshes, whitened. The same components, and what each expression adds to them, predict a
surface for any code and expression: rays are sampled round it. Held-out people are projected on the
components; neither their images nor the held-out pairs' meshes are used.
"""

import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Float32, Int, UInt8

from facemill.data.expressions import NEUTRAL
from facemill.data.index import load_index
from facemill.data.packs import FacePack
from facemill.errors import DataError
from facemill.files import read_json, reading_npz, write_json, write_npz
from facemill.mesh.surface import Mesh
from facemill.mofanerf.config import CodesConfig
from facemill.mofanerf.splits import ViewSplit, make_view_split
from facemill.render.view_pack import ViewPack
from facemill.training.settings import from_settings

log = logging.getLogger(__name__)

SHAPE_DIM = 50
TEXTURE_SIZE = 512
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
        z = np.asarray(z[: len(self.basis)], np.float32)
        vertices = self.mean + np.tensordot(z, self.basis, 1) + self.shift[expression]
        part = self.expression_basis[expression]
        vertices = vertices + np.tensordot(z[: len(part)], part, 1)
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


def make_codes(
    index_path: str | Path,
    faces: str | Path,
    views: str | Path,
    settings: Mapping[str, Any],
    codes_path: str | Path,
    split_path: str | Path,
) -> None:
    """Write ``codes.npz`` and ``split.json`` (docs/data-layouts.md).

    ``faces`` and ``views`` are folders of packs; ``settings`` fields of CodesConfig. Raises
    DataError for a person without views, texture or neutral scan, naming the person.
    """
    config = from_settings(CodesConfig, settings, "mofanerf.codes")
    index = load_index(index_path)
    split = _draw_split(index, Path(views), config)
    people = [*split.train_people, *split.test_people]
    packs = {person: FacePack(Path(faces) / f"{person}.npz") for person in people}
    scans, mesh = _registered(packs, split)
    allowed = {key: scan for key, scan in scans.items() if split.trains_on(*key)}
    model = fit_face_model(allowed, split.expressions, mesh, config)
    rng = np.random.default_rng(config.seed)
    count = min(config.correspondence_points, len(model.mean))
    chosen = np.sort(rng.permutation(len(model.mean))[:count]).astype(np.int32)
    arrays: dict[str, np.ndarray] = {f"model/{k}": v for k, v in vars(model).items()}
    arrays["correspondence/vertices"] = chosen
    for (person, expression), vertices in allowed.items():
        arrays[f"correspondence/{person}/{expression}"] = vertices[chosen].astype(np.float32)
    for person in people:
        code = model.code(scans[person, NEUTRAL])
        arrays[f"shape/{person}"] = np.pad(code, (0, SHAPE_DIM - len(code)))
        arrays[f"texture/{person}"] = neutral_texture(Path(faces) / f"{person}.json", person)
        for expression in split.expressions:
            if expression in packs[person].expressions:
                marks = packs[person].landmarks(expression)
                arrays[f"landmarks/{person}/{expression}"] = marks.astype(np.float32)
    write_npz(codes_path, arrays)
    write_json(split_path, asdict(split))
    log.info(
        "%d shape components of %d people; %d views and %d pairs held out",
        len(model.basis), len(split.train_people), len(split.test_views), len(split.test_pairs),
    )  # fmt: skip


def _draw_split(index: Mapping[str, Any], views: Path, config: CodesConfig) -> ViewSplit:
    """Hold out views and pairs among what was rendered."""
    present, names, counted = [], None, set()
    for person in index["people"]:
        path = views / f"{person}.zip"
        if not path.is_file():
            continue  # views.people: not everybody is rendered
        with ViewPack(path) as pack:
            if names is not None and set(pack.names) != set(names):
                raise DataError(
                    f"{path}: other views than its fellows. Delete the views to have all made "
                    "again with one setting."
                )
            names = pack.names
            present += [(person, expression) for expression in pack.expressions]
            counted.add(person)
    if names is None:
        raise DataError(f"{views}: no view packs; run views_render (config: views).")
    seen = index["split"]["seen_expressions"]
    shown = [e for e in seen if any(e == expression for _, expression in present)]
    train = [p for p in index["split"]["train"] if p in counted]
    test = [p for p in index["split"]["test"] if p in counted]
    return make_view_split(train, test, shown, names, present, config)


def _registered(
    packs: Mapping[str, FacePack], split: ViewSplit
) -> tuple[dict[tuple[str, str], np.ndarray], Mesh]:
    """Vertices of everybody's scans in the split's expressions, and a mesh of their topology."""
    scans, mesh = {}, None
    for person, pack in packs.items():
        if NEUTRAL not in pack.expressions:
            raise DataError(
                f"{pack.path}: no {NEUTRAL}, which shape codes are made of. Take {person} out of "
                "'people' or add the scan."
            )
        for expression in split.expressions:
            if expression not in pack.expressions:
                continue
            scan = pack.registered(expression)
            mesh = mesh or scan
            if scan.vertices.shape != mesh.vertices.shape:
                raise DataError(
                    f"{pack.path}: {expression} has {len(scan.vertices)} vertices, others "
                    f"{len(mesh.vertices)}. MoFaNeRF's shape codes need meshes of one topology."
                )
            scans[person, expression] = scan.vertices
    assert mesh is not None
    return scans, mesh


def neutral_texture(manifest: Path, person: str) -> UInt8[np.ndarray, "512 512 3"]:
    """The neutral texture that a face pack's manifest names, averaged to 512 x 512."""
    from PIL import Image

    from facemill.mesh.io import read_texture

    path = read_json(manifest)["scans"][NEUTRAL].get("texture")
    if not path:
        raise DataError(
            f"{manifest}: {person} has no texture for {NEUTRAL}, which the appearance code is made "
            "of. Add one, or take the person out of views.people."
        )
    texture = read_texture(path)
    height, width = texture.shape[:2]
    if height != width:
        raise DataError(f"{path}: {width} x {height} pixels; expected a square uv texture.")
    size = (TEXTURE_SIZE, TEXTURE_SIZE)
    return np.array(Image.fromarray(texture).resize(size, Image.Resampling.BOX))


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
