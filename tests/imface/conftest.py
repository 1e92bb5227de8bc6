"""Tiny training data for ImFace: smooth height fields in place of faces."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from synthetic_faces import Dataset, write_dataset

from facemill.data.packs import write_sample_pack
from facemill.imface.train import train
from facemill.training import descent
from facemill.training.descent import Descent

ROWS = 400


def bump_face(rng: np.random.Generator, bump: float) -> tuple[np.ndarray, np.ndarray]:
    """Sample rows (ROWS, 7) and 68 landmarks of z = 40 - r^2/300 + bump * exp(-r^2/200), mm."""

    def height(x, y):
        return 40 - (x**2 + y**2) / 300 + bump * np.exp(-(x**2 + y**2) / 200)

    x, y = rng.uniform(-55, 55, (2, ROWS))
    slope = -2 / 300 - bump / 100 * np.exp(-(x**2 + y**2) / 200)
    normals = np.stack([-slope * x, -slope * y, np.ones(ROWS)], -1)
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
    points = np.stack([x, y, height(x, y)], -1)
    distance = np.zeros(ROWS)
    distance[::16] = rng.uniform(-20, 20, len(distance[::16]))  # the free points
    points += distance[:, None] * normals
    u, v = np.random.default_rng(9).uniform(-45, 45, (2, 68))
    landmarks = np.stack([u, v, height(u, v)], -1)
    return np.concatenate([points, normals, distance[:, None]], -1).astype(np.float32), landmarks


@pytest.fixture
def killed_after(monkeypatch) -> Callable[[int], list[int]]:
    """Kills the run (once) after some steps of descent, each of which is kept.

    Returns the list of steps made, which grows.
    """

    def arm(steps: int) -> list[int]:
        made: list[int] = []
        note = Descent.note

        def noted(self, step, terms, last):
            note(self, step, terms, last)
            made.append(step)
            if len(made) == steps:
                raise KeyboardInterrupt

        monkeypatch.setattr(descent, "SECONDS_BETWEEN", 0.0)
        monkeypatch.setattr(Descent, "note", noted)
        return made

    return arm


@pytest.fixture
def made_data(tmp_path: Path) -> Callable[..., tuple[Path, Path]]:
    """Writes index.json and sample packs and returns both paths.

    ``missing`` holds (person, expression), ``about`` changes of the index by part.
    """

    def make(
        people=("d001", "d002", "d003"),
        expressions=("1_neutral", "2_smile", "4_anger"),
        test=("d003",),
        unseen=("4_anger",),
        missing=(),
        about=None,
    ) -> tuple[Path, Path]:
        for number, person in enumerate(people):
            rng = np.random.default_rng(number)
            present = [e for e in expressions if (person, e) not in missing]
            made = {e: bump_face(rng, 3 * number + 4.0 * i) for i, e in enumerate(present)}
            manifest = {
                "expressions": present,
                "surface_points": ROWS - 25,
                "free_points": 25,
                "landmarks": {e: made[e][1].tolist() for e in present},
            }
            path = tmp_path / "samples" / f"{person}.npy"
            path.parent.mkdir(exist_ok=True)
            write_sample_pack(path, manifest, [made[e][0] for e in present])
        split = {
            "seed": 0,
            "train": [p for p in people if p not in test],
            "test": list(test),
            "seen_expressions": [e for e in expressions if e not in unseen],
            "unseen_expressions": list(unseen),
            "hash": "0",
        }
        marks = {p: {"split": "test" if p in test else "train", "scans": {}} for p in people}
        index = {"expressions": list(expressions), "people": marks, "split": split}
        for part, change in (about or {}).items():
            index[part].update(change)
        path = tmp_path / "index.json"
        path.write_text(json.dumps(index))
        return path, tmp_path / "samples"

    return make


@dataclass(frozen=True)
class TinyImFace:
    """A model of a few thousand weights, trained for seconds, and what it was trained on."""

    model: Path
    history: Path
    data: Dataset


@pytest.fixture(scope="session")
def tiny_imface(tmp_path_factory) -> TinyImFace:
    """Made once for all tests of fitting, evaluation and interpolation."""
    folder = tmp_path_factory.mktemp("tiny_imface")
    data = write_dataset(folder, train=4, test=2, rows=4000)
    light = {"identity_code": 1e3, "expression_code": 1e3}
    settings = {
        "model": {
            "identity_dim": 8,
            "expression_dim": 8,
            "width": 24,
            "hidden_layers": 2,
            "omega": 15.0,
            "hyper_width": 16,
            "hyper_layers": 1,
            "fusion_width": 16,
            "landmark_width": 16,
        },
        "train": {
            "steps": 120,
            "batch_scans": 4,
            "points": 192,
            "learning_rate": 2e-3,
            "weights": light,
        },
    }
    model, history = folder / "model.safetensors", folder / "history.csv"
    train(
        data.index, data.samples(), settings, folder / "work", model, history, folder / "run.json"
    )
    return TinyImFace(model, history, data)
