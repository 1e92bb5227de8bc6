"""Every hyper-parameter of NFS with its default: the published value, and where it comes from.

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

    design: Literal["new2", "new1", "nfr"] = "new2"  # whole, without picture, without skinning
    decoder: Literal["disp", "vert", "jacobian"] = "disp"  # (release)
    width: int = 256  # of encoders, skinning block and decoder (release)
    blocks: int = 4  # of each encoder (release; the identity encoder of nfr has 2)
    decoder_layers: int = 7  # hidden ones (release)
    dropout: float = 0.5  # in the encoders (DiffusionNet's default, left on in the release)
    eigenfunctions: int | None = None  # that the encoders use; null: all there are (release)
    code: int = 128  # numbers of the expression code (release)
    units: int = 53  # of them taught to be weights of expression units (release)
    identity: int = 128  # numbers of the identity code (release; 100 in nfr)
    modes: int = 100  # of them taught to be weights of identity modes (release)
    segments: int = 20  # skinning features of a vertex (release)
    picture_size: int = 256  # pixels (release)
    picture_channels: int = 3  # equal ones (release)
    picture_code: int = 128  # (release)
    norm: Literal["group", "layer"] = "group"  # of the decoder: over all vertices (release), or one
    groups: int = 32  # of the group norm (release)
    gate: Literal["raw", "sigmoid"] = "raw"  # of the skinning block's output (release: raw)
    anchored: bool = False  # codes and displacements relative to the neutral's (ours)
    offsets: bool = False  # the expression encoder sees how far a frame is from the neutral (ours)
    jacobian_scale: float = 0.1  # standard deviation that the decoder's Jacobians are in units of
    smoothing: float = 0.0  # mm along the surface within which decoded motion is smoothed (ours)

    def __post_init__(self) -> None:
        names = ("width", "blocks", "decoder_layers", "code", "units", "identity", "modes")
        require_at_least(self, 1, *names, "segments", "picture_channels", "picture_code", "groups")
        require(
            0 <= self.dropout < 1, f"dropout: found {self.dropout}, expected a share, 0 to below 1"
        )
        require(self.units <= self.code, f"units: found {self.units}, expected at most {self.code}")
        require(
            self.modes <= self.identity_size,
            f"modes: found {self.modes}, expected at most {self.identity_size}",
        )
        size = self.picture_size
        require(
            size >= 8 and size & (size - 1) == 0,
            f"picture_size: found {size}, expected a power of two of at least 8",
        )
        require(
            self.norm == "layer" or self.width % self.groups == 0,
            f"groups: found {self.groups}, expected a divisor of width {self.width}",
        )
        require(
            not (self.anchored and self.decoder == "vert"),
            "anchored: found true, expected false with decoder: vert, which has no zero",
        )
        require(self.jacobian_scale > 0, "jacobian_scale: expected a number above 0")
        require_at_least(self, 0, "smoothing")

    @property
    def identity_size(self) -> int:
        """Numbers of the identity code: 100 in the design nfr."""
        return min(self.identity, 100) if self.design == "nfr" else self.identity

    @property
    def identity_blocks(self) -> int:
        """Blocks of the identity encoder: 2 in the design nfr."""
        return min(self.blocks, 2) if self.design == "nfr" else self.blocks

    @property
    def has_picture(self) -> bool:
        """Whether the networks see a picture of the neutral."""
        return self.design != "new1"

    @property
    def has_skinning(self) -> bool:
        """Whether expression codes are gated at each vertex."""
        return self.design != "nfr"

    @property
    def expression_inputs(self) -> int:
        """Features of a vertex that the expression encoder sees."""
        return self.inputs + (6 if self.offsets else 0)

    @property
    def inputs(self) -> int:
        """Features of a vertex: position, normal, picture code."""
        return 6 + (self.picture_code if self.has_picture else 0)


@dataclass(frozen=True)
class LossWeights:
    """Weights of the loss terms of losses.py."""

    vertices: float = 10.0  # (release)
    normals: float = 1.0  # (release)
    jacobians: float = 1.0  # (release; ours weighted by area)
    identity: float = 1.0  # labelled people alone, as the four below (release)
    expression: float = 1.0  # (release)
    blendshapes: float = 1.0  # BP: the face model at the predicted codes (release)
    generic: float = 1.0  # BR: the predicted expression decoded on the mean face (release)
    segments: float = 1.0  # (release)
    cycle: float = 0.0  # unlabelled people alone, as the two below: clones read off again (ours)
    range_identity: float = 1.0  # (release)
    range_expression: float = 1.0  # (release)

    def __post_init__(self) -> None:
        require_at_least(self, 0, *vars(self))


@dataclass(frozen=True)
class TrainConfig:
    """The training recipe."""

    steps: int = 60_000  # (release: 500 epochs of some 120 batches)
    batch: int = 8  # expressions of one person on one mesh (release)
    learning_rate: float = 1e-4  # AdamW (release)
    weight_decay: float = 0.01  # (AdamW's default, as in the release)
    decay: float = 1.0  # factor on the learning rate over the whole run (release: none)
    unlabelled_share: float = 0.2  # of the steps on people of the data set (release: about a sixth)
    hinge: Literal["units", "all"] = "units"  # entries of unlabelled codes kept in [0, 1]
    warmup: float = 0.0  # share of the run that decodes the true codes (release: a fifth, if asked)
    true_codes: float = 0.0  # share of a labelled batch that decodes them after that too (ours)
    validate_every: int = 500  # steps between validations on fixed frames; 0: none
    best: bool = True  # keep the weights of the best validation, not the last (release)
    weights: LossWeights = field(default_factory=LossWeights)
    balance: float = 0.0  # 0: vertices count alike (release); 1: by their error's share of motion
    seed: int = 0  # of initial weights and of all batches (release: 1234)
    device: Literal["auto", "cpu", "cuda"] = "auto"
    log_every: int = 20  # steps between rows of the history
    checkpoint_steps: int = 500  # steps between checkpoints
    checkpoint_seconds: float = 300.0  # a checkpoint at the latest after so many seconds

    def __post_init__(self) -> None:
        require_at_least(self, 1, "steps", "batch", "log_every", "checkpoint_steps")
        require_at_least(self, 0, "validate_every", "weight_decay", "balance")
        for name in ("unlabelled_share", "warmup", "true_codes"):
            value = getattr(self, name)
            require(0 <= value <= 1, f"{name}: found {value}, expected a share, 0 to 1")
        for name in ("learning_rate", "decay", "checkpoint_seconds"):
            value = getattr(self, name)
            require(value > 0, f"{name}: found {value}, expected a number above 0")

    def decoded_from_labels(self, step: int) -> float:
        """Share of a labelled batch whose true codes are decoded: all of it in the warm-up."""
        return 1.0 if self.is_warm(step) else self.true_codes

    def is_warm(self, step: int) -> bool:
        """Whether a step is of the warm-up: labelled people alone, their true codes decoded."""
        return step < self.warmup * self.steps


@dataclass(frozen=True)
class TrainSettings:
    """What training needs to know: the part of the configuration that nfs_train depends on."""

    model: ModelConfig = field(default_factory=ModelConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
