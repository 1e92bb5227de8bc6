"""Walks between codes, and faces of nobody: what the three codes are good for without an image.

Everything is linear in the codes (sec. 4, applications). A surface is predicted for every code on
the way, so that rays stay short.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32

from facemill.mofanerf.faces import FaceCodes, Faces
from facemill.mofanerf.prior import appearance_codes, shape_codes
from facemill.nets.distribution import fitted_distribution, require_drawable
from facemill.randomness import generator

PARTS = ("shape", "appearance", "expression")


@dataclass(frozen=True)
class RandomConfig:
    """What is drawn."""

    count: int = 8  # faces
    share: float = 0.98  # of the codes' variance that the kept axes hold
    temperature: float = 1.0  # factor on all standard deviations; below 1 faces are more average
    seed: int = 0

    def __post_init__(self) -> None:
        require_drawable(self.count, self.share, self.temperature)


def between(
    start: FaceCodes, end: FaceCodes, share: float, parts: tuple[str, ...] = PARTS
) -> FaceCodes:
    """(1 - share) start + share end in some parts of the codes, the others as at the start."""

    def mixed(name: str, part: str) -> Float32[np.ndarray, " n"]:
        a, b = getattr(start, name), getattr(end, name)
        along = share if part in parts else 0.0
        return ((1.0 - along) * a + along * b).astype(np.float32)

    return FaceCodes(
        shape=mixed("shape", "shape"),
        expression=mixed("expression", "expression"),
        appearance=mixed("appearance", "appearance"),
        mix=mixed("mix", "expression"),
    )


def walk(
    start: FaceCodes, end: FaceCodes, steps: int, parts: tuple[str, ...] = PARTS
) -> list[FaceCodes]:
    """Codes at even shares from start to end."""
    return [between(start, end, float(share), parts) for share in np.linspace(0.0, 1.0, steps)]


def with_expression(codes: FaceCodes, faces: Faces, expression: str) -> FaceCodes:
    """The same person with a trained expression."""
    return faces.with_expression(codes.shape, codes.appearance, expression)


def random_codes(faces: Faces, config: RandomConfig) -> list[FaceCodes]:
    """People who do not exist, with the neutral (first) expression.

    Shape and appearance are drawn together from one normal distribution with the training people's
    full covariance: skin goes with shape as it does among them. The release draws every number by
    itself.
    """
    shapes, appearances = shape_codes(faces), appearance_codes(faces)
    scale = _scale(appearances)
    joint = np.concatenate([shapes, appearances / scale], axis=1).astype(np.float64)
    rng = generator(config.seed, "mofanerf_random")
    drawn = fitted_distribution(joint, config.share).draw(rng, config.count, config.temperature)
    neutral = faces.codes_of(faces.train_people[0], faces.expressions[0])
    split = shapes.shape[1]
    return [
        FaceCodes(row[:split], neutral.expression, row[split:] * scale, neutral.mix)
        for row in drawn
    ]


def _scale(codes: Float[np.ndarray, "p a"]) -> np.float32:
    """One number that makes both kinds of codes count alike when axes are left out.

    Whitened shape codes have variance 1 in about as many numbers as there are people.
    """
    spread = float(np.sqrt(codes.var(axis=0).sum() / max(len(codes) - 1, 1)))
    return np.float32(max(spread, 1e-6))
