"""Linear face models: a mean head, what makes people differ, and expression units that add up.

In NFS's canonical frame (units of 10 cm), skin alone: eyeballs, teeth and the insides of mouth and
eye sockets are left out.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from facemill.errors import ConfigError, DataError
from facemill.files import reading_npz, write_npz

AGAIN = "Delete it to have nfs_data make it again."


@dataclass(frozen=True)
class Blendshapes:
    """V = neutral + sum_i a_i identity_i + sum_j w_j expression_j, canonical units.

    Identity weights are standard normal; expression weights run from 0 to 1. ``units`` names the
    expressions. ``mirror[v]`` is the vertex across x = 0. ``regions`` are vertex numbers by name,
    in order; ``full`` is everything.
    """

    name: str
    neutral: Float[np.ndarray, "v 3"]
    identity: Float[np.ndarray, "i v 3"]
    expression: Float[np.ndarray, "e v 3"]
    units: tuple[str, ...]
    faces: Int[np.ndarray, "f 3"]
    landmarks: Int[np.ndarray, "68"]
    mirror: Int[np.ndarray, " v"]
    regions: Mapping[str, Int[np.ndarray, " _"]] = field(default_factory=dict)

    def vertices(
        self, identity: Float[np.ndarray, " i"], expression: Float[np.ndarray, " e"]
    ) -> Float[np.ndarray, "v 3"]:
        """One face, canonical units."""
        return (
            self.neutral
            + np.tensordot(identity, self.identity, axes=1)
            + np.tensordot(expression, self.expression, axes=1)
        )

    def region_faces(self, region: str) -> tuple[Int[np.ndarray, " n"], Int[np.ndarray, "g 3"]]:
        """A region's vertex numbers, and its faces in the model's numbers."""
        if region not in self.regions:
            raise ConfigError(
                f"nfs.data.regions: {region!r} is no region of {self.name}; known are "
                f"{', '.join(self.regions)}."
            )
        inside = np.zeros(len(self.neutral), bool)
        inside[self.regions[region]] = True
        return self.regions[region], self.faces[inside[self.faces].all(axis=1)]

    def checked(self, where: str | Path) -> "Blendshapes":
        """The model itself, or a DataError where its parts do not belong together."""
        v = len(self.neutral)
        parts = {
            "identity": self.identity.shape[1:] == (v, 3),
            "expression": self.expression.shape == (len(self.units), v, 3),
            "faces": self.faces.size > 0 and self.faces.min() >= 0 and self.faces.max() < v,
            "landmarks": self.landmarks.min() >= 0 and self.landmarks.max() < v,
            "mirror": np.array_equal(self.mirror[self.mirror], np.arange(v)),
        }
        wrong = [name for name, right in parts.items() if not right]
        if wrong:
            raise DataError(f"{where}: {', '.join(wrong)} do not fit {v} vertices. {AGAIN}")
        return self


def restricted(model: Blendshapes, keep: Int[np.ndarray, " n"]) -> Blendshapes:
    """The model on some of its vertices, renumbered; landmarks outside go to the nearest kept."""
    number = np.full(len(model.neutral), -1)
    number[keep] = np.arange(len(keep))
    faces = number[model.faces]
    marks = model.neutral[model.landmarks]
    distance = np.linalg.norm(model.neutral[keep][None] - marks[:, None], axis=2)
    return replace(
        model,
        neutral=model.neutral[keep],
        identity=model.identity[:, keep],
        expression=model.expression[:, keep],
        faces=faces[(faces >= 0).all(axis=1)],
        landmarks=distance.argmin(axis=1),
        mirror=number[model.mirror[keep]],
        regions={name: number[region] for name, region in model.regions.items()},
    ).checked(model.name)


def blendshape_arrays(model: Blendshapes) -> dict[str, np.ndarray]:
    """A model as arrays for a file, under ``model/``."""
    arrays = {
        name: getattr(model, name)
        for name in ("neutral", "identity", "expression", "faces", "landmarks", "mirror")
    }
    arrays |= {"name": np.array(model.name), "units": np.array(model.units)}
    arrays |= {f"regions/{name}": region for name, region in model.regions.items()}
    return {f"model/{name}": array for name, array in arrays.items()}


def blendshapes_from(
    arrays: Mapping[str, np.ndarray], names: list[str], where: str | Path
) -> Blendshapes:
    """The model among the arrays of a file whose entries are ``names``."""
    start = "model/regions/"
    return Blendshapes(
        name=str(arrays["model/name"]),
        neutral=arrays["model/neutral"],
        identity=arrays["model/identity"],
        expression=arrays["model/expression"],
        units=tuple(str(unit) for unit in arrays["model/units"]),
        faces=arrays["model/faces"],
        landmarks=arrays["model/landmarks"],
        mirror=arrays["model/mirror"],
        regions={n.removeprefix(start): arrays[n] for n in names if n.startswith(start)},
    ).checked(where)


def write_blendshapes(path: str | Path, model: Blendshapes) -> None:
    """Write a model alone."""
    write_npz(path, blendshape_arrays(model))


def read_blendshapes(path: str | Path) -> Blendshapes:
    """Read the model of a file that holds one."""
    with reading_npz(path, AGAIN) as arrays:
        return blendshapes_from(arrays, arrays.files, path)
