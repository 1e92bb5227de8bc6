"""A small NFS network, and labelled people for it, as the tests of the system use them."""

from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch

from facemill.data.blendshapes import Blendshapes
from facemill.nfs.config import ModelConfig
from facemill.nfs.draw import make_people
from facemill.nfs.model import NFS, load_model
from facemill.nfs.people import Labelled, read_people
from facemill.nfs.train import train

SMALL = ModelConfig(
    width=16, blocks=2, decoder_layers=3, dropout=0.0, eigenfunctions=12, picture_size=16,
    picture_channels=1, picture_code=8, norm="layer", code=24, units=19, identity=8, modes=3,
)  # fmt: skip

DATA = {
    "source": "demo", "train_people": 3, "validation_people": 1, "test_people": 2,
    "expressions": 12, "test_expressions": 4, "regions": ["narrow"], "vertices": 400,
    "demo_modes": 3,
}  # fmt: skip
OPERATORS = {"eigenfunctions": 16, "picture_size": 16}


def made(config: ModelConfig) -> NFS:
    """A fresh network, the same every time."""
    torch.manual_seed(0)
    return NFS(config).eval()


# -- one that has learnt something -----------------------------------------------------------------

ONE_SIDED = {"19_brow_raiser": "browInnerUp", "18_eye_closed": "eyeBlink"}
WHOLE = {"3_mouth_stretch": "jawOpen", "2_smile": "mouthSmile", "12_lip_puckerer": "mouthPucker"}
"""Expressions of the embedded heads, and what they are called here."""

TAUGHT = replace(
    SMALL, width=64, blocks=1, decoder_layers=4, eigenfunctions=None, code=12, units=7,
    anchored=True, offsets=True
)  # fmt: skip
TAUGHT_DATA = DATA | {
    "train_people": 8, "test_people": 2, "expressions": 400, "test_expressions": 16,
}  # fmt: skip
RECIPE = {
    "steps": 1200, "batch": 8, "learning_rate": 7e-3, "decay": 0.1, "warmup": 0.3,
    "true_codes": 0.5, "balance": 0.6, "validate_every": 100, "log_every": 100,
    "weights": {"expression": 10.0, "normals": 0.0, "jacobians": 0.0, "generic": 0.0},
}  # fmt: skip


@dataclass(frozen=True)
class Taught:
    """A trained network, its file, and the people it was taught and is measured on."""

    model: NFS
    path: Path
    folder: Path
    labelled: Labelled

    @property
    def units(self) -> tuple[str, ...]:
        return self.labelled.model.units


def with_own_units(model: Blendshapes) -> Blendshapes:
    """The embedded heads' model with seven units called as ICT's, of which four are one-sided."""
    left = 1.0 / (1.0 + np.exp(-model.neutral[:, :1] / 0.04))

    offsets = {name: model.expression[model.units.index(name)] for name in (*ONE_SIDED, *WHOLE)}
    units = {f"{new}_L": left * offsets[old] for old, new in ONE_SIDED.items()}
    units |= {f"{new}_R": (1 - left) * offsets[old] for old, new in ONE_SIDED.items()}
    units |= {new: offsets[old] for old, new in WHOLE.items()}
    return replace(
        model,
        expression=np.stack(list(units.values())).astype(model.expression.dtype),
        units=tuple(units),
    )


def taught(folder: Path, model: Blendshapes) -> Taught:
    """Draw people of a face model with own units, and train the network above on them."""
    people = folder / "people"
    make_people({"data": TAUGHT_DATA, "operators": OPERATORS, "seed": 0}, model, people)
    paths = [folder / f"model.{end}" for end in ("safetensors", "csv", "json")]
    settings = {"model": asdict(TAUGHT), "train": RECIPE}
    train(people, settings, folder / "work", *paths, threads=1)
    return Taught(load_model(paths[0])[0], paths[0], people, read_people(people / "people.npz"))
