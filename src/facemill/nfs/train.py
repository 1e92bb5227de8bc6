"""NFS's training recipe: one person and one mesh a step, AdamW, the best validation is kept.

State for resuming lies in a work folder. A run that is killed at any step and started again ends
with the same weights, to the bit on a CPU, as one that was never killed.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from facemill.nfs import losses
from facemill.nfs.config import TrainConfig, TrainSettings
from facemill.nfs.data import (
    Batch,
    TrainingSet,
    open_training_set,
    require_room,
    require_training_people,
)
from facemill.nfs.model import NFS, save_model
from facemill.training import loop
from facemill.training.device import choose_device, seeded
from facemill.training.loop import Recipe, TrainingRun, sources
from facemill.training.settings import from_settings

OWN_CODE = (
    "config", "data", "decoding", "losses", "model", "people", "segments", "surface", "train"
)  # fmt: skip
"""Modules that decide the weights."""


def train(
    people: str | Path,
    settings: Mapping[str, Any],
    work: str | Path,
    model_path: str | Path,
    history_path: str | Path,
    run_path: str | Path,
    index: str | Path | None = None,
    operators: str | Path | None = None,
    faces: str | Path | None = None,
    unlabelled: Sequence[str] = (),
    threads: int | None = None,
) -> None:
    """Train NFS on labelled people (``people``: the folder of nfs_data) and on the data set's.

    ``unlabelled`` names people of the data set, with ``<operators>/<person>.npz`` and
    ``<faces>/<person>.npz``; the index must list them for training. ``settings`` holds
    ``model`` and ``train`` (config.py). Writes the model (safetensors), the history (CSV; its
    column ``validation`` is the last mean squared vertex error on fixed frames of the validation
    people) and the record of the run (JSON).

    Raises ConfigError for bad settings, DataError for bad input, TrainingError on divergence.
    """
    config = from_settings(TrainSettings, settings, "nfs")
    device = choose_device(config.train.device)
    if unlabelled:
        require_training_people(unlabelled, index)
    poisson = config.model.decoder == "jacobian"
    data = open_training_set(people, operators, faces, unlabelled, poisson, device)
    require_room(config.model, data.labelled)
    run = TrainingRun(work, fingerprint(config, data, device), device, threads)
    with run.arithmetic():
        with seeded(config.train.seed, "nfs", "init"):
            model = NFS(config.model).to(device)
        steps = Steps(data, config, model)
        run.train(steps.recipe(), config.train)
    facts = {
        "face_model": data.labelled.model.name,
        "labelled_people": len(data.labelled.people["train"]),
        "unlabelled_people": len(data.unlabelled),
        "expressions": len(data.expressions),
        "weights": sum(p.numel() for p in model.parameters()),
        "best_validation": steps.best.value if math.isfinite(steps.best.value) else None,
    }
    record = run.write_record(history_path, run_path, config, facts)
    if config.train.best and math.isfinite(steps.best.value):
        model.load_state_dict(steps.best.weights)
    extra = {
        "train": record["settings"]["train"],
        "face_model": data.labelled.model.name,
        "people_sha256": data.labelled.sha256,
        "unlabelled": list(data.unlabelled),
        "versions": record["versions"],
    }
    save_model(model_path, model, data.labelled.model.units, extra)
    run.close()


def fingerprint(config: TrainSettings, data: TrainingSet, device: torch.device) -> dict[str, Any]:
    """What the final weights depend on."""
    code = sources(Path(__file__).parent, OWN_CODE)
    code += sources(Path(losses.__file__).parent.parent / "nets", ["diffusion"])
    inputs = {"people": data.labelled.sha256, "unlabelled": data.sources}
    return loop.fingerprint(config, code, inputs, device)


class Best:
    """The weights of the best validation so far, and its value (infinite before the first)."""

    def __init__(self, model: NFS) -> None:
        self.value = self.last = math.inf
        self.weights = {name: value.detach().clone() for name, value in model.state_dict().items()}

    def consider(self, value: float, model: NFS) -> None:
        """Keep the network's present weights if they did better than any before."""
        self.last = value
        if value < self.value:
            self.value = value
            own = model.state_dict()
            for name, weight in self.weights.items():
                weight.copy_(own[name])

    def state_dict(self) -> dict[str, Any]:
        """Value and weights."""
        return {"value": self.value, "last": self.last, "weights": self.weights}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take them up again."""
        self.value, self.last = state["value"], state["last"]
        for name, weight in self.weights.items():
            weight.copy_(state["weights"][name])


class Steps:
    """NFS's steps: what each reads, computes and changes."""

    def __init__(self, data: TrainingSet, config: TrainSettings, model: NFS) -> None:
        self.data, self.settings, self.config, self.model = data, config, config.train, model
        self.optimiser = torch.optim.AdamW(
            model.parameters(),
            lr=self.config.learning_rate,
            weight_decay=self.config.weight_decay,
        )
        self.best = Best(model)

    def recipe(self) -> Recipe:
        """What the training loop asks for."""
        config = self.config
        return Recipe(
            key="nfs.train",
            steps=config.steps,
            learning_rate=config.learning_rate,
            decay=lambda step: decay(config, step),
            batch=lambda step: self.data.batch(step, config, self.settings.model),
            update=self.update,
            terms=losses.TERMS,
            kept={"model": self.model, "optimiser": self.optimiser, "best": self.best},
            beside=("validation",),
        )

    def update(self, step: int, batch: Batch) -> dict[str, Float[Tensor, ""]]:
        """One update of all weights; returns the weighted loss terms and the last validation."""
        config = self.config
        for group in self.optimiser.param_groups:
            group["lr"] = config.learning_rate * decay(config, step)
        self.model.train()
        self.optimiser.zero_grad()
        generic = self.data.generic(batch.region) if batch.region else None
        with seeded(config.seed, "nfs", "dropout", str(step)):
            found = losses.terms(
                self.model,
                batch.surface,
                batch.truth,
                generic,
                config.weights,
                config.hinge,
                config.decoded_from_labels(step),
                config.balance,
            )
            loss = losses.total(found)
            loss.backward()
        self.optimiser.step()
        found = {name: value.detach() for name, value in found.items()}
        if self._due(step) and math.isfinite(loss.item()):
            self.best.consider(self.validate(), self.model)
        if math.isfinite(self.best.last):
            found["validation"] = loss.new_tensor(self.best.last)
        return found

    def _due(self, step: int) -> bool:
        every = self.config.validate_every
        last = step + 1 == self.config.steps
        return bool(every) and (step == 0 or (step + 1) % every == 0 or last)

    @torch.no_grad()
    def validate(self) -> float:
        """Mean squared vertex error of self-retargeting on fixed frames, canonical units."""
        self.model.eval()
        errors = []
        for batch in self.data.validation(self.settings.model):
            target = self.model.target(batch.surface)
            moved = self.model.decode(target, self.model.codes(target, batch.truth.frames))
            free = self.settings.model.decoder == "jacobian"
            errors.append(losses.vertex_error(moved, batch.truth.frames, free).item())
        return sum(errors) / len(errors) if errors else math.inf


def decay(config: TrainConfig, step: int) -> float:
    """Factor on the learning rate at ``step``, falling evenly in its logarithm."""
    return config.decay ** (step / config.steps)
