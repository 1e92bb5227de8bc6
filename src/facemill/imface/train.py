"""ImFace's training recipe, written out: batches, loss, Adam with decay, checkpoints.

State for resuming lies in a work folder. A run that is killed at any step and started again ends
with the same weights, to the bit on a CPU, as one that was never killed.
"""

import math
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from facemill import nets
from facemill.imface import losses
from facemill.imface.config import LossWeights, TrainConfig, TrainSettings
from facemill.imface.data import Batch, TrainingSet, open_training_set
from facemill.imface.model import ImFace, save_model
from facemill.training import loop
from facemill.training.device import choose_device, seeded
from facemill.training.loop import Recipe, TrainingRun, sources
from facemill.training.processes import Processes, joined
from facemill.training.settings import from_settings

TERMS = [field.name for field in fields(LossWeights)]

CODE = ("blend", "config", "data", "deform", "losses", "model", "point_losses", "sweeps", "train")
"""Modules of this room that the weights depend on."""


def train(
    index: str | Path,
    samples: str | Path,
    settings: Mapping[str, Any],
    work: str | Path,
    model_path: str | Path,
    history_path: str | Path,
    run_path: str | Path,
    threads: int | None = None,
) -> None:
    """Train ImFace on the training people of ``index``, samples in ``<samples>/<person>.npy``.

    ``settings`` holds ``model`` and ``train`` (see config.py). Writes the model (safetensors), the
    history (CSV: step, seconds, learning rate, weighted loss terms averaged since the row before,
    and their sum ``total``) and the record of the run (JSON). ``work`` is where an interrupted run
    is taken up again; it is removed at the end. Under torchrun each process computes its share of a
    step's scans, and the first one writes.

    Raises ConfigError for bad settings, DataError for bad samples, TrainingError on divergence.
    """
    config = from_settings(TrainSettings, settings, "imface")
    data = open_training_set(index, samples)
    facts = {"people": len(data.people), "scans": len(data.scans)}
    data = data.with_deformed_people(config.train.deformed, config.train.seed)
    if config.train.mirror:
        data = data.with_mirror_images()
    steps = number_of_steps(config.train, len(data.scans))
    device = choose_device(config.train.device)
    with joined(device) as processes:
        run = TrainingRun(work, fingerprint(config, data, device), device, threads, processes)
        with run.arithmetic(config.train.matmul_precision):
            model = initial_model(config, data).to(device)
            own = Steps(data, config.train, steps, model, run.threads, processes)
            run.train(own.recipe(), config.train)
    if not processes.first:
        return
    facts |= {"people_with_copies": len(data.people), "scans_with_copies": len(data.scans)}
    record = run.write_record(history_path, run_path, config, facts)
    present = {
        person: [data.expressions[e] for p, e in data.scans if p == number]
        for number, person in enumerate(data.people)
    }
    extra = {"train": record["settings"]["train"], "scans": present}
    extra |= {"trained_on": facts, "versions": record["versions"]}
    save_model(model_path, model, data.people, data.expressions, extra)
    run.close()


# -- the parts of the recipe -----------------------------------------------------------------------


def number_of_steps(config: TrainConfig, n_scans: int) -> int:
    """Steps of the run: as given, or as many as ``epochs`` passes over all scans take."""
    return config.steps or math.ceil(config.epochs * n_scans / config.batch_scans)


def initial_model(config: TrainSettings, data: TrainingSet) -> ImFace:
    """Fresh weights and codes from the seed, template landmarks from the data."""
    with seeded(config.train.seed, "imface", "init"):
        model = ImFace(config.model, len(data.people), len(data.expressions))
    model.template_landmarks.copy_(torch.from_numpy(data.template_landmarks))
    return model


def make_optimiser(model: ImFace, config: TrainConfig) -> torch.optim.Adam:
    """Adam on everything, nets in the first group and codes in the second.

    The code tables are dense parameters: codes absent from a batch move on by their momentum. A
    lazy Adam would be another optimiser (the release trains like this).
    """
    tables = (model.identity_codes, model.expression_codes, getattr(model, "detail_codes", None))
    codes = [table.weight for table in tables if table is not None]
    held = {id(code) for code in codes}
    weights = [parameter for parameter in model.parameters() if id(parameter) not in held]
    code_rate = config.code_learning_rate or config.learning_rate
    groups = [
        {"params": weights, "base": config.learning_rate},
        {"params": codes, "base": code_rate},
    ]
    return torch.optim.Adam(groups, lr=config.learning_rate, fused=True)


def decay(config: TrainConfig, step: int, steps: int) -> float:
    """Factor on the learning rate at ``step``: 1 at first, then a staircase going down."""
    since = step / steps - config.decay_start
    if since < -1e-9:
        return 1.0
    return config.decay_factor ** (math.floor(since / config.decay_every + 1e-9) + 1)


def points_at_once(device: torch.device, threads: int) -> int:
    """Points that pass through the fields together; bounds memory.

    On a CPU that is in each thread. Calls dominate in small parts, the way to memory in large ones;
    with threads there must be parts for all of them.
    """
    if device.type == "cuda":
        return 131072
    return 8192 if threads == 1 else 2048


def fingerprint(config: TrainSettings, data: TrainingSet, device: torch.device) -> dict[str, Any]:
    """What the final weights depend on."""
    code = sources(Path(__file__).parent, CODE) + sources(Path(nets.__file__ or "").parent)
    inputs = {"samples": {"expressions": list(data.expressions), **data.fingerprint()}}
    return loop.fingerprint(config, code, inputs, device)


class Steps:
    """ImFace's steps: what each reads, computes and changes."""

    def __init__(
        self,
        data: TrainingSet,
        config: TrainConfig,
        steps: int,
        model: ImFace,
        threads: int,
        processes: Processes = Processes(),  # noqa: B008 - frozen
    ) -> None:
        self.processes = processes
        self.part = processes.share(config.batch_scans, "imface.train.batch_scans")
        self.data, self.config, self.steps, self.model = data, config, steps, model
        self.device = model.template_landmarks.device
        self.at_once = config.at_once or points_at_once(self.device, threads)
        self.optimiser = make_optimiser(model, config)
        self.deformed_join = math.ceil(config.deformed.start * steps)
        self.without_deformed = data.without_deformed_people()

    def recipe(self) -> Recipe:
        """What the training loop asks for."""
        return Recipe(
            key="imface.train",
            steps=self.steps,
            learning_rate=self.config.learning_rate,
            decay=self.decay,
            batch=self.batch,
            update=self.update,
            terms=TERMS,
            kept={"model": self.model, "optimiser": self.optimiser},
        )

    def decay(self, step: int) -> float:
        """Factor on the learning rate at ``step``."""
        return decay(self.config, step, self.steps)

    def batch(self, step: int) -> Batch:
        """Points of the scans that a step learns from."""
        config = self.config
        data = self.data if step >= self.deformed_join else self.without_deformed
        return data.batch(config.seed, step, config.batch_scans, config.points, self.part)

    def update(self, step: int, batch: Batch) -> dict[str, Float[Tensor, ""]]:
        """One update of weights and codes; returns the weighted loss terms."""
        factor = self.decay(step)
        for group in self.optimiser.param_groups:
            group["lr"] = group["base"] * factor
        self.optimiser.zero_grad()
        if step == self.deformed_join:
            self.model.inherit_codes(self.data.sources)
        refine = self.model.config.detail_dim > 0 and step >= self.config.refine_from * self.steps
        batch = batch.to(self.device)
        terms = losses.backward(self.model, batch, self.config.weights, self.at_once, refine)
        self.processes.mean_gradients(self.model.parameters())
        self.optimiser.step()
        means = self.processes.mean(torch.stack(list(terms.values())))
        return dict(zip(terms, means.unbind(), strict=True))
