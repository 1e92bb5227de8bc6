"""MoFaNeRF's training recipe, written out: batches of many people, loss, Adam, averaged weights.

State for resuming lies in a work folder. A run that is killed at any step and started again ends
with the same weights, to the bit on a CPU, as one that was never killed.
"""

import contextlib
import logging
import math
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from facemill import training
from facemill.errors import TrainingError
from facemill.files import content_hash, write_json, writing
from facemill.mofanerf import losses
from facemill.mofanerf.config import LossWeights, TrainConfig, TrainSettings
from facemill.mofanerf.data import Batch, TrainingSet, open_training_set
from facemill.mofanerf.model import MoFaNeRF, save_model
from facemill.mofanerf.preview import write_preview
from facemill.randomness import derived_seed
from facemill.training.checkpoint import Checkpoints
from facemill.training.device import choose_device, reproducible, seeded
from facemill.training.history import History
from facemill.training.progress import Progress
from facemill.training.record import device_name, peak_memory_mb, versions
from facemill.training.settings import from_settings, to_settings

log = logging.getLogger(__name__)

TERMS = [field.name for field in fields(LossWeights)]


def train(
    codes: str | Path,
    split: str | Path,
    views: str | Path,
    settings: Mapping[str, Any],
    work: str | Path,
    model_path: str | Path,
    history_path: str | Path,
    run_path: str | Path,
    threads: int | None = None,
) -> None:
    """Train MoFaNeRF on the training views of ``split``, packs in ``<views>/<person>.zip``.

    ``settings`` holds ``model`` and ``train`` (see config.py). Writes the model (safetensors), the
    history (CSV: step, seconds, learning rate, weighted loss terms averaged since the row before,
    their sum ``total``) and the record of the run (JSON). ``work`` is where an interrupted run is
    taken up again, and where ``preview.png`` lies meanwhile; it is removed at the end.

    Raises ConfigError for bad settings, DataError for bad input, TrainingError on divergence.
    """
    config = from_settings(TrainSettings, settings, "mofanerf")
    data = open_training_set(codes, split, views, config.model.texture_size)
    device = choose_device(config.train.device)
    checkpoints = Checkpoints(work, fingerprint(config, data, device))
    state = checkpoints.load()
    threads = int(state["threads"]) if state else threads or torch.get_num_threads()
    with reproducible(device, threads), without_denormals():
        model = initial_model(config, data).to(device)
        optimiser = make_optimiser(model, config.train)
        loop = Loop(data, config.train, model, optimiser, checkpoints, threads)
        loop.resume(state)
        loop.run()
    record = {
        "settings": to_settings(config),
        "people": len(data.packs),
        "scans": len(data.pairs),
        "views": len(data.split.train_views),
        "steps": config.train.steps,
        "seconds": round(loop.seconds, 3),
        "times_resumed": loop.times_resumed,
        "device": device_name(device),
        "threads": threads,
        "peak_memory_mb": round(peak_memory_mb(device), 1),
        "versions": versions(),
    }
    with writing(history_path) as part:
        part.write_text(loop.history.text(), encoding="utf-8")
    write_json(run_path, record)
    extra = {
        "train": record["settings"]["train"],
        "people": list(data.split.train_people),
        "split_hash": data.split.hash,
        "versions": versions(),
    }
    model.load_state_dict(loop.kept())
    save_model(model_path, model, data.split.expressions, data.codes_sha256, extra)
    checkpoints.remove()


# -- the parts of the recipe -----------------------------------------------------------------------


def initial_model(config: TrainSettings, data: TrainingSet) -> MoFaNeRF:
    """Fresh weights and expression codes from the seed."""
    with seeded(config.train.seed, "mofanerf", "init"):
        return MoFaNeRF(config.model, len(data.split.expressions))


def make_optimiser(model: MoFaNeRF, config: TrainConfig) -> torch.optim.Adam:
    """Adam on everything; feature maps in a group of their own, as each texel is seldom seen."""
    maps = [p for name, p in model.named_parameters() if name.split(".")[-1].endswith(MAPS)]
    held = {id(parameter) for parameter in maps}
    weights = [p for p in model.parameters() if id(p) not in held]
    groups = [{"params": weights, "base": config.learning_rate}]
    if maps:
        rate = config.map_learning_rate or config.learning_rate
        groups.append({"params": maps, "base": rate})
    return torch.optim.Adam(groups, lr=config.learning_rate, eps=1e-8, fused=True)


MAPS = ("geometry_map", "appearance_maps", "mean_map")


def decay(config: TrainConfig, step: int) -> float:
    """Factor on the learning rate at ``step``: decay^(step / decay_steps) (release)."""
    return config.decay ** (step / (config.decay_steps or config.steps))


def average_decay(config: TrainConfig, step: int) -> float:
    """Decay of the averaged weights: short at first, so that the start is soon forgotten."""
    return min(config.ema, (1 + step) / (10 + step))


@contextlib.contextmanager
def without_denormals() -> Iterator[None]:
    """Numbers below 1e-38 count as zero: a processor takes a hundred times as long for them, and
    what passes through an opaque surface is full of them."""
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)


def fingerprint(config: TrainSettings, data: TrainingSet, device: torch.device) -> dict[str, Any]:
    """What the final weights depend on; a checkpoint of any other run is of no use."""
    here = Path(__file__).parent
    code = [path for path in here.glob("*.py") if path.stem in OWN_CODE]
    code += Path(training.__file__ or "").parent.glob("*.py")
    never = ("log_every", "preview_every", "checkpoint_steps", "checkpoint_seconds")
    settings = to_settings(config)
    settings["train"] = {k: v for k, v in settings["train"].items() if k not in never}
    return {
        "settings": settings,
        "code": content_hash(code),
        "codes": data.codes_sha256,
        "split": data.split.hash,
        "views": data.sources,
        "device": device.type,
        "torch": torch.__version__,
    }


OWN_CODE = ("canonical", "compositing", "config", "data", "layers", "losses", "model", "rays")
OWN_CODE += ("render", "splits", "train")
"""Modules that decide the weights."""


# -- the loop --------------------------------------------------------------------------------------


class Loop:
    """The steps from the last checkpoint, if there is one, to the end."""

    def __init__(
        self,
        data: TrainingSet,
        config: TrainConfig,
        model: MoFaNeRF,
        optimiser: torch.optim.Adam,
        checkpoints: Checkpoints,
        threads: int,
    ) -> None:
        self.data, self.config, self.steps = data, config, config.steps
        self.model, self.optimiser, self.checkpoints = model, optimiser, checkpoints
        self.threads = threads
        self.device = model.expression_codes.device
        self.shapes = torch.from_numpy(data.shapes).to(self.device)
        self.textures = torch.from_numpy(data.textures).to(self.device)
        self.average = {k: v.detach().clone() for k, v in model.state_dict().items()}
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
        progress = Progress("mofanerf_train", self.steps, self.step)
        saved = began = time.monotonic()
        before = self.seconds
        with ThreadPoolExecutor(1) as reader:
            batch = reader.submit(self.data.batch, self.step, self.config)
            while self.step < self.steps:
                ready = batch.result()
                batch = reader.submit(self.data.batch, self.step + 1, self.config)
                total = self._train_step(ready.to(self.device))
                self.step += 1
                now = time.monotonic()
                self.seconds = before + now - began
                if self.step % self.config.log_every == 0 or self.step == self.steps:
                    self._write_row()
                progress.update(self.step, f"loss {total:.4g}")
                if self.config.preview_every and self.step % self.config.preview_every == 0:
                    self._preview()
                due = self.step % self.config.checkpoint_steps == 0
                if (due or now - saved > self.config.checkpoint_seconds) and self.step < self.steps:
                    self.checkpoints.save(self.step, self._state())
                    saved = time.monotonic()
        progress.close()

    def kept(self) -> dict[str, Tensor]:
        """The weights that the run ends with: averaged ones, where averaging is on."""
        return self.average if self.config.ema else self.model.state_dict()

    def _train_step(self, batch: Batch) -> float:
        """One update of weights, codes and averages; returns the loss."""
        config = self.config
        for group in self.optimiser.param_groups:
            group["lr"] = group["base"] * decay(config, self.step)
        self.optimiser.zero_grad()
        draw = torch.Generator().manual_seed(
            derived_seed(config.seed, "mofanerf", "samples", str(self.step))
        )
        with self._autocast():
            found = losses.terms(
                self.model,
                batch,
                self.shapes,
                self.textures,
                config.weights,
                config.sampling,
                draw,
            )
        loss = torch.stack(list(found.values())).sum()
        total = loss.item()
        if not math.isfinite(total):
            raise TrainingError(
                f"step {self.step}: the loss is {total}. Lower mofanerf.train.learning_rate "
                f"(now {config.learning_rate:g}) and start again."
            )
        loss.backward()
        self.optimiser.step()
        if config.ema:
            keep = average_decay(config, self.step)
            own = self.model.state_dict()
            torch._foreach_lerp_(
                list(self.average.values()), [own[k] for k in self.average], 1 - keep
            )
        zero = self.sums.new_zeros(())
        self.sums += torch.stack([found.get(name, zero).detach() for name in TERMS])
        self.since_row += 1
        return total

    def _autocast(self) -> contextlib.AbstractContextManager:
        """bfloat16 in the networks on GPUs that compute with it."""
        able = self.device.type == "cuda" and torch.cuda.is_bf16_supported()
        return torch.autocast(
            "cuda", torch.bfloat16, enabled=able and self.config.autocast == "auto"
        )

    def _preview(self) -> None:
        own = {k: v.clone() for k, v in self.model.state_dict().items()}
        self.model.load_state_dict(self.kept())
        path = self.checkpoints.folder / "preview.png"
        write_preview(path, self.model, self.data, self.config.sampling)
        self.model.load_state_dict(own)
        log.info("step %d: %s shows truth and model", self.step, path)

    def _write_row(self) -> None:
        means = (self.sums / self.since_row).tolist()
        rate = self.config.learning_rate * decay(self.config, self.step - 1)
        values = {"seconds": self.seconds, "learning_rate": rate, "total": sum(means)}
        self.history.append(self.step, {**values, **dict(zip(TERMS, means, strict=True))})
        self.sums.zero_()
        self.since_row = 0

    def _state(self) -> dict[str, Any]:
        return {
            "step": self.step,
            "model": self.model.state_dict(),
            "average": self.average,
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
        self.average = {k: v.to(self.device) for k, v in state["average"].items()}
        self.sums.copy_(state["sums"])
        self.step = state["step"]
        self.since_row = state["since_row"]
        self.seconds = state["seconds"]
        self.times_resumed = state["times_resumed"] + 1
        log.info("going on after step %d of %d", self.step, self.steps)
