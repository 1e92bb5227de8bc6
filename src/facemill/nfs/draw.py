"""Drawing labelled people by seed: identities, expressions, and operators of their neutrals."""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from facemill.data.blendshapes import Blendshapes, blendshape_arrays
from facemill.files import write_npz, writing
from facemill.mesh.decimation import decimated
from facemill.mesh.operators import Operators, write_operators
from facemill.mesh.surface import Mesh
from facemill.nfs.neutrals import neutral_operators
from facemill.nfs.people import FORMAT, DataSettings, partners
from facemill.nfs.segments import segment_labels
from facemill.randomness import generator
from facemill.training.settings import from_settings

log = logging.getLogger(__name__)

IDENTITY_LIMIT = 2.5
"""Identity weights are clipped here, in standard deviations."""


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
    neutral = model.vertices(identity, np.zeros(len(model.units)))
    numbers, faces = model.region_faces(region)
    if config.data.vertices is not None:
        number = np.full(len(neutral), -1)
        number[numbers] = np.arange(len(numbers))
        rng = generator(config.seed, "nfs", "triangles", person, region)
        part = Mesh(neutral[numbers], number[faces])
        _, coarse = decimated(part, config.data.vertices, rng)
        faces = numbers[coarse]
    return neutral_operators(Mesh(neutral, faces), config.operators, f"{person} {region}")
