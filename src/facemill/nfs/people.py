"""Labelled people: drawn from a face model by seed, with expressions, segments, operators."""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from facemill.data.blendshapes import Blendshapes, blendshape_arrays, blendshapes_from
from facemill.data.canonical import MeanFace
from facemill.errors import ConfigError, DataError
from facemill.files import reading_npz, write_npz, writing
from facemill.mesh.operators import Operators, OperatorSettings, build_operators, write_operators
from facemill.mesh.surface import Mesh
from facemill.nfs.segments import segment_labels
from facemill.randomness import generator
from facemill.training.settings import from_settings

log = logging.getLogger(__name__)

IDENTITY_LIMIT = 2.5
"""Identity weights are clipped here, in standard deviations."""

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


def make_people(settings: Mapping[str, Any], model: Blendshapes, out: str | Path) -> None:
    """Draw the labelled people and write ``people.npz`` and ``<person>-<region>.npz`` into ``out``.

    ``settings`` holds ``data``, ``operators`` and ``seed``. The folder appears whole.
    """
    config = from_settings(DataSettings, settings, "nfs")
    parts = {
        "train": config.data.train_people,
        "validation": config.data.validation_people,
        "test": config.data.test_people,
    }
    people = {part: tuple(f"{part}{n:03d}" for n in range(count)) for part, count in parts.items()}
    identities = {
        person: draw_identity(config.seed, person, len(model.identity))
        for person in (*people["train"], *people["validation"], *people["test"])
    }
    expressions = {
        "train": draw_expressions(config.seed, "train", model.units, config.data.expressions),
        "test": mixtures(config.seed, "test", model.units, config.data.test_expressions),
    }
    about = {
        "format": FORMAT,
        "people": people,
        "regions": config.data.regions,
        "settings": asdict(config),
    }
    arrays = blendshape_arrays(model)
    arrays |= {f"identities/{person}": weights for person, weights in identities.items()}
    arrays |= {f"expressions/{part}": weights for part, weights in expressions.items()}
    arrays |= {"labels": segment_labels(model), "about": np.array(json.dumps(about))}
    with writing(out) as folder:
        folder.mkdir(parents=True)
        write_npz(folder / "people.npz", arrays)
        for person, weights in identities.items():
            for region in config.data.regions:
                operators = region_operators(model, weights, person, region, config)
                write_operators(folder / f"{person}-{region}.npz", operators)
        generic = np.zeros(len(model.identity))
        for region in config.data.regions:
            operators = region_operators(model, generic, "generic", region, config)
            write_operators(folder / f"generic-{region}.npz", operators)
    log.info(
        "%s: %d people, %d expressions, regions %s",
        model.name, len(identities), len(expressions["train"]), ", ".join(config.data.regions),
    )  # fmt: skip


def draw_identity(seed: int, person: str, count: int) -> Float[np.ndarray, " i"]:
    """N(0, 1) clipped at 2.5, by seed and name alone."""
    drawn = generator(seed, "nfs", "identity", person).normal(size=count)
    return np.clip(drawn, -IDENTITY_LIMIT, IDENTITY_LIMIT)


def draw_expressions(
    seed: int, name: str, units: Sequence[str], count: int
) -> Float[np.ndarray, "_ e"]:
    """The zero expression, every unit alone, then ``count`` mixtures; a row each, 0 to 1."""
    return np.concatenate(
        [np.zeros((1, len(units))), np.eye(len(units)), mixtures(seed, name, units, count)]
    )


def mixtures(seed: int, name: str, units: Sequence[str], count: int) -> Float[np.ndarray, "_ e"]:
    """Mixtures of one to five units, with weight 1 or U(0.2, 1); half of the pairs go together."""
    rng = generator(seed, "nfs", "expressions", name)
    partner = partners(units)
    rows = np.zeros((count, len(units)))
    for row in rows:
        chosen = rng.choice(len(units), min(int(rng.integers(1, 6)), len(units)), replace=False)
        for unit in chosen:
            weight = 1.0 if rng.random() < 0.5 else rng.uniform(0.2, 1.0)
            row[unit] = weight
            if rng.random() < 0.5:
                row[partner[unit]] = weight
    return rows


def partners(units: Sequence[str]) -> Int[np.ndarray, " e"]:
    """For each unit the one of the other side (``_L``, ``_R``), or itself."""
    swap = {"_L": "_R", "_R": "_L"}
    other = [unit[:-2] + swap[unit[-2:]] if unit[-2:] in swap else unit for unit in units]
    return np.array([units.index(o) if o in units else i for i, o in enumerate(other)], np.int64)


def region_operators(
    model: Blendshapes,
    identity: Float[np.ndarray, " i"],
    person: str,
    region: str,
    config: DataSettings,
) -> Operators:
    """Operators of one person's neutral on one region; ``source`` counts the model's vertices.

    With ``data.vertices`` the region is triangulated anew and coarser, differently for each person.
    """
    from facemill.mesh.decimation import decimated

    neutral = model.vertices(identity, np.zeros(len(model.units)))
    numbers, faces = model.region_faces(region)
    if config.data.vertices is not None:
        number = np.full(len(neutral), -1)
        number[numbers] = np.arange(len(numbers))
        rng = generator(config.seed, "nfs", "triangles", person, region)
        part = Mesh(neutral[numbers], number[faces])
        _, coarse = decimated(part, config.data.vertices, rng)
        faces = numbers[coarse]
    return replace(
        build_operators(Mesh(neutral, faces), config.operators, f"{person} {region}", weld=False),
        n_source=len(neutral),
    )


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


def mean_face(model: Blendshapes) -> MeanFace:
    """What other meshes are aligned to."""
    return MeanFace(model.neutral, model.faces, model.neutral[model.landmarks])
