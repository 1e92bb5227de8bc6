"""The picture of NFS's errors: cloned expressions beside deformation transfer, coloured by mm."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from facemill.figures.errors import error_colours, scale_maximum
from facemill.figures.layout import grid
from facemill.mesh.operators import Operators
from facemill.nfs.baselines import drawn_known_transfer, nearest_point_transfer
from facemill.nfs.figures import face_picture, spoken, strongest_units, whole
from facemill.nfs.measures import MILLIMETRES, drawn_mask
from facemill.nfs.model import NFS, load_model
from facemill.nfs.people import Labelled, read_people
from facemill.nfs.retarget import Clone

PEOPLE, EXPRESSIONS, SIZE = 2, 3, 230
COLUMNS = ("source", "truth", "NFS", "known transfer", "nearest points")


@dataclass(frozen=True)
class Cloned:
    """Expressions of one drawn person on another: the source, the truth, what methods made of it.

    Canonical units; ``mask`` is that of the inner face.
    """

    source: Operators
    target: Operators
    given: Float[np.ndarray, "b n 3"]
    truth: Float[np.ndarray, "b v 3"]
    found: tuple[Float[np.ndarray, "b v 3"], ...]
    mask: Float[np.ndarray, " v"]

    def errors(self, row: int) -> list[Float[np.ndarray, " v"]]:
        """Distances of vertices from the truth in one expression, mm, for each method."""
        return [
            MILLIMETRES * np.linalg.norm(frames[row] - self.truth[row], axis=1)
            for frames in self.found
        ]

    def inside(self, errors: Float[np.ndarray, " v"]) -> float:
        """``vertex_rms_inner`` of the errors of one expression."""
        return float(np.sqrt((errors**2 * self.mask).sum() / self.mask.sum()))


def error_maps(
    model_path: str | Path,
    people: str | Path,
    out: str | Path,
    persons: int = PEOPLE,
    expressions: int = EXPRESSIONS,
    size: int = SIZE,
) -> None:
    """Rows of test people in the strongest expressions: source, truth, and three ways of cloning.

    Each takes the expressions of the next test person (the last those of the first). Colours are
    the distances of vertices from the truth, below them stands their rms inside the inner mask.
    Meshes have all their vertices.
    """
    model, _ = load_model(model_path)
    labelled = read_people(Path(people) / "people.npz")
    names = labelled.people["test"]
    weights = strongest_units(labelled, expressions)
    pairs = [(names[(n + 1) % len(names)], name) for n, name in enumerate(names[:persons])]
    cloned = [clone(model, labelled, source, target, weights) for source, target in pairs]
    rows = [(one, row) for one in cloned for row in range(len(weights))]
    maximum = scale_maximum(
        np.concatenate([e[one.mask > 0.5] for one, row in rows for e in one.errors(row)])
    )
    images, captions = [], []
    for one, row in rows:
        errors = one.errors(row)
        images.append(
            [
                face_picture(one.source, one.given[row], size),
                face_picture(one.target, one.truth[row], size),
                *(
                    face_picture(one.target, frames[row], size, error_colours(values, maximum))
                    for frames, values in zip(one.found, errors, strict=True)
                ),
            ]
        )
        captions.append(["", "", *(f"{one.inside(values):.2f} mm" for values in errors)])
    grid(
        images,
        out,
        row_labels=[
            f"{source} on {target}\n{spoken(labelled, one)}"
            for source, target in pairs
            for one in weights
        ],
        column_labels=COLUMNS,
        title="NFS: errors of cloned expressions",
        subtitle="nobody here was trained on; rms inside the mask of the inner face below each map",
        error_maximum=maximum,
        captions=captions,
    )


def clone(
    model: NFS,
    labelled: Labelled,
    source_name: str,
    target_name: str,
    weights: Float[np.ndarray, "b e"],
) -> Cloned:
    """Expressions of one drawn person on another by the network and by deformation transfer."""
    region = labelled.regions[-1]
    source, target = (whole(labelled, name, region) for name in (source_name, target_name))
    given = labelled.frames(source_name, weights, source.source)
    truth = labelled.frames(target_name, weights, target.source)
    codes = Clone(model, source, source_name).codes(given, len(given))
    network = next(Clone(model, target, target_name).frames(codes, len(codes)))
    known = drawn_known_transfer(labelled, source_name, weights, target)
    nearest = nearest_point_transfer(source.mesh, given, target.mesh)
    mask = drawn_mask(labelled, target_name, target.mesh.vertices)
    return Cloned(source, target, given, truth, (network, known, nearest), mask)
