"""How MoFaNeRF is fitted to an image: every number with its default and where it comes from.

"release" is the authors' published code, "ours" what it does not have.
"""

from dataclasses import dataclass, field
from typing import Literal

from facemill.mofanerf.config import SamplingConfig, require, require_at_least


@dataclass(frozen=True)
class FitWeights:
    """Weights of the terms of fit_losses.py."""

    colour: float = 1.0  # Charbonnier (release: L1)
    opacity: float = 0.1  # of the mask's cross-entropy (ours)
    shape: float = 1e-3  # of |z|^2, whitened (ours)
    appearance: float = 1e-3  # of |a|^2, whitened by the training people (ours)
    expression: float = 1e-2  # of the distance to the nearest mix of trained codes, squared (ours)
    brightness: float = 1e-1  # of the square of the brightness's logarithm (ours)
    landmarks: float = 1e-3  # of squared pixels of a 512 frame, gone at half time (ours)

    def __post_init__(self) -> None:
        require_at_least(self, 0, *vars(self))


@dataclass(frozen=True)
class FitRates:
    """Steps of Adam at the beginning; they fall to a tenth."""

    pose: float = 4e-3  # radians, and units of 50 mm (release: 2e-3 for 16 numbers of a matrix)
    brightness: float = 4e-3  # of its logarithm (release: 2e-3)
    shape: float = 4e-2  # of whitened numbers
    appearance: float = 4e-2  # of whitened numbers
    expression: float = 4e-3  # of what no mix of trained codes explains (release)
    mix: float = 2e-2  # of the logits of the mix of trained expressions

    def __post_init__(self) -> None:
        require_at_least(self, 0, *vars(self))


@dataclass(frozen=True)
class FitConfig:
    """The recipe of a fit."""

    steps: int = 300  # of the best start, over all levels (release: 2000)
    starts: int = 3  # expressions that are tried, the best ones (release: one random start)
    start_steps: int = 30  # of each, and of the mean face before them
    levels: tuple[float, ...] = (0.25, 0.5, 1.0)  # sides of the pyramid's images (release)
    level_shares: tuple[float, ...] = (0.3, 0.2, 0.5)  # of the steps on each level (release)
    rays: int = 384  # in a step (release: 1024)
    surface_every: int = 20  # steps between predictions of the surface from the codes so far
    reach: float = 25.0  # mm beside the predicted silhouette in which the mask counts
    floor: float = 0.15  # spread of appearance beyond the training people's, of their mean spread
    patience: int = 40  # steps over which the loss has to fall
    tolerance: float = 1e-3  # by this share, or the fit ends on the last level
    rates: FitRates = field(default_factory=FitRates)
    weights: FitWeights = field(default_factory=FitWeights)
    sampling: SamplingConfig = field(default_factory=SamplingConfig)
    seed: int = 0
    device: Literal["auto", "cpu", "cuda"] = "auto"

    def __post_init__(self) -> None:
        names = ("steps", "starts", "start_steps", "rays", "surface_every", "patience")
        require_at_least(self, 1, *names)
        require_at_least(self, 0, "reach", "floor", "tolerance")
        levels, shares = self.levels, self.level_shares
        rising = len(levels) and list(levels) == sorted(levels) and levels[0] > 0
        require(
            bool(rising) and levels[-1] == 1,
            f"levels: found {list(levels)}, expected rising shares of the side that end in 1",
        )
        require(
            len(shares) == len(levels) and min(shares) > 0,
            f"level_shares: found {list(shares)}, expected a share above 0 for each of "
            f"{len(levels)} levels",
        )
