"""Faces of nobody: codes drawn from a normal distribution fitted to the trained ones.

The distribution has the trained codes' own mean and covariance, taken apart into principal axes;
codes are the observations and code numbers the variables. (The release fits its components to the
transposed matrix, so that they mix scans instead of code numbers.)
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float

from facemill.data.expressions import NEUTRAL
from facemill.imface.interpolate import ScanCodes
from facemill.imface.model import ImFace
from facemill.nets.distribution import fitted_distribution, require_drawable
from facemill.randomness import generator


@dataclass(frozen=True)
class RandomFacesConfig:
    """What is drawn."""

    count: int = 12  # faces
    share: float = 0.98  # of the codes' variance that the kept axes hold
    temperature: float = 1.0  # factor on all standard deviations; below 1 faces are more average
    expression: Literal["neutral", "random"] = "neutral"  # mean neutral code, or drawn too
    seed: int = 0

    def __post_init__(self) -> None:
        require_drawable(self.count, self.share, self.temperature)

    @property
    def manner(self) -> str:
        """How the faces were drawn, in words."""
        neutral = self.expression == "neutral"
        expression = "the mean neutral expression" if neutral else "expressions drawn likewise"
        wider = "" if self.temperature == 1 else f"; deviations x {self.temperature:g}"
        return expression + wider


def trained_codes(
    model: ImFace, people: int, expressions: list[int]
) -> tuple[Float[np.ndarray, "n ci"], Float[np.ndarray, "m ce"]]:
    """Identity codes of all people, and the expression codes of everybody with ``expressions``."""
    everybody = torch.arange(people)
    with torch.no_grad():
        identity = model.codes(everybody, torch.zeros_like(everybody))[0]
        expression = torch.cat(
            [model.codes(everybody, torch.full_like(everybody, e))[1] for e in expressions]
        )
    return identity.double().numpy(), expression.double().numpy()


def random_codes(
    model: ImFace, about: Mapping[str, Any], config: RandomFacesConfig
) -> list[ScanCodes]:
    """Codes of people who do not exist; ``about`` is the metadata of the model's file.

    An expression code belongs to a person and an expression in training; here one is drawn, or the
    mean of the neutral ones serves for everybody.
    """
    known = list(about["expressions"])
    neutral = [known.index(NEUTRAL)] if NEUTRAL in known else list(range(len(known)))
    chosen = neutral if config.expression == "neutral" else list(range(len(known)))
    identity, expression = trained_codes(model, len(about["people"]), chosen)
    rng = generator(config.seed, "imface_random")
    identities = fitted_distribution(identity, config.share).draw(
        rng, config.count, config.temperature
    )
    if config.expression == "neutral":
        expressions = np.tile(expression.mean(axis=0), (config.count, 1)).astype(np.float32)
    else:
        expressions = fitted_distribution(expression, config.share).draw(
            rng, config.count, config.temperature
        )
    return [
        ScanCodes(torch.from_numpy(i), torch.from_numpy(e))
        for i, e in zip(identities, expressions, strict=True)
    ]
