"""People to test with: small made-up ones with textures and codes, and views of two demo heads."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from made_up_people import CODES, MODEL, TRAIN, Rendered, add_textures, write_views
from rendered_heads import render_views
from synthetic_faces import write_dataset

from facemill.data.splits import Split, content_hash
from facemill.files import write_json
from facemill.mofanerf import fit_losses
from facemill.mofanerf.codes import make_codes
from facemill.mofanerf.data import TrainingSet, open_training_set
from facemill.mofanerf.faces import Faces
from facemill.mofanerf.train import train
from facemill.training import descent

HEAD_SIZE = 64


@pytest.fixture(scope="session")
def rendered(tmp_path_factory) -> Rendered:
    """Five training people, two others, four expressions (one unseen), six views."""
    folder = tmp_path_factory.mktemp("rendered")
    data = write_dataset(folder, train=5, test=2, rows=400)
    add_textures(data)
    made = Rendered(data, folder)
    write_views(data, made.views)
    make_codes(data.index, data.faces(), made.views, CODES, made.codes, made.split)
    return made


@pytest.fixture(scope="session")
def data(rendered) -> TrainingSet:
    """What training opens of the made-up people, textures of 16 x 16 texels."""
    return open_training_set(rendered.codes, rendered.split, rendered.views, 16)


@pytest.fixture(scope="session")
def trained(rendered, tmp_path_factory) -> Path:
    """Weights of a small model after half a minute of training on the made-up people."""
    folder = tmp_path_factory.mktemp("trained_mofanerf")
    model = folder / "model.safetensors"
    recipe = {"warp_steps": 200, "warp_points": 128, "steps": 1200, "seed": 1}
    settings = {"model": MODEL, "train": TRAIN | recipe | {"checkpoint_steps": 1400}}
    made = (rendered.codes, rendered.split, rendered.views)
    train(*made, settings, folder / "work", model, folder / "h.csv", folder / "r.json", threads=1)
    return model


@pytest.fixture(scope="session")
def faces(trained, rendered) -> Faces:
    """The small model with its codes."""
    return Faces(trained, rendered.codes, torch.device("cpu"))


@pytest.fixture(scope="session")
def views(tmp_path_factory) -> dict[str, Path]:
    """View packs by person."""
    folder = tmp_path_factory.mktemp("Ansichten zweier")
    return {person: render_views(folder, person, HEAD_SIZE) for person in ("d001", "d002")}


@pytest.fixture(scope="session")
def index(tmp_path_factory) -> Path:
    """An index in which d001 is trained on and d002 is not."""
    split = Split(("d001",), ("d002",), ("1_neutral",), (), seed=0, hash="")
    split = replace(split, hash=content_hash(split)).as_json()
    path = tmp_path_factory.mktemp("index") / "index.json"
    write_json(
        path, {"dataset": "demo", "expressions": ["1_neutral"], "people": {}, "split": split}
    )
    return path


@pytest.fixture
def killed_at(monkeypatch) -> Callable[[int], list[int]]:
    """Kills a fit (once) in the middle of some step; states are kept as often as may be.

    Returns the list of losses computed, which grows.
    """

    def arm(calls: int) -> list[int]:
        made: list[int] = []
        charbonnier = fit_losses.charbonnier

        def counted(*colours):
            made.append(len(made))
            if len(made) == calls:
                raise KeyboardInterrupt
            return charbonnier(*colours)

        monkeypatch.setattr(descent, "SECONDS_BETWEEN", 0.0)
        monkeypatch.setattr(fit_losses, "charbonnier", counted)
        return made

    return arm
