"""The descent of a fit: one step's loss, the surface that follows the codes, when to stop.

What a step draws follows from its number. A state is kept only where the surface is predicted anew,
as it follows from the unknowns there. So a fit that was killed ends with the same codes.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from facemill.errors import TrainingError
from facemill.mofanerf import fit_losses
from facemill.mofanerf.faces import Faces
from facemill.mofanerf.fit_config import FitConfig
from facemill.mofanerf.fit_target import Level
from facemill.mofanerf.fit_unknowns import (
    Decoder,
    Unknowns,
    posed_camera,
    posed_rays,
    projected,
)
from facemill.mofanerf.landmark_model import LandmarkModel
from facemill.mofanerf.prior import CodePrior
from facemill.mofanerf.rays import UNIT, Rays
from facemill.mofanerf.render import trace
from facemill.mofanerf.surface import expected_depth
from facemill.randomness import derived_seed
from facemill.render.cameras import Camera
from facemill.training.descent import Descent
from facemill.training.progress import Progress


@dataclass(frozen=True)
class Trail:
    """Losses along a descent; ``terms`` are the weighted ones of the last step."""

    totals: list[float]
    terms: dict[str, float]


@dataclass(frozen=True)
class Surface:
    """Pixels of a level that are worth a ray, and the depth expected there (scene units)."""

    pixels: Int[Tensor, " n"]
    guide: Float[Tensor, " n"]


@dataclass(frozen=True)
class Task:
    """All that stands still while one image is fitted."""

    faces: Faces
    prior: CodePrior
    decoder: Decoder
    config: FitConfig
    camera: Camera  # as guessed, of the whole image
    landmarks: Float[Tensor, "68 2"] | None
    landmark_model: LandmarkModel | None
    name: str
    work: Path | None  # where descents keep their states
    of: Mapping[str, Any]  # by which they know that a state is theirs
    earlier: list[float] = field(default_factory=list)  # seconds that descents took in runs before

    def descend(
        self,
        stage: str,
        unknowns: Unknowns,
        levels: Sequence[Level],
        counts: Sequence[int],
        stop: bool,
        hold_mix: bool = False,
    ) -> Trail:
        """Adam on all unknowns, ``counts`` steps on each level; learning rates fall to a tenth.

        With ``stop`` it ends on the last level once the loss no longer falls; landmarks lead its
        first half, and all of a descent without. ``hold_mix`` keeps the mix of expressions.
        ``stage`` names the descent among those of the fit.
        """
        config, total = self.config, sum(counts)
        first = np.concatenate([[0], np.cumsum(counts)])  # steps, of the levels
        rates = replace(config.rates, mix=0.0) if hold_mix else config.rates
        groups = unknowns.groups(rates)
        firsts = [group["lr"] for group in groups]
        optimiser = torch.optim.Adam(groups)
        totals = torch.zeros(total, dtype=torch.float64)
        kept = {**vars(unknowns), "totals": totals}
        descent = Descent(self.work and self.work / stage, self.of, kept, optimiser)
        self.earlier.append(descent.earlier)
        progress = Progress(f"mofanerf_fit {self.name}, {stage}", total, descent.steps)
        found, made, surface = descent.terms, descent.steps, None
        for step in range(descent.steps, total):
            at = int(np.searchsorted(first, step, side="right")) - 1
            on_last = at == len(levels) - 1
            if stop and on_last and self.settled(totals[first[at] : step].tolist()):
                descent.note(step, found, last=True)
                break
            if surface is None or (step - first[at]) % config.surface_every == 0:
                surface = self.surface(unknowns, levels[at])
            for group, rate in zip(optimiser.param_groups, firsts, strict=True):
                group["lr"] = rate * (0.1 + 0.45 * (1 + math.cos(math.pi * step / total)))
            optimiser.zero_grad(set_to_none=True)
            lead = 1.0 - 2.0 * step / total if stop else 1.0
            draws = self.draws(stage, step)
            terms = self.terms(unknowns, levels[at], surface, lead, draws)
            loss = torch.stack(list(terms.values())).sum()
            loss.backward()
            totals[step] = loss.item()
            if not math.isfinite(totals[step]):
                raise TrainingError(
                    f"{self.name}: the loss is {loss.item()} at step {step} of the fit. Lower "
                    "mofanerf.fit.rates, or check that the camera is in the face frame (mm)."
                )
            optimiser.step()
            found, made = {name: term.item() for name, term in terms.items()}, step + 1
            if (made - first[at]) % config.surface_every == 0 or made in first:
                descent.note(made, found, last=made == total)
            progress.update(made, f"loss {totals[step]:.4g}")
        progress.close()
        return Trail(totals[:made].tolist(), found)

    def draws(self, stage: str, step: int) -> torch.Generator:
        """Random numbers of one step."""
        seed = derived_seed(self.config.seed, "mofanerf_fit", self.name, stage, str(step))
        return torch.Generator().manual_seed(seed)

    def settled(self, totals: Sequence[float]) -> bool:
        """Whether the mean loss of the last steps is hardly below that of as many before."""
        n = self.config.patience
        if len(totals) < 2 * n:
            return False
        before, now = np.mean(totals[-2 * n : -n]), np.mean(totals[-n:])
        return bool(now > (1 - self.config.tolerance) * before)

    def surface(self, unknowns: Unknowns, level: Level) -> Surface:
        """Where the codes so far expect the head, seen by the camera so far."""
        codes = self.decoder.numbers(unknowns)
        camera = posed_camera(level.camera, unknowns.pose)
        depth = expected_depth(self.faces.surface_of(codes), camera, self.config.reach).ravel()
        worth = (depth > 0) | (level.mask.cpu().numpy() > 0)
        pixels = np.flatnonzero(worth)
        guide = np.where(depth > 0, depth / UNIT, np.nan)[pixels].astype(np.float32)
        device = self.faces.device
        return Surface(torch.from_numpy(pixels).to(device), torch.from_numpy(guide).to(device))

    @torch.no_grad()
    def loss(self, unknowns: Unknowns, level: Level) -> float:
        """The whole loss on every fourth ray of a level: the same for all that are compared."""
        surface = self.surface(unknowns, level)
        every = Surface(surface.pixels[::4], surface.guide[::4])
        terms = self.terms(unknowns, level, every, 1.0)
        return float(torch.stack(list(terms.values())).sum())

    def terms(
        self,
        unknowns: Unknowns,
        level: Level,
        surface: Surface,
        lead: float,
        draws: torch.Generator | None = None,
    ) -> dict[str, Float[Tensor, ""]]:
        """All terms on some rays of a level (without ``draws`` on all), each times its weight.

        ``lead`` is a factor on the landmarks' weight, which are left out from 0 on.
        """
        config, weights = self.config, self.config.weights
        count = len(surface.pixels)
        drawn = torch.arange(count)
        if draws is not None:
            drawn = torch.randperm(count, generator=draws)[: config.rays]
        drawn = drawn.to(self.faces.device)
        pixels = surface.pixels[drawn]
        model = self.faces.model
        codes = model.condition(*[code[None] for code in self.decoder(unknowns)])
        origins, directions = level.origins[pixels], level.directions[pixels]
        rays = Rays(*posed_rays(origins, directions, unknowns.pose), surface.guide[drawn][None])
        seen = trace(model, rays, codes, config.sampling, generator=draws).fine
        colour = seen.colour[0] * unknowns.brightness.exp()
        found = {
            "colour": fit_losses.charbonnier(colour, level.colour[pixels]),
            "opacity": fit_losses.mask_entropy(seen.opacity[0], level.mask[pixels]),
            **unknowns.priors(),
        }
        if self.landmarks is not None and lead > 0:
            found["landmarks"] = lead * self.reprojection(unknowns)
        return {name: getattr(weights, name) * term for name, term in found.items()}

    def image_landmarks(self, unknowns: Unknowns) -> Float[Tensor, "68 2"]:
        """Where the linear model's landmarks are in the image, by codes and pose so far."""
        assert self.landmark_model is not None
        points = self.landmark_model(unknowns.shape, unknowns.mix)
        return projected(points, self.camera, unknowns.pose)

    def reprojection(self, unknowns: Unknowns) -> Float[Tensor, ""]:
        """The landmark term."""
        assert self.landmarks is not None
        marks = self.image_landmarks(unknowns)
        return fit_losses.reprojection(marks, self.landmarks, self.camera.width)

    @torch.no_grad()
    def landmark_residual(self, unknowns: Unknowns) -> float | None:
        """Median distance of the landmarks from where the fit has them, in pixels of the image."""
        if self.landmarks is None:
            return None
        away = (self.image_landmarks(unknowns) - self.landmarks).norm(dim=-1)
        return float(away[away.isfinite()].median())
