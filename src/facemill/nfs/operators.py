"""Operators of meshes that are not drawn from the model: the data set's people, and anybody's."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int

from facemill.data.blendshapes import Blendshapes, read_blendshapes
from facemill.data.canonical import MeanFace, to_canonical
from facemill.data.landmarks import INNER_LIPS, LEFT_EYE, RIGHT_EYE
from facemill.data.packs import FacePack
from facemill.errors import ConfigError, GeometryError
from facemill.mesh.clean import Cleaned, cleaned
from facemill.mesh.connectivity import boundary_edges, parts
from facemill.mesh.decimation import decimated
from facemill.mesh.frames import FACE_TO_NFS, Similarity
from facemill.mesh.operators import OperatorSettings, write_operators
from facemill.mesh.operators_build import build_operators
from facemill.mesh.surface import Mesh
from facemill.mesh.visibility import hidden_vertices
from facemill.randomness import generator
from facemill.training.settings import from_settings

log = logging.getLogger(__name__)

NEUTRAL = "1_neutral"


@dataclass(frozen=True)
class MeshSettings:
    """How a mesh is brought into the canonical frame and what is computed on it."""

    eigenfunctions: int = 128  # (NFS release)
    picture_size: int = 256  # (NFS release)
    max_residual: float = 4.0  # mm to the mean face, rms; landmarks twice as much (ours)
    radius: float = 130.0  # mm about the face frame's origin: what is kept of a face (ours)
    front: bool = True  # of a mesh file too, only skin that is seen from the front (ours)
    vertices: int | None = None  # of a person's mesh, by decimation; null: all (ours)

    def __post_init__(self) -> None:
        for name in ("max_residual", "radius"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"{name}: found {getattr(self, name)}, expected above 0")

    @property
    def operators(self) -> OperatorSettings:
        """What decides the operators of an aligned mesh."""
        return OperatorSettings(self.eigenfunctions, self.picture_size)


def operators_build(
    source: str | Path,
    people: str | Path,
    settings: Mapping[str, Any],
    out: str | Path,
    landmarks: str | Path | None = None,
) -> None:
    """Write the operators of a mesh file, or of the neutral in a face pack (.npz).

    ``people`` is the file that holds the mean face; ``settings`` are those of
    :class:`MeshSettings`. Raises GeometryError for a mesh that cannot be used, with the reason.
    """
    config = from_settings(MeshSettings, settings, "nfs.operators")
    mean = mean_face(read_blendshapes(people))
    if Path(source).suffix == ".npz":
        operators = _of_person(FacePack(source), mean, config, Path(source).stem)
    else:
        operators = _of_file(source, landmarks, mean, config, str(source))
    write_operators(out, operators)


def _of_file(source, landmarks, mean, config, name):
    from facemill.data.align import read_points
    from facemill.mesh.io import read_mesh

    mesh = read_mesh(source)
    marks = read_points(landmarks, mesh) if landmarks else {}
    clean = cleaned(mesh, name)
    placed, residual = to_canonical(clean.mesh, marks, mean, config.max_residual, name)
    skin = clean.mesh
    if config.front:
        # Without what lies behind the lips, a mouth with a cavity is as open as one that is cut.
        skin = mesh = _seen(mesh, clean, placed, config.radius, name)
        log.info("%s: %d vertices seen from the front", name, len(np.unique(mesh.faces)))
    closed = closed_openings(Mesh(placed.apply(skin.vertices), skin.faces), mean)
    if closed:
        log.warning(
            "%s: not cut open: %s. Lips and lids that hang together will not part; cut the mesh "
            "along them.",
            name,
            ", ".join(closed),
        )
    return build_operators(mesh, config.operators, name, placed, residual)


def _seen(mesh: Mesh, clean: Cleaned, placed: Similarity, radius: float, name: str) -> Mesh:
    """A mesh file with those of its faces alone that are skin of the front of the face.

    All pieces hide what lies behind them: sockets behind eyeballs, gums behind teeth.
    """
    welded = np.arange(len(mesh.vertices))
    kept = clean.welded >= 0
    welded[kept] = clean.source[clean.welded[kept]]
    faces = welded[mesh.faces]
    faces = faces[(faces != np.roll(faces, 1, axis=1)).all(axis=1)]
    in_mm = FACE_TO_NFS.inverse().apply(placed.apply(mesh.vertices))
    return Mesh(mesh.vertices, front_faces(Mesh(in_mm, faces), radius, name))


def _of_person(pack: FacePack, mean, config: MeshSettings, name: str):
    """The front of a person's neutral head: what is seen, within ``radius``."""
    if NEUTRAL not in pack.expressions:
        raise GeometryError(
            f"{pack.path}: holds no {NEUTRAL}; NFS needs everybody's neutral. Add it to "
            "'expressions' or leave this person out."
        )
    mesh = pack.registered(NEUTRAL)
    known = pack.landmarks(NEUTRAL) if pack.has_landmarks(NEUTRAL) else []
    landmarks = dict(enumerate(np.asarray(known, np.float64)))
    # Their size is known and belongs to them: no scale is fitted.
    placed, residual = to_canonical(
        mesh, landmarks, mean, config.max_residual, name, with_scale=False
    )
    faces = front_faces(mesh, config.radius, name)
    if config.vertices is not None:
        used = np.unique(faces)
        number = np.full(len(mesh.vertices), -1)
        number[used] = np.arange(len(used))
        part = Mesh(mesh.vertices[used].astype(np.float64), number[faces])
        rng = generator(0, "nfs", "triangles", name)
        faces = used[decimated(part, config.vertices, rng)[1]]
    front = Mesh(mesh.vertices.astype(np.float64), faces)
    return build_operators(front, config.operators, name, placed, residual, weld=False)


def front_faces(mesh: Mesh, radius: float, name: str) -> Int[np.ndarray, "g 3"]:
    """Faces that a viewer in front sees whole, within ``radius`` mm of the face frame's origin.

    Eyeballs, teeth and what else does not hang on the skin are left out as small pieces later.
    """
    away = np.linalg.norm(mesh.vertices, axis=1) > radius
    out = away | hidden_vertices(mesh.vertices, mesh.faces)
    faces = mesh.faces[~out[mesh.faces].any(axis=1)]
    if len(faces) == 0:
        raise GeometryError(
            f"{name}: no skin lies within nfs.operators.radius = {radius:g} mm of the face; raise "
            "it, or set nfs.operators.front to false."
        )
    part = parts(faces, len(mesh.vertices))
    return faces[part == np.bincount(part).argmax()]


OPENINGS = {"mouth": INNER_LIPS, "right eye": RIGHT_EYE, "left eye": LEFT_EYE}
"""Landmarks round each opening of a face's skin."""

NEAR = 0.15
"""Canonical units: a border this near to the middle of an opening is its own."""


def closed_openings(mesh: Mesh, mean: MeanFace) -> list[str]:
    """Mouth and eyes of an aligned mesh (canonical units) that have no border of their own.

    Looked for where the mean face has them: within 15 mm of the middle of their landmarks.
    """
    border = mesh.vertices[np.unique(boundary_edges(mesh.faces))]
    found = []
    for name, marks in OPENINGS.items():
        middle = mean.landmarks[list(marks)].mean(axis=0)
        away = np.linalg.norm(border - middle, axis=1)
        if not (away < NEAR).any():
            found.append(name)
    return found


def mean_face(model: Blendshapes) -> MeanFace:
    """What other meshes are aligned to."""
    return MeanFace(model.neutral, model.faces, model.neutral[model.landmarks])
