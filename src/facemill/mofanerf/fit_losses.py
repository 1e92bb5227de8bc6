"""The terms of fitting an image, unweighted; names are those of ``FitWeights``."""

import torch
from jaxtyping import Float
from torch import Tensor

CHARBONNIER = 1e-2
"""Differences of colours below this count squared, above it by their size."""

OUTLIER = 20.0
"""Pixels (of a 512 frame) from which on a landmark's error counts by its size, no more squared."""


def charbonnier(seen: Float[Tensor, "*n 3"], truth: Float[Tensor, "*n 3"]) -> Float[Tensor, ""]:
    """Mean of sqrt(d^2 + c^2) - c over rays and channels: an L1 that is smooth at zero."""
    difference = (seen - truth).square() + CHARBONNIER**2
    return difference.sqrt().mean() - CHARBONNIER


def mask_entropy(opacity: Float[Tensor, "*n"], mask: Float[Tensor, "*n"]) -> Float[Tensor, ""]:
    """Cross-entropy of what stops a ray and the share of its pixel that shows the head.

    Less the mask's own entropy, so that a perfect silhouette has 0 on every level.
    """
    seen = opacity.clamp(1e-4, 1 - 1e-4)
    own = mask.clamp(1e-4, 1 - 1e-4)
    cross = mask * seen.log() + (1 - mask) * (1 - seen).log()
    entropy = mask * own.log() + (1 - mask) * (1 - own).log()
    return (entropy - cross).mean()


def reprojection(
    seen: Float[Tensor, "68 2"], truth: Float[Tensor, "68 2"], width: int
) -> Float[Tensor, ""]:
    """Mean squared distance of landmarks in pixels of a frame 512 wide; unknown ones are passed.

    Beyond OUTLIER pixels it grows by the distance alone (Huber): one wrong landmark is no pose.
    """
    known = truth.isfinite().all(dim=-1)
    away = ((seen - truth.nan_to_num())[known] * (512.0 / width)).norm(dim=-1)
    return torch.where(away < OUTLIER, away.square(), OUTLIER * (2 * away - OUTLIER)).mean()
