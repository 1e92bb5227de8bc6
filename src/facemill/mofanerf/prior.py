"""What is likely: distributions of the training people's codes, for fitting and for random faces.

Shape codes are whitened as they are. Appearance codes come from the texture network, far from
white: components go together, as its last layer is a leaky ReLU. A diagonal normal distribution
(release) draws codes that no texture has, so covariances are full here.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from facemill.mofanerf.faces import Faces
from facemill.nets.distribution import CodeDistribution, fitted_distribution


@dataclass(frozen=True)
class CodePrior:
    """Distribution of appearance codes, and how many numbers of a shape code are alive.

    Off the training people's axes, of which there are fewer than numbers, codes spread by
    ``floor``: an unseen person's skin is no mix of theirs.
    """

    appearance: CodeDistribution
    floor: float
    shape_size: int


def appearance_codes(faces: Faces) -> Float32[np.ndarray, "p a"]:
    """The appearance codes of the training people."""
    people = faces.train_people
    codes = [faces.appearance(person)[0] for person in people]
    return np.stack([code.cpu().numpy() for code in codes])


def shape_codes(faces: Faces) -> Float32[np.ndarray, "p 50"]:
    """The shape codes of the training people."""
    return np.stack([faces.codes.shape(person) for person in faces.train_people])


def code_prior(faces: Faces, floor: float) -> CodePrior:
    """Full-covariance prior; ``floor`` is a share of the mean spread of an appearance number."""
    codes = appearance_codes(faces)
    spread = float(codes.std(axis=0).mean())
    fitted = fitted_distribution(codes.astype(np.float64))
    return CodePrior(fitted, floor * spread, len(faces.surfaces.basis))


def mean_appearance(faces: Faces) -> Float32[np.ndarray, " a"]:
    """The mean of the training people's appearance codes."""
    return appearance_codes(faces).mean(axis=0)
