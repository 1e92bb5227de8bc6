"""MoFaNeRF's training recipe, written out: batches of many people, loss, Adam, averaged weights.

State for resuming lies in a work folder. A run that is killed at any step and started again ends
with the same weights, to the bit on a CPU, as one that was never killed.
"""

import contextlib
import logging
import math
from collections.abc import Iterator, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from facemill.mofanerf import losses
from facemill.mofanerf.canonical import CanonicalField
from facemill.mofanerf.config import LossWeights, TrainConfig, TrainSettings
from facemill.mofanerf.data import Batch, ShownFaces, TrainingSet, open_training_set
from facemill.mofanerf.model import MoFaNeRF, save_model
from facemill.mofanerf.preview import write_preview
from facemill.mofanerf.rays import Share
from facemill.randomness import derived_seed
from facemill.training import loop
from facemill.training.device import choose_device, seeded
from facemill.training.loop import Recipe, TrainingRun, sources
from facemill.training.processes import Processes, joined
from facemill.training.settings import from_settings

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
    taken up again, and where ``preview.png`` lies meanwhile; it is removed at the end. Under
    torchrun each process computes its share of a step's images, and the first one writes.

    Raises ConfigError for bad settings, DataError for bad input, TrainingError on divergence.
    """
    config = from_settings(TrainSettings, settings, "mofanerf")
    data = open_training_set(codes, split, views, config.model.texture_size)
    device = choose_device(config.train.device)
    with joined(device) as processes:
        run = TrainingRun(work, fingerprint(config, data, device), device, threads, processes)
        with run.arithmetic(), without_denormals():
            model = initial_model(config, data).to(device)
            steps = Steps(data, config.train, model, Path(work) / "preview.png", processes)
            run.train(steps.recipe(), config.train)
    if not processes.first:
        return
    facts = {
        "people": len(data.packs),
        "scans": len(data.pairs),
        "views": len(data.split.train_views),
    }
    record = run.write_record(history_path, run_path, config, facts)
    extra = {
        "train": record["settings"]["train"],
        "people": list(data.split.train_people),
        "split_hash": data.split.hash,
        "versions": record["versions"],
    }
    model.load_state_dict(steps.result())
    save_model(model_path, model, data.split.expressions, data.codes_sha256, extra)
    run.close()


# -- the parts of the recipe -----------------------------------------------------------------------


def initial_model(config: TrainSettings, data: TrainingSet) -> MoFaNeRF:
    """Fresh weights and expression codes from the seed."""
    with seeded(config.train.seed, "mofanerf", "init"):
        return MoFaNeRF(config.model, len(data.split.expressions), len(data.packs))


def make_optimiser(model: MoFaNeRF, config: TrainConfig) -> torch.optim.Adam:
    """Adam on everything, in groups with rates of their own.

    Feature maps, as each texel is seldom seen; and the texture network, which is deep: at the rate
    of the small ones its codes may grow without bound, and colours end black or white.
    """
    groups: dict[float, list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        rate = None
        if name.split(".")[-1].endswith(MAPS):
            rate = config.map_learning_rate
        elif name.startswith("texture."):
            rate = config.texture_learning_rate
        groups.setdefault(rate or config.learning_rate, []).append(parameter)
    parts = [{"params": held, "base": rate} for rate, held in groups.items()]
    return torch.optim.Adam(parts, lr=config.learning_rate, eps=1e-8, fused=True)


MAPS = ("geometry_map", "appearance_maps", "mean_map")


def decay(config: TrainConfig, step: int) -> float:
    """Factor on the learning rate at ``step``: decay^(step / decay_steps) (release).

    Over ``warm_up`` steps before that it rises (ours).
    """
    rise = min(1.0, (step + 1) / (config.warm_up + 1))
    return rise * config.decay ** (step / (config.decay_steps or config.steps))


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


OWN_CODE = ("canonical", "compositing", "config", "data", "face_model", "layers", "losses", "model")
OWN_CODE += ("predicted", "rays", "render", "splits", "train")
"""Modules that decide the weights."""


def fingerprint(config: TrainSettings, data: TrainingSet, device: torch.device) -> dict[str, Any]:
    """What the final weights depend on."""
    code = sources(Path(__file__).parent, OWN_CODE)
    inputs = {"codes": data.codes_sha256, "split": data.split.hash, "views": data.sources}
    return loop.fingerprint(config, code, inputs, device)


class AveragedWeights:
    """Running averages of a network's weights and buffers."""

    def __init__(self, model: MoFaNeRF) -> None:
        self.weights = {k: v.detach().clone() for k, v in model.state_dict().items()}

    def follow(self, model: MoFaNeRF, keep: float) -> None:
        """Move towards the network's present weights; the share ``keep`` stays."""
        own = model.state_dict()
        own_weights = [own[name] for name in self.weights]
        torch._foreach_lerp_(list(self.weights.values()), own_weights, 1 - keep)

    def state_dict(self) -> dict[str, Tensor]:
        """The averages by name."""
        return self.weights

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Take averages up again."""
        for name, weight in self.weights.items():
            weight.copy_(state[name])


class Steps:
    """MoFaNeRF's steps: what each reads, computes and changes."""

    def __init__(
        self,
        data: TrainingSet,
        config: TrainConfig,
        model: MoFaNeRF,
        preview: Path,
        processes: Processes = Processes(),  # noqa: B008 - frozen
    ) -> None:
        self.processes = processes
        self.images = processes.share(config.images, "mofanerf.train.images")
        self.data, self.config, self.model, self.preview = data, config, model, preview
        self.device = model.expression_codes.device
        self.optimiser = make_optimiser(model, config)
        self.average = AveragedWeights(model)
        learns_warp = isinstance(model.fine, CanonicalField) and config.weights.correspondence > 0
        self.warp_steps = config.warp_steps if learns_warp else 0
        self.shapes = torch.from_numpy(data.shapes).to(self.device)
        self.textures = torch.from_numpy(data.textures).to(self.device)

    def recipe(self) -> Recipe:
        """What the training loop asks for."""
        kept = {"model": self.model, "average": self.average, "optimiser": self.optimiser}
        return Recipe(
            key="mofanerf.train",
            steps=self.warp_steps + self.config.steps,
            learning_rate=self.config.learning_rate,
            decay=self.decay,
            batch=self.batch,
            update=self.update,
            terms=TERMS,
            kept=kept,
        )

    def result(self) -> dict[str, Tensor]:
        """The weights that training ends with: averaged ones, where averaging is on."""
        return self.average.weights if self.config.ema else self.model.state_dict()

    def decay(self, step: int) -> float:
        """Factor on the learning rate: none while vertices alone teach the warp."""
        shown = step - self.warp_steps
        return 1.0 if shown < 0 else decay(self.config, shown)

    def batch(self, step: int) -> ShownFaces | Batch:
        """What a step shows: faces alone at first, then images as well."""
        shown = step - self.warp_steps
        if shown < 0:
            return self.data.faces(step, self.config, self.images)
        return self.data.batch(shown, self.config, self.images)

    def update(self, step: int, batch: ShownFaces | Batch) -> dict[str, Float[Tensor, ""]]:
        """One update of weights, codes and averages; returns the weighted loss terms."""
        config, shown = self.config, step - self.warp_steps
        for group in self.optimiser.param_groups:
            group["lr"] = group["base"] * self.decay(step)
        self.optimiser.zero_grad()
        found = self._terms(shown, batch)
        own = torch.stack(list(found.values()))
        means = self.processes.mean(own)
        shared = dict(zip(found, means.unbind(), strict=True))
        if not math.isfinite(means.sum().item()):
            return shared  # the loop ends here; gradients of lookups at no place would end Python
        own.sum().backward()
        self.processes.mean_gradients(self.model.parameters())
        self.optimiser.step()
        if config.ema:
            self.average.follow(self.model, average_decay(config, max(0, shown)))
        due = shown >= 0 and config.preview_every and (shown + 1) % config.preview_every == 0
        if due and self.processes.first:
            self._draw_preview(step + 1)
        return shared

    def _terms(self, shown: int, batch: ShownFaces | Batch) -> dict[str, Float[Tensor, ""]]:
        """The weighted loss terms of a step; ``shown`` steps with images went before."""
        config, batch = self.config, batch.to(self.device)
        if isinstance(batch, ShownFaces):
            return losses.warp_terms(self.model, batch, self.shapes, config.weights)
        seed = derived_seed(config.seed, "mofanerf", "samples", str(shown))
        weights = config.weights
        if shown < config.empty_start * config.steps:  # the surface first
            weights = replace(weights, empty=0.0)
        with self._autocast():
            return losses.terms(
                self.model,
                batch,
                self.shapes,
                self.textures,
                weights,
                config.sampling,
                Share(torch.Generator().manual_seed(seed), self.images, config.images),
                self.processes.mean(batch.mask.sum().float()),
            )

    def _autocast(self) -> contextlib.AbstractContextManager:
        """bfloat16 in the networks on GPUs that compute with it."""
        able = self.device.type == "cuda" and torch.cuda.is_bf16_supported()
        return torch.autocast(
            "cuda", torch.bfloat16, enabled=able and self.config.autocast == "auto"
        )

    def _draw_preview(self, step: int) -> None:
        own = {k: v.clone() for k, v in self.model.state_dict().items()}
        self.model.load_state_dict(self.result())
        write_preview(self.preview, self.model, self.data, self.config.sampling)
        self.model.load_state_dict(own)
        log.info("step %d: %s shows truth and model", step, self.preview)
