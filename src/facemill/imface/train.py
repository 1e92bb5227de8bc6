"""ImFace's training recipe, written out: batches, loss, Adam with decay, checkpoints.

State for resuming lies in a work folder. A run that is killed at any step and started again ends
with the same weights, to the bit on a CPU, as one that was never killed.
"""

import logging
import math
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch

from facemill import nets, training
from facemill.errors import TrainingError
from facemill.files import content_hash, write_json, writing
from facemill.imface import losses
from facemill.imface.config import LossWeights, TrainConfig, TrainSettings
from facemill.imface.data import TrainingSet, open_training_set
from facemill.imface.model import ImFace, save_model
from facemill.training.checkpoint import Checkpoints
from facemill.training.device import choose_device, reproducible, seeded
from facemill.training.history import History
from facemill.training.progress import Progress
from facemill.training.record import device_name, peak_memory_mb, versions
from facemill.training.settings import from_settings, to_settings

log = logging.getLogger(__name__)

TERMS = [field.name for field in fields(LossWeights)]

CODE = ("blend", "config", "data", "losses", "model", "sweeps", "train")
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
    is taken up again; it is removed at the end.

    Raises ConfigError for bad settings, DataError for bad samples, TrainingError on divergence.
    """
    config = from_settings(TrainSettings, settings, "imface")
    data = open_training_set(index, samples)
    if config.train.mirror:
        data = data.with_mirror_images()
    steps = number_of_steps(config.train, len(data.scans))
    device = choose_device(config.train.device)
    checkpoints = Checkpoints(work, fingerprint(config, data, device))
    state = checkpoints.load()
    threads = threads_of_the_run(state, threads or torch.get_num_threads())
    with reproducible(device, threads):
        model = initial_model(config, data).to(device)
        optimiser = make_optimiser(model, config.train)
        loop = Loop(data, config.train, steps, model, optimiser, checkpoints, threads)
        loop.resume(state)
        loop.run()
    record = {
        "settings": to_settings(config),
        "people": len(data.people),
        "scans": len(data.scans),
        "steps": steps,
        "seconds": round(loop.seconds, 3),
        "times_resumed": loop.times_resumed,
        "device": device_name(device),
        "threads": threads,
        "peak_memory_mb": round(peak_memory_mb(device), 1),
        "versions": versions(),
    }
    present = {
        person: [data.expressions[e] for p, e in data.scans if p == number]
        for number, person in enumerate(data.people)
    }
    extra = {"train": record["settings"]["train"], "scans": present, "versions": versions()}
    with writing(history_path) as part:
        part.write_text(loop.history.text(), encoding="utf-8")
    write_json(run_path, record)
    save_model(model_path, model, data.people, data.expressions, extra)
    checkpoints.remove()


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


def threads_of_the_run(state: Mapping[str, Any] | None, threads: int) -> int:
    """A resumed run keeps the number of threads it began with: sums are split by thread, and the
    last bits of the weights depend on it."""
    if state is None or state["threads"] == threads:
        return threads
    log.info("going on with %d threads, as begun, not %d", state["threads"], threads)
    return int(state["threads"])


def fingerprint(config: TrainSettings, data: TrainingSet, device: torch.device) -> dict[str, Any]:
    """What the final weights depend on; a checkpoint of any other run is of no use."""
    here = Path(__file__).parent
    code = [here / f"{name}.py" for name in CODE]
    for room in (nets, training):
        code += Path(room.__file__ or "").parent.glob("*.py")
    never = ("log_every", "checkpoint_steps", "checkpoint_seconds")  # do not touch the weights
    settings = to_settings(config)
    settings["train"] = {k: v for k, v in settings["train"].items() if k not in never}
    return {
        "settings": settings,
        "code": content_hash(code),
        "samples": {"expressions": list(data.expressions), **data.fingerprint()},
        "device": device.type,
        "torch": torch.__version__,
    }


# -- the loop --------------------------------------------------------------------------------------


class Loop:
    """The steps from the last checkpoint, if there is one, to the end."""

    def __init__(
        self,
        data: TrainingSet,
        config: TrainConfig,
        steps: int,
        model: ImFace,
        optimiser: torch.optim.Adam,
        checkpoints: Checkpoints,
        threads: int,
    ) -> None:
        self.data, self.config, self.steps = data, config, steps
        self.model, self.optimiser, self.checkpoints = model, optimiser, checkpoints
        self.threads = threads
        self.device = model.template_landmarks.device
        self.step = 0
        self.seconds = 0.0
        self.times_resumed = 0
        self.sums = torch.zeros(len(TERMS), dtype=torch.float64, device=self.device)
        self.since_row = 0

    def resume(self, state: Mapping[str, Any] | None) -> None:
        """Take up a checkpoint's state, or begin at step 0."""
        if state is not None:
            self._restore(state)
        columns = ["seconds", "learning_rate", "total", *TERMS]
        self.history = History(self.checkpoints.folder / "history.csv", columns, self.step)

    def run(self) -> None:
        """Train to the last step, with the next batch being read while this one is computed."""
        progress = Progress("imface_train", self.steps, self.step)
        saved = began = time.monotonic()
        before = self.seconds
        with ThreadPoolExecutor(1) as reader:
            batch = reader.submit(self._batch, self.step)
            while self.step < self.steps:
                ready, batch = batch.result(), reader.submit(self._batch, self.step + 1)
                total = self._train_step(ready.to(self.device))
                self.step += 1
                now = time.monotonic()
                self.seconds = before + now - began
                if self.step % self.config.log_every == 0 or self.step == self.steps:
                    self._write_row()
                progress.update(self.step, f"loss {total:.4g}")
                due = self.step % self.config.checkpoint_steps == 0
                if (due or now - saved > self.config.checkpoint_seconds) and self.step < self.steps:
                    self.checkpoints.save(self.step, self._state())
                    saved = time.monotonic()
        progress.close()

    def _batch(self, step: int) -> Any:
        config = self.config
        return self.data.batch(config.seed, step, config.batch_scans, config.points)

    def _train_step(self, batch: Any) -> float:
        """One update of weights and codes; returns the loss."""
        factor = decay(self.config, self.step, self.steps)
        for group in self.optimiser.param_groups:
            group["lr"] = group["base"] * factor
        self.optimiser.zero_grad()
        refine = self.model.config.detail_dim > 0 and (
            self.step >= self.config.refine_from * self.steps
        )
        at_once = self.config.at_once or points_at_once(self.device, self.threads)
        terms = losses.backward(self.model, batch, self.config.weights, at_once, refine)
        total = torch.stack(list(terms.values())).sum().item()
        if not math.isfinite(total):
            raise TrainingError(
                f"step {self.step}: the loss is {total}. Lower imface.train.learning_rate "
                f"(now {self.config.learning_rate:g}) and start again."
            )
        self.optimiser.step()
        zero = self.sums.new_zeros(())
        self.sums += torch.stack([terms.get(name, zero) for name in TERMS])
        self.since_row += 1
        return total

    def _write_row(self) -> None:
        means = (self.sums / self.since_row).tolist()
        rate = self.config.learning_rate * decay(self.config, self.step - 1, self.steps)
        values = {"seconds": self.seconds, "learning_rate": rate, "total": sum(means)}
        self.history.append(self.step, {**values, **dict(zip(TERMS, means, strict=True))})
        self.sums.zero_()
        self.since_row = 0

    def _state(self) -> dict[str, Any]:
        return {
            "step": self.step,
            "model": self.model.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "sums": self.sums,
            "since_row": self.since_row,
            "seconds": self.seconds,
            "times_resumed": self.times_resumed,
            "threads": self.threads,
        }

    def _restore(self, state: Mapping[str, Any]) -> None:
        self.model.load_state_dict(state["model"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.sums.copy_(state["sums"])
        self.step = state["step"]
        self.since_row = state["since_row"]
        self.seconds = state["seconds"]
        self.times_resumed = state["times_resumed"] + 1
        log.info("going on after step %d of %d", self.step, self.steps)
