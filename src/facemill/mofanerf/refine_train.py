"""Training the refiner: generator against two-scale patch discriminator, one pair a step.

Pairs, losses and schedule are MoFaNeRF's (pix2pixHD's); its published script ends after one step.
State for resuming lies in a work folder: a run that is killed at any step and started again ends
with the same weights, to the bit on a CPU, as one that was never killed.
"""

import functools
import logging
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from facemill import nets
from facemill.data.index import index_split
from facemill.errors import DataError
from facemill.files import read_json
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
from facemill.training import loop
from facemill.training.device import choose_device, seeded
from facemill.training.loop import Recipe, TrainingRun, sources
from facemill.training.settings import from_settings

log = logging.getLogger(__name__)

TERMS = ("adversarial", "feature_matching", "perceptual", "pixel")
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
    config = from_settings(RefineSettings, settings, "mofanerf.refine")
    data = open_pairs(index, pairs, config.model)
    number = config.train.steps or math.ceil(
        config.train.epochs * len(data.keys) / config.train.batch
    )
    device = choose_device(config.train.device)
    run = TrainingRun(work, fingerprint(config, data, device), device, threads)
    with run.arithmetic():
        steps = Steps(data, config, number, device)
        run.train(steps.recipe(), config.train)
    facts = {
        "people": list(data.people),
        "pairs": len(data.keys),
        "perceptual_term": steps.perceptual is not None,
    }
    record = run.write_record(history_path, run_path, config, facts)
    names = ("people", "pairs", "perceptual_term", "versions")
    extra = {"train": record["settings"]["train"], **{name: record[name] for name in names}}
    save_refiner(model_path, steps.refiner, extra)
    run.close()


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


OWN_CODE = ("pairs", "refine", "refine_config", "refine_train")
"""Modules that decide the weights."""


def fingerprint(config: RefineSettings, data: PairPack, device: torch.device) -> dict[str, Any]:
    """What the final weights depend on."""
    code = sources(Path(__file__).parent, OWN_CODE) + sources(Path(nets.__file__ or "").parent)
    inputs = {"pairs": [str(key) for key in data.keys], "pictures": data.checksums}
    return loop.fingerprint(config, code, inputs, device)


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


@functools.lru_cache(maxsize=2)
def epoch_order(seed: int, epoch: int, pairs: int) -> Int[np.ndarray, " pairs"]:
    """The order in which an epoch goes through all pairs."""
    return generator(seed, "refine", "epoch", str(epoch)).permutation(pairs)


class Steps:
    """The refiner's steps: what each reads, computes and changes."""

    def __init__(
        self, data: PairPack, config: RefineSettings, steps: int, device: torch.device
    ) -> None:
        self.data, self.config, self.steps, self.device = data, config.train, steps, device
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

    def recipe(self) -> Recipe:
        """What the training loop asks for."""
        of_refiner, of_judge = self.optimisers
        kept = {"refiner": self.refiner, "judge": self.judge}
        return Recipe(
            key="mofanerf.refine.train",
            steps=self.steps,
            learning_rate=self.config.learning_rate,
            decay=lambda step: rate_factor(self.config, step, self.steps),
            batch=self.batch,
            update=self.update,
            terms=TERMS,
            beside=("discriminator",),
            kept=kept | {"refiner's optimiser": of_refiner, "judge's optimiser": of_judge},
        )

    def batch(self, step: int) -> tuple[Float[Tensor, "b c h w"], Float[Tensor, "b 3 h w"]]:
        """Input and truth of a step; every epoch goes through all pairs in a new order."""
        inputs, truths = [], []
        for position in range(step * self.config.batch, (step + 1) * self.config.batch):
            epoch, place = divmod(position, len(self.data.keys))
            order = epoch_order(self.config.seed, epoch, len(self.data.keys))
            pair = self.data.read(self.data.keys[order[place]])
            size = pair.truth.shape[:2]
            surface = pair.surface if self.refiner.config.surface else None
            inputs.append(network_input(pair.coarse, size, surface))
            truths.append(enlarged(pair.truth[..., :3], *size))
        return torch.stack(inputs), torch.stack(truths)

    def update(
        self, step: int, batch: tuple[Float[Tensor, "b c h w"], Float[Tensor, "b 3 h w"]]
    ) -> dict[str, Float[Tensor, ""]]:
        """One update of the generator, then one of the discriminators; all loss terms."""
        given, truth = (part.to(self.device) for part in batch)
        rate = self.config.learning_rate * rate_factor(self.config, step, self.steps)
        for optimiser in self.optimisers:
            optimiser.param_groups[0]["lr"] = rate
        of_refiner, of_judge = self.optimisers
        made = self.refiner(given)
        self.judge.requires_grad_(False)
        terms = self._generator_terms(given, made, truth)
        of_refiner.zero_grad()
        torch.stack(list(terms.values())).sum().backward()
        of_refiner.step()
        self.judge.requires_grad_(True)
        fooled = self.judge(torch.cat([given, made.detach()], dim=1))
        real = self.judge(torch.cat([given, truth], dim=1))
        judged = 0.5 * (least_squares(fooled, 0.0) + least_squares(real, 1.0))
        of_judge.zero_grad()
        judged.backward()
        of_judge.step()
        return terms | {"discriminator": judged}

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
