"""Every hyper-parameter of MoFaNeRF with its default: the published value, and where it comes from.

"release" below is the authors' published code, "ours" what it does not have.
"""

from dataclasses import dataclass, field
from typing import Literal

from facemill.errors import ConfigError


def require(condition: bool, message: str) -> None:
    """Raise a ConfigError; ``message`` starts with the field's name."""
    if not condition:
        raise ConfigError(message)


def require_at_least(config: object, least: int | float, *names: str) -> None:
    """Raise a ConfigError for a field below ``least``."""
    for name in names:
        value = getattr(config, name)
        require(value >= least, f"{name}: found {value}, expected a number of at least {least}")


@dataclass(frozen=True)
class ModelConfig:
    """The shape of the networks. Stored in every model's file and read back from there."""

    profile: Literal["faithful", "fast"] = "fast"  # as published, or in canonical space (ours)
    expression_dim: int = 30  # of the learned expression codes (release)
    appearance_dim: int = 256  # of the code that the texture network makes (release)
    texture_size: int = 512  # side of what the texture network sees (release)
    expression_codes: Literal["learned", "one_hot"] = (
        "learned"  # (release); or rows of the identity
    )
    modulation: bool = True  # of the expression code by the person (release)
    appearance: Literal["texture", "free"] = "texture"  # (release); or a learned code a person
    position_bands: int = 10  # frequencies of the position's encoding (release); faithful alone
    direction_bands: int = 4  # frequencies of the direction's encoding (release)
    coarse_width: int = 256  # of the coarse network (release); faithful alone, as the three below
    coarse_depth: int = 8  # layers in a block of the coarse network (release)
    fine_width: int = 1024  # of the fine network (release)
    fine_depth: int = 10  # layers in a block of the fine network (release)
    # What follows belongs to the fast profile.
    warp_width: int = 64  # of the network that leads to the mean face's space
    warp_layers: int = 3  # its hidden layers
    width: int = 64  # of the density and of the colour network
    layers: int = 2  # hidden layers of each
    map_height: int = 192  # texels of the feature maps from the chin's to the crown's pole
    map_width: int = 256  # texels once round the head
    geometry_channels: int = 8  # features of a texel, shared by all faces
    appearance_channels: int = 16  # features of a texel, mixed for each face
    appearance_maps: int = 24  # maps that the appearance code mixes
    bandwidth: int = 4  # frequencies of the encoded place in the mean face's space

    def __post_init__(self) -> None:
        sizes = [name for name, value in vars(self).items() if type(value) is int]  # no bool
        require_at_least(self, 1, *sizes)
        size = self.texture_size
        require(
            8 <= size <= 512 and size & (size - 1) == 0,
            f"texture_size: found {size}, expected a power of two from 8 to 512",
        )
        require(
            self.profile == "fast" or size == 512,
            f"texture_size: found {size}, expected 512 with profile: faithful",
        )
        require_at_least(self, 2, "layers")
        for name in ("coarse_depth", "fine_depth"):
            value = getattr(self, name)
            require(value >= 6, f"{name}: found {value}, expected at least 6 layers")


@dataclass(frozen=True)
class SamplingConfig:
    """Where along a ray the field is asked."""

    near: float = 8.0  # scene units from the camera (release); faithful alone, as the next three
    far: float = 26.0  # (release)
    coarse_samples: int = 64  # (release)
    fine_samples: int = 64  # drawn where the coarse network found something (release)
    samples: int = 24  # on a ray with an expected surface (ours)
    spread: float = 3.0  # mm from it beyond which their spacing grows with the distance (ours)
    radius: float = 170.0  # mm round the head's centre in which anything is (release: clipped so)
    margin: float = 12.0  # mm beside the silhouette within which rays are followed (ours)

    def __post_init__(self) -> None:
        require_at_least(self, 1, "coarse_samples", "samples")
        require_at_least(self, 0, "near", "fine_samples", "margin")
        require(self.far > self.near, f"far: found {self.far}, expected more than near")
        for name in ("spread", "radius"):
            value = getattr(self, name)
            require(value > 0, f"{name}: found {value}, expected a length above 0")


@dataclass(frozen=True)
class LossWeights:
    """Weights of the loss terms of losses.py."""

    colour: float = 1.0  # (release)
    colour_coarse: float = 1.0  # of the coarse network (release); faithful alone
    opacity: float = 0.1  # (ours; release: none)
    depth: float = 0.05  # (ours), fast alone
    correspondence: float = 0.5  # (ours), fast alone
    empty: float = 0.0  # (ours), fast alone

    def __post_init__(self) -> None:
        require_at_least(self, 0, *vars(self))


@dataclass(frozen=True)
class TrainConfig:
    """The training recipe."""

    warp_steps: int = 0  # before those with images, to teach the warp alone (ours); fast alone
    warp_points: int = 1024  # vertices of each image's scan in one of these
    steps: int = 600_001  # (release)
    warm_up: int = 0  # steps with images in which the learning rate rises to its height (ours)
    images: int = 16  # images in a step (release: 1)
    rays: int = 64  # rays of each image (release: 1024 of one)
    landmark_share: float = 0.6  # of the rays near landmarks (release)
    landmark_spread: float = 0.025  # their standard deviation, in image heights (release)
    moving_rays: float = 0.0  # of the rays at moving vertices and between the lips (ours)
    background_share: float = 0.1  # of the other rays that may miss the head (ours)
    learning_rate: float = 5e-5  # Adam (release)
    map_learning_rate: float | None = None  # of the feature maps; null: as the networks'
    texture_learning_rate: float | None = None  # of the texture network; null: as the others'
    decay: float = 0.1  # factor on the learning rate after decay_steps (release)
    decay_steps: int | None = 750_000  # (release); null: the run's own length
    ema: float = 0.0  # decay of the averaged weights that are kept; 0: the last ones (release)
    correspondence_points: int = 256  # vertices of each image's scan in a step (ours)
    moving_share: float = 0.0  # of these, drawn by how far their expression moves them (ours)
    predicted_share: float = 0.0  # of these, on predicted faces that nobody was shown (ours)
    air_points: int = 128  # places of each image that may be air, for the term empty (ours)
    empty_start: float = 0.25  # share of the steps with images before the term empty enters
    weights: LossWeights = field(default_factory=LossWeights)
    sampling: SamplingConfig = field(default_factory=SamplingConfig)
    autocast: Literal["auto", "off"] = "auto"  # auto: bfloat16 on a GPU that has it
    seed: int = 0  # of initial weights and of all batches
    device: Literal["auto", "cpu", "cuda"] = "auto"
    log_every: int = 20  # steps between rows of the history
    preview_every: int = 1000  # steps between preview pictures; 0: none
    checkpoint_steps: int = 500  # steps between checkpoints
    checkpoint_seconds: float = 300.0  # a checkpoint at the latest after so many seconds

    def __post_init__(self) -> None:
        names = ("steps", "images", "rays", "correspondence_points", "warp_points", "air_points")
        require_at_least(self, 1, *names, "log_every", "checkpoint_steps")
        require_at_least(self, 0, "warp_steps", "warm_up", "preview_every", "landmark_spread")
        shares = ("landmark_share", "moving_rays", "background_share")
        for name in (*shares, "moving_share", "predicted_share", "empty_start", "ema"):
            value = getattr(self, name)
            require(0 <= value <= 1, f"{name}: found {value}, expected a share, 0 to 1")
        both = self.landmark_share + self.moving_rays
        require(both <= 1, f"moving_rays: found {both} with landmark_share, expected 1 at most")
        require(self.ema < 1, f"ema: found {self.ema}, expected less than 1")
        for name in ("map_learning_rate", "texture_learning_rate", "decay_steps"):
            value = getattr(self, name)
            require(value is None or value > 0, f"{name}: found {value}, expected null or above 0")
        for name in ("learning_rate", "decay", "checkpoint_seconds"):
            value = getattr(self, name)
            require(value > 0, f"{name}: found {value}, expected a number above 0")


@dataclass(frozen=True)
class TrainSettings:
    """What training needs to know: the part of the configuration that mofanerf_train depends on."""

    model: ModelConfig = field(default_factory=ModelConfig)
    train: TrainConfig = field(default_factory=TrainConfig)


@dataclass(frozen=True)
class CodesConfig:
    """Shape codes, textures and what is held out of training."""

    shape_share: float = 0.995  # of the variance that shape codes keep, with 50 at most (ours)
    expression_components: int = 8  # components on which an expression's shape may depend (ours)
    ridge: float = 1.0  # of that dependence, in whitened codes (ours)
    held_out_views: int = 4  # views of everybody kept out of training (release: 20 of 120)
    held_out_pairs: int = 6  # (person, expression) pairs kept out of training (ours)
    correspondence_points: int = 4000  # vertices of each scan kept for training (ours)
    seed: int = 0

    def __post_init__(self) -> None:
        share = self.shape_share
        require(0 < share <= 1, f"shape_share: found {share}, expected a share, above 0 to 1")
        require_at_least(self, 1, "correspondence_points", "held_out_views")
        require_at_least(self, 0, "expression_components", "ridge", "held_out_pairs")


@dataclass(frozen=True)
class EvaluateConfig:
    """Which images are compared with the truth, and how they are rendered."""

    people: int = 4  # training people at held-out views; 0: all
    views: int = 0  # held-out views of each scan, in turn; 0: all
    rays_at_once: int = 2048  # rays in one call of the field; bounds memory
    reference_samples: int = 512  # even samples of the frame that ours is compared with; 0: none
    reference_size: int = 64  # its side in pixels, at most
    sampling: SamplingConfig = field(default_factory=SamplingConfig)
    device: Literal["auto", "cpu", "cuda"] = "auto"

    def __post_init__(self) -> None:
        require_at_least(self, 0, "people", "views", "reference_samples")
        require_at_least(self, 1, "rays_at_once", "reference_size")
