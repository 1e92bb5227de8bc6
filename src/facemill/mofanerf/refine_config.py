"""Every hyper-parameter of the refiner with its default: the published value, and where it is from.

"release" below is MoFaNeRF's published code and what it takes from pix2pixHD's.
"""

from dataclasses import dataclass, field
from typing import Literal

from facemill.errors import ConfigError
from facemill.mofanerf.config import SamplingConfig
from facemill.nets.patchgan import PatchGANConfig

SURFACE_CHANNELS = 4
"""Channels of the surface that may stand beside the colour: nearness and three of the normal."""


@dataclass(frozen=True)
class RefinerConfig:
    """The shape of the generator. Defaults are the published ones: 45.6 M weights."""

    channels: int = 32  # after the first convolution, doubled by each halving (release)
    halvings: int = 4  # of the picture, by convolutions with stride 2 (release)
    blocks: int = 9  # residual blocks at the smallest size (release)
    surface: bool = False  # nearness and normals beside the colour (ours; release: colour alone)
    # The network's output is added to its input and so starts from it (ours; release: it makes the
    # whole picture, which takes far longer to learn).
    residual: bool = False

    def __post_init__(self) -> None:
        for name in ("channels", "halvings", "blocks"):
            value = getattr(self, name)
            if value < 1:
                raise ConfigError(f"{name}: found {value}, expected a whole number of at least 1")

    @property
    def inputs(self) -> int:
        """Channels that go in."""
        return 3 + (SURFACE_CHANNELS if self.surface else 0)


SMALL = RefinerConfig(channels=12, halvings=2, blocks=4, surface=True, residual=True)
"""A refiner that two CPU cores train in minutes on pictures of 128 x 128."""


@dataclass(frozen=True)
class RefineWeights:
    """Weights of the generator's loss terms."""

    adversarial: float = 1.0  # least squares (release)
    feature_matching: float = 10.0  # of the discriminators' stages (release)
    perceptual: float = 10.0  # of VGG19's features, only where its weights are given (release)
    pixel: float = 10.0  # multi-scale L1, only where the perceptual term is not there (ours)

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if value < 0:
                raise ConfigError(f"{name}: found {value}, expected a number of at least 0")


@dataclass(frozen=True)
class RefineTrainConfig:
    """The refiner's training recipe."""

    steps: int | None = None  # number of steps; null: from epochs
    epochs: float = 20.0  # passes over all pairs, where steps is null (release)
    decay_from: float = 0.95  # share of the run after which the rate falls to 0 (release: 19 of 20)
    batch: int = 1  # pairs in a step (release)
    learning_rate: float = 1e-4  # Adam, both networks (release)
    beta1: float = 0.5  # of Adam (release)
    weights: RefineWeights = field(default_factory=RefineWeights)
    discriminator: PatchGANConfig = field(default_factory=PatchGANConfig)
    vgg: str | None = None  # file with torchvision's VGG19; null: no such term
    vgg_sha256: str | None = None  # its checksum, which must be given with it
    seed: int = 0  # of first weights and of the order of pairs
    device: Literal["auto", "cpu", "cuda"] = "auto"
    log_every: int = 20  # steps between rows of the history
    checkpoint_steps: int = 1000  # steps between checkpoints
    checkpoint_seconds: float = 300.0  # a checkpoint at the latest after so many seconds

    def __post_init__(self) -> None:
        for name in ("batch", "log_every", "checkpoint_steps", "epochs", "learning_rate"):
            value = getattr(self, name)
            if not value > 0:
                raise ConfigError(f"{name}: found {value}, expected a number above 0")
        if self.steps is not None and self.steps < 1:
            raise ConfigError(f"steps: found {self.steps}, expected null or at least 1")
        for name in ("decay_from", "beta1"):
            value = getattr(self, name)
            if not 0 <= value < 1:
                raise ConfigError(f"{name}: found {value}, expected a share, 0 to below 1")
        if (self.vgg is None) != (self.vgg_sha256 is None):
            raise ConfigError(
                "vgg_sha256: VGG19's file and its checksum come together; expected both or neither"
            )


@dataclass(frozen=True)
class RefineSettings:
    """What the refiner's training needs to know."""

    model: RefinerConfig = field(default_factory=RefinerConfig)
    train: RefineTrainConfig = field(default_factory=RefineTrainConfig)


@dataclass(frozen=True)
class RefinePairsConfig:
    """Which of the training people's training views the refiner learns from."""

    people: int | None = None  # null: all (release)
    expressions: int = 10  # of each person, drawn (release)
    views: int = 8  # of each expression, drawn (release)

    def __post_init__(self) -> None:
        for name in ("people", "expressions", "views"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ConfigError(f"{name}: found {value}, expected a whole number of at least 1")


@dataclass(frozen=True)
class RefineEvaluateConfig:
    """Which held-out pictures are refined and compared."""

    people: int = 4  # training people in held-out views; 0: all
    views: int = 0  # held-out views of each scan, in turn; 0: all
    # Degrees to the view beside, which the same point of the surface is looked up in: what lies
    # between two of the published views.
    turn: float = 9.0

    def __post_init__(self) -> None:
        for name in ("people", "views"):
            value = getattr(self, name)
            if value < 0:
                raise ConfigError(f"{name}: found {value}, expected a number of at least 0")
        if not 0 < self.turn <= 45:
            raise ConfigError(f"turn: found {self.turn}, expected degrees above 0, at most 45")


@dataclass(frozen=True)
class PairsSettings:
    """What making the pairs needs to know."""

    pairs: RefinePairsConfig = field(default_factory=RefinePairsConfig)
    evaluate: RefineEvaluateConfig = field(default_factory=RefineEvaluateConfig)
    sampling: SamplingConfig = field(default_factory=SamplingConfig)  # of the coarse renders
    rays_at_once: int = 2048
    seed: int = 0
    device: Literal["auto", "cpu", "cuda"] = "auto"
