"""Labelled people: drawn from a face model by seed, with expressions, segments, operators."""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from facemill.data.blendshapes import Blendshapes, blendshapes_from
from facemill.errors import ConfigError, DataError
from facemill.files import reading_npz
from facemill.mesh.operators import OperatorSettings
from facemill.training.settings import from_settings

log = logging.getLogger(__name__)

FORMAT = 1
AGAIN = "Delete it to have nfs_data make it again."


@dataclass(frozen=True)
class DataConfig:
    """Who the labelled people are and on which meshes they are seen."""

    source: str = "auto"  # auto, ict or demo
    demo_modes: int = 20  # identity modes of the demo's model (ours)
    train_people: int = 100  # (NFS, by the follow-up)
    validation_people: int = 1  # (the same)
    test_people: int = 10  # (the same)
    expressions: int = 1000  # mixtures drawn for training (release)
    test_expressions: int = 32  # and, others, for validation and for the tables (ours)
    regions: tuple[str, ...] = ("full", "face", "narrow")  # drawn from for each batch (release)
    vertices: int | None = None  # of a mesh, by decimation; null: all (release)

    def __post_init__(self) -> None:
        if self.source not in ("auto", "ict", "demo"):
            raise ConfigError(f"source: found {self.source!r}, expected auto, ict or demo")
        for name in ("demo_modes", "train_people", "test_people", "test_expressions"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name}: found {getattr(self, name)}, expected at least 1")
        if min(self.validation_people, self.expressions) < 0 or not self.regions:
            raise ConfigError("regions: found none, expected full, face or narrow")
        if self.vertices is not None and self.vertices < 100:
            raise ConfigError(f"vertices: found {self.vertices}, expected null or at least 100")


@dataclass(frozen=True)
class DataSettings:
    """What nfs_data depends on."""

    data: DataConfig = field(default_factory=DataConfig)
    operators: OperatorSettings = field(default_factory=OperatorSettings)
    seed: int = 0


@dataclass(frozen=True)
class Labelled:
    """Labelled people: their model, identity weights by name and part, expressions, segments."""

    model: Blendshapes
    labels: Int[np.ndarray, " v"]
    people: Mapping[str, tuple[str, ...]]
    identities: Mapping[str, Float[np.ndarray, " i"]]
    expressions: Mapping[str, Float[np.ndarray, "_ e"]]
    regions: tuple[str, ...]
    settings: DataSettings
    sha256: str

    def frames(
        self,
        person: str,
        expressions: Float[np.ndarray, "b e"],
        vertices: Int[np.ndarray, " n"],
    ) -> Float[np.ndarray, "b n 3"]:
        """A person in some expressions on some of the model's vertices, canonical units."""
        model = self.model
        neutral = model.neutral[vertices] + np.tensordot(
            self.identities[person], model.identity[:, vertices], axes=1
        )
        return neutral + np.tensordot(expressions, model.expression[:, vertices], axes=1)


def partners(units: Sequence[str]) -> Int[np.ndarray, " e"]:
    """For each unit the one of the other side (``_L``, ``_R``), or itself."""
    swap = {"_L": "_R", "_R": "_L"}
    other = [unit[:-2] + swap[unit[-2:]] if unit[-2:] in swap else unit for unit in units]
    return np.array([units.index(o) if o in units else i for i, o in enumerate(other)], np.int64)


def read_people(path: str | Path) -> Labelled:
    """Read ``people.npz``; DataError for a damaged or foreign file."""
    from facemill.files import sha256

    with reading_npz(path, AGAIN) as arrays:
        about = json.loads(str(arrays["about"])) if "about" in arrays else {}
        if about.get("format") != FORMAT:
            raise DataError(f"{path}: no labelled people of format {FORMAT}. {AGAIN}")
        names = arrays.files
        starts = ("identities/", "expressions/")
        held = [
            {n.removeprefix(start): arrays[n] for n in names if n.startswith(start)}
            for start in starts
        ]
        return Labelled(
            model=blendshapes_from(arrays, names, path),
            labels=arrays["labels"],
            people={part: tuple(people) for part, people in about["people"].items()},
            identities=held[0],
            expressions=held[1],
            regions=tuple(about["regions"]),
            settings=from_settings(DataSettings, about["settings"], str(path)),
            sha256=sha256(path),
        )
