"""Training the refiner: generator against two-scale patch discriminator, one pair a step.

Pairs, losses and schedule are MoFaNeRF's (pix2pixHD's); its published script ends after one step.
State for resuming lies in a work folder: a run that is killed at any step and started again ends
with the same weights, to the bit on a CPU, as one that was never killed.
"""

import logging
import math
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from facemill import nets, training
from facemill.data.index import index_split
from facemill.errors import DataError, TrainingError
from facemill.files import content_hash, read_json, write_json, writing
from facemill.mofanerf.pairs import PairPack
from facemill.mofanerf.refine import Refiner, enlarged, network_input, save_refiner
from facemill.mofanerf.refine_config import RefinerConfig, RefineSettings, RefineTrainConfig
from facemill.nets.patchgan import (
    MultiScalePatchGAN,
    feature_matching,
    least_squares,
    start_weights,
)
from facemill.nets.vgg import PerceptualDistance
from facemill.randomness import generator
from facemill.training.checkpoint import Checkpoints
from facemill.training.device import choose_device, reproducible, seeded
from facemill.training.history import History
from facemill.training.progress import Progress
from facemill.training.record import device_name, peak_memory_mb, versions
from facemill.training.settings import from_settings, to_settings

log = logging.getLogger(__name__)

TERMS = ("adversarial", "feature_matching", "perceptual", "pixel")
COLUMNS = ("seconds", "learning_rate", "total", *TERMS, "discriminator")
PIXEL_SCALES = 3


def train(
    index: str | Path,
    pairs: str | Path,
    settings: Mapping[str, Any],
    work: str | Path,
    model_path: str | Path,
    history_path: str | Path,
    run_path: str | Path,
    threads: int | None = None,
) -> None:
    """Train a refiner on the pair pack ``pairs`` of training people of ``index``.

    ``settings`` holds ``model`` and ``train``. Writes the generator (safetensors), the history
    (CSV: weighted loss terms averaged since the row before, their sum ``total``, the
    discriminators' loss) and the record (JSON), which says whether there was a perceptual term.

    Raises ConfigError for bad settings, DataError for bad pairs and for test people among them,
    TrainingError on divergence.
    """
    config = from_settings(RefineSettings, settings, "refine")
    data = open_pairs(index, pairs, config.model)
    steps = config.train.steps or math.ceil(
        config.train.epochs * len(data.keys) / config.train.batch
    )
    device = choose_device(config.train.device)
    checkpoints = Checkpoints(work, fingerprint(config, data, device))
    state = checkpoints.load()
    threads = int(state["threads"]) if state else threads or torch.get_num_threads()
    with reproducible(device, threads):
        loop = Loop(data, config, steps, device, checkpoints, threads)
        loop.resume(state)
        loop.run()
    record = {
        "settings": to_settings(config),
        "people": list(data.people),
        "pairs": len(data.keys),
        "steps": steps,
        "perceptual_term": loop.perceptual is not None,
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
    names = ("people", "pairs", "perceptual_term", "versions")
    extra = {"train": record["settings"]["train"], **{name: record[name] for name in names}}
    save_refiner(model_path, loop.refiner, extra)
    checkpoints.remove()


def open_pairs(index: str | Path, pairs: str | Path, model: RefinerConfig) -> PairPack:
    """The pack, once it is sure that it holds training people and what the model looks at."""
    split = index_split(read_json(index, "Run data_index again."), str(index))
    data = PairPack(pairs)
    leaked = [person for person in data.people if person not in split.train]
    if leaked:
        side = "a test person" if leaked[0] in split.test else "in no split"
        raise DataError(
            f"{pairs}: {leaked[0]} is {side} of {index}; the refiner learns from training people "
            "alone. Delete the pack to have it made again."
        )
    if model.surface and not data.has_surface:
        raise DataError(
            f"{pairs}: no depth and normals beside the colour, which model.surface asks for. "
            "Make the pairs with them or set model.surface to false."
        )
    return data


def fingerprint(config: RefineSettings, data: PairPack, device: torch.device) -> dict[str, Any]:
    """What the final weights depend on; a checkpoint of any other run is of no use."""
    here = Path(__file__).parent
    code = [here / name for name in ("pairs.py", "refine.py", "refine_train.py")]
    for room in (nets, training):
        code += Path(room.__file__ or "").parent.glob("*.py")
    never = ("log_every", "checkpoint_steps", "checkpoint_seconds")  # do not touch the weights
    settings = to_settings(config)
    settings["train"] = {k: v for k, v in settings["train"].items() if k not in never}
    return {
        "settings": settings,
        "code": content_hash(code),
        "pairs": [str(key) for key in data.keys],
        "pictures": data.checksums,
        "device": device.type,
        "torch": torch.__version__,
    }


def rate_factor(config: RefineTrainConfig, step: int, steps: int) -> float:
    """Factor on the learning rate at ``step``: 1 at first, then a straight line to 0."""
    done = step / steps
    return min(1.0, (1.0 - done) / (1.0 - config.decay_from))


def multi_scale_l1(
    made: Float[Tensor, "b 3 h w"], truth: Float[Tensor, "b 3 h w"]
) -> Float[Tensor, ""]:
    """Mean absolute difference at full, half and quarter size, averaged."""
    terms = []
    for _ in range(PIXEL_SCALES):
        terms.append(functional.l1_loss(made, truth))
        made, truth = functional.avg_pool2d(made, 2), functional.avg_pool2d(truth, 2)
    return torch.stack(terms).mean()


class Loop:
    """The steps from the last checkpoint, if there is one, to the end."""

    def __init__(
        self,
        data: PairPack,
        config: RefineSettings,
        steps: int,
        device: torch.device,
        checkpoints: Checkpoints,
        threads: int,
    ) -> None:
        self.data, self.config, self.steps = data, config.train, steps
        self.device, self.checkpoints, self.threads = device, checkpoints, threads
        with seeded(config.train.seed, "refine", "init"):
            self.refiner = Refiner(config.model).to(device)
            inputs = config.model.inputs + 3
            self.judge = MultiScalePatchGAN(inputs, config.train.discriminator)
            start_weights(self.judge)
        self.judge.to(device)
        betas = (config.train.beta1, 0.999)
        self.optimisers = [
            torch.optim.Adam(network.parameters(), config.train.learning_rate, betas)
            for network in (self.refiner, self.judge)
        ]
        self.perceptual = None
        if config.train.perceptual_weights is not None:
            checksum = config.train.perceptual_sha256 or ""
            self.perceptual = PerceptualDistance(config.train.perceptual_weights, checksum)
            self.perceptual.to(device)
        else:
            log.info("no perceptual weights: multi-scale L1 takes the place of that term")
        self.step = self.since_row = self.times_resumed = 0
        self.seconds = 0.0
        self.sums = torch.zeros(len(TERMS) + 1, dtype=torch.float64)

    def resume(self, state: Mapping[str, Any] | None) -> None:
        """Take up a checkpoint's state, or begin at step 0."""
        if state is not None:
            self.refiner.load_state_dict(state["refiner"])
            self.judge.load_state_dict(state["judge"])
            for optimiser, kept in zip(self.optimisers, state["optimisers"], strict=True):
                optimiser.load_state_dict(kept)
            self.sums.copy_(state["sums"])
            self.step, self.since_row = state["step"], state["since_row"]
            self.seconds, self.times_resumed = state["seconds"], state["times_resumed"] + 1
            log.info("going on after step %d of %d", self.step, self.steps)
        self.history = History(self.checkpoints.folder / "history.csv", list(COLUMNS), self.step)

    def run(self) -> None:
        """Train to the last step, with the next pairs being read while these are computed."""
        progress = Progress("mofanerf_refine_train", self.steps, self.step)
        saved = began = time.monotonic()
        before = self.seconds
        with ThreadPoolExecutor(1) as reader:
            batch = reader.submit(self.batch, self.step)
            while self.step < self.steps:
                ready, batch = batch.result(), reader.submit(self.batch, self.step + 1)
                total = self._train_step(*(part.to(self.device) for part in ready))
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

    def batch(self, step: int) -> tuple[Float[Tensor, "b c h w"], Float[Tensor, "b 3 h w"]]:
        """Input and truth of a step; every epoch goes through all pairs in a new order."""
        inputs, truths = [], []
        for position in range(step * self.config.batch, (step + 1) * self.config.batch):
            epoch, place = divmod(position, len(self.data.keys))
            rng = generator(self.config.seed, "refine", "epoch", str(epoch))
            key = self.data.keys[int(rng.permutation(len(self.data.keys))[place])]
            pair = self.data.read(key)
            size = pair.truth.shape[:2]
            surface = pair.surface if self.refiner.config.surface else None
            inputs.append(network_input(pair.coarse, size, surface))
            truths.append(enlarged(pair.truth[..., :3], *size))
        return torch.stack(inputs), torch.stack(truths)

    def _train_step(
        self, given: Float[Tensor, "b c h w"], truth: Float[Tensor, "b 3 h w"]
    ) -> float:
        """One update of the generator, then one of the discriminators; the generator's loss."""
        rate = self.config.learning_rate * rate_factor(self.config, self.step, self.steps)
        for optimiser in self.optimisers:
            optimiser.param_groups[0]["lr"] = rate
        of_refiner, of_judge = self.optimisers
        made = self.refiner(given)
        self.judge.requires_grad_(False)
        terms = self._generator_terms(given, made, truth)
        total = torch.stack(list(terms.values())).sum()
        of_refiner.zero_grad()
        total.backward()
        of_refiner.step()
        self.judge.requires_grad_(True)
        fooled = self.judge(torch.cat([given, made.detach()], dim=1))
        real = self.judge(torch.cat([given, truth], dim=1))
        judged = 0.5 * (least_squares(fooled, 0.0) + least_squares(real, 1.0))
        of_judge.zero_grad()
        judged.backward()
        of_judge.step()
        values = [terms[name].item() if name in terms else 0.0 for name in TERMS]
        values.append(judged.item())
        if not math.isfinite(sum(values)):
            raise TrainingError(
                f"step {self.step}: the losses are {values}. Lower refine.train.learning_rate "
                f"(now {self.config.learning_rate:g}) and start again."
            )
        self.sums += torch.tensor(values, dtype=torch.float64)
        self.since_row += 1
        return sum(values[:-1])

    def _generator_terms(
        self,
        given: Float[Tensor, "b c h w"],
        made: Float[Tensor, "b 3 h w"],
        truth: Float[Tensor, "b 3 h w"],
    ) -> dict[str, Float[Tensor, ""]]:
        """The generator's weighted loss terms."""
        weights = self.config.weights
        judged = self.judge(torch.cat([given, made], dim=1))
        with torch.no_grad():
            real = self.judge(torch.cat([given, truth], dim=1))
        terms = {
            "adversarial": weights.adversarial * least_squares(judged, 1.0),
            "feature_matching": weights.feature_matching * feature_matching(judged, real),
        }
        if self.perceptual is not None:
            terms["perceptual"] = weights.perceptual * self.perceptual(made, truth)
        else:
            terms["pixel"] = weights.pixel * multi_scale_l1(made, truth)
        return terms

    def _write_row(self) -> None:
        means = (self.sums / self.since_row).tolist()
        rate = self.config.learning_rate * rate_factor(self.config, self.step - 1, self.steps)
        named = dict(zip((*TERMS, "discriminator"), means, strict=True))
        values = {"seconds": self.seconds, "learning_rate": rate, "total": sum(means[:-1])}
        self.history.append(self.step, values | named)
        self.sums.zero_()
        self.since_row = 0

    def _state(self) -> dict[str, Any]:
        return {
            "step": self.step,
            "refiner": self.refiner.state_dict(),
            "judge": self.judge.state_dict(),
            "optimisers": [optimiser.state_dict() for optimiser in self.optimisers],
            "sums": self.sums,
            "since_row": self.since_row,
            "seconds": self.seconds,
            "times_resumed": self.times_resumed,
            "threads": self.threads,
        }
