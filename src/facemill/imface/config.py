"""Every hyper-parameter of ImFace with its default: the published value, and where it comes from.

"release" below is the authors' published code, which decides where it and the paper part.
"""

from dataclasses import dataclass, field
from typing import Literal

from facemill.errors import ConfigError


def require(condition: bool, message: str) -> None:
    """Raise a ConfigError; ``message`` starts with the field's name."""
    if not condition:
        raise ConfigError(message)


@dataclass(frozen=True)
class ModelConfig:
    """The shape of the networks. Stored in every checkpoint and read back from there."""

    identity_dim: int = 128  # size of z_id (release)
    expression_dim: int = 128  # size of z_exp (release)
    anchors: tuple[int, ...] = (36, 45, 30, 48, 54)  # outer eye corners, nose tip, mouth corners
    width: int = 128  # of the sine networks of all three fields (release)
    hidden_layers: int = 3  # of width x width between the first layer and the head (release)
    omega: float = 30.0  # frequency factor in every sine layer (SIREN; release)
    hyper_width: int = 128  # of each hyper-network (release)
    hyper_layers: int = 2  # hidden layers of each hyper-network (release)
    fusion_width: int = 128  # of the three fusion networks (release)
    landmark_width: int = 256  # of the two landmark networks (release)
    code_std: float = 0.01  # of the normal distribution that codes start from (release)
    warp: Literal["se3", "translation"] = (
        "se3"  # se3: a twist per point (release's training default)
    )
    # fused: one sine net over all five offsets (ImFace's release); local: five nets, each with its
    # own offset and part of the code (the papers' drawing, ImFace++'s release); none: ablation.
    blend: Literal["fused", "local", "none"] = "fused"
    # extended: one code for each person and expression (release); shared: one for each expression.
    expression_codes: Literal["extended", "shared"] = "extended"
    disentangle: bool = True  # false: one warp from both codes, without E (the paper's ablation)
    detail_dim: int = 0  # size of z_detail of ImFace++'s refinement; 0: no refinement

    def __post_init__(self) -> None:
        sizes = ("identity_dim", "expression_dim", "width", "hyper_width", "fusion_width")
        for name in (*sizes, "landmark_width", "hidden_layers", "hyper_layers"):
            value = getattr(self, name)
            require(value >= 1, f"{name}: found {value}, expected a whole number of at least 1")
        for name in ("omega", "code_std"):
            value = getattr(self, name)
            require(value > 0, f"{name}: found {value}, expected a number above 0")
        require(self.detail_dim >= 0, f"detail_dim: found {self.detail_dim}, expected 0 or more")
        for name in ("identity_dim", "expression_dim", "detail_dim"):
            value, k = getattr(self, name), len(self.anchors)
            require(
                self.blend != "local" or value % k == 0,
                f"{name}: found {value}, expected a multiple of {k} with blend: local "
                "(each local net has its own part of the code)",
            )
        found = f"anchors: found {list(self.anchors)}, expected"
        require(len(self.anchors) >= 1, f"{found} at least one landmark")
        require(len(set(self.anchors)) == len(self.anchors), f"{found} no landmark twice")
        require(
            all(0 <= a < 68 for a in self.anchors), f"{found} numbers of the 68 landmarks, 0 to 67"
        )


@dataclass(frozen=True)
class LossWeights:
    """Weights of the loss terms of losses.py, in training (release's train config)."""

    sdf: float = 3000.0
    normal: float = 100.0
    eikonal: float = 50.0
    eikonal_neutral: float = 50.0
    identity_code: float = 1e6
    expression_code: float = 1e6
    correction: float = 100.0
    anchors_expression: float = 1000.0
    anchors_identity: float = 1000.0
    landmark_deformation: float = 100.0
    landmark_template: float = 100.0
    neutral_deformation: float = 10000.0
    # Of the refinement, where there is one: as for the base, and ImFace++'s weight of z_detail.
    refined_sdf: float = 3000.0
    refined_normal: float = 100.0
    refined_eikonal: float = 50.0
    detail_code: float = 1e3

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            require(value >= 0, f"{name}: found {value}, expected a number of at least 0")


@dataclass(frozen=True)
class DeformedConfig:
    """People made from the training people by smooth random deformations."""

    copies: int = 0  # of each person
    size: float = 2.0  # standard deviation of the displacement, mm
    length: float = 40.0  # over which it changes, mm
    start: float = 0.4  # share of the run after which they take part, with their sources' codes

    def __post_init__(self) -> None:
        require(self.copies >= 0, f"copies: found {self.copies}, expected at least 0")
        start = self.start
        require(0 <= start < 1, f"start: found {start}, expected a share, 0 to below 1")
        for name in ("size", "length"):
            value = getattr(self, name)
            require(value > 0, f"{name}: found {value}, expected a number above 0")
        require(
            self.size <= self.length / 8,
            f"size: found {self.size}, expected at most an eighth of length {self.length}: "
            "larger deformations may fold space",
        )


@dataclass(frozen=True)
class TrainConfig:
    """The training recipe."""

    steps: int | None = None  # number of steps; null: from epochs
    epochs: float = 1500.0  # passes over all scans, where steps is null (release)
    batch_scans: int = 72  # scans in a step (release)
    points: int = 16384  # points of each scan in a step, surface and free mixed (release)
    learning_rate: float = 1e-4  # Adam, nets and codes alike (release)
    code_learning_rate: float | None = None  # of the codes; null: as the nets (release)
    decay_start: float = 200 / 1500  # share of the run before the first decay (release: epoch 200)
    decay_every: float = 10 / 1500  # share of the run between decays (release: 10 epochs)
    decay_factor: float = 0.95  # learning rate factor of each decay (release)
    weights: LossWeights = field(default_factory=LossWeights)
    mirror: bool = False  # train on mirror images as well, as other people
    deformed: DeformedConfig = field(default_factory=DeformedConfig)
    refine_from: float = 0.5  # share of the run after which the refinement learns, if there is one
    at_once: int | None = None  # points in one pass; null: by device, see train.py
    matmul_precision: Literal["highest", "high", "medium"] = "highest"  # torch's names
    seed: int = 0  # of initial weights and of all batches
    device: Literal["auto", "cpu", "cuda"] = "auto"
    log_every: int = 20  # steps between rows of the history
    checkpoint_steps: int = 500  # steps between checkpoints
    checkpoint_seconds: float = 300.0  # a checkpoint at the latest after so many seconds

    def __post_init__(self) -> None:
        for name in ("batch_scans", "points", "log_every", "checkpoint_steps"):
            value = getattr(self, name)
            require(value >= 1, f"{name}: found {value}, expected a whole number of at least 1")
        for name in ("steps", "code_learning_rate", "at_once"):
            value = getattr(self, name)
            require(value is None or value > 0, f"{name}: found {value}, expected null or above 0")
        for name in (
            "epochs",
            "learning_rate",
            "decay_every",
            "decay_factor",
            "checkpoint_seconds",
        ):
            value = getattr(self, name)
            require(value > 0, f"{name}: found {value}, expected a number above 0")
        start, factor = self.decay_start, self.decay_factor
        require(0 <= start <= 1, f"decay_start: found {start}, expected a share, 0 to 1")
        refine = self.refine_from
        require(0 <= refine < 1, f"refine_from: found {refine}, expected a share, 0 to below 1")
        require(factor <= 1, f"decay_factor: found {factor}, expected at most 1")


@dataclass(frozen=True)
class TrainSettings:
    """What training needs to know: the part of the configuration that imface_train depends on."""

    model: ModelConfig = field(default_factory=ModelConfig)
    train: TrainConfig = field(default_factory=TrainConfig)


@dataclass(frozen=True)
class FitWeights:
    """Weights of the loss terms at test time (release's fit config)."""

    sdf: float = 3000.0
    normal: float = 100.0
    eikonal: float = 50.0
    identity_code: float = 1e6
    expression_code: float = 1e6
    landmark_template: float = 100.0  # counts only where `landmarks` is true
    refined_sdf: float = 3000.0  # of the refinement, where there is one (ImFace++)
    refined_normal: float = 100.0
    refined_eikonal: float = 50.0
    detail_code: float = 1e3

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            require(value >= 0, f"{name}: found {value}, expected a number of at least 0")


@dataclass(frozen=True)
class FitConfig:
    """Fitting codes to unseen scans; the networks stand still.

    The release's recipe is steps 1500, learning_rate 1e-4, schedule staircase, start random: codes
    can then travel about 0.04 at most. The defaults reach further in a fifth of the steps.
    """

    steps: int = 300  # (release: 1500)
    points: int = 16384  # of each scan in a step (release)
    batch_scans: int = 16  # scans fitted side by side (release)
    learning_rate: float = 5e-3  # Adam, on codes alone (release: 1e-4)
    schedule: Literal["cosine", "staircase"] = "cosine"  # staircase: as in training (release)
    start: Literal["mean", "random"] = "mean"  # mean of the trained codes (release: random)
    share_identity: bool = (
        False  # one identity code for all scans of a person (release: each its own)
    )
    landmarks: bool = True  # use the scan's 68 landmarks (release)
    weights: FitWeights = field(default_factory=FitWeights)
    seed: int = 0  # of points and random starts
    device: Literal["auto", "cpu", "cuda"] = "auto"

    def __post_init__(self) -> None:
        for name in ("steps", "points", "batch_scans"):
            value = getattr(self, name)
            require(value >= 1, f"{name}: found {value}, expected a whole number of at least 1")
        rate = self.learning_rate
        require(rate > 0, f"learning_rate: found {rate}, expected a number above 0")


@dataclass(frozen=True)
class ExtractionConfig:
    """From a fitted field to a mesh."""

    resolution: int = 256  # grid points along an axis of the ball's cube (release)
    batch_points: int = 65536  # points in one evaluation of the field (release: 163840)
    visible: bool = True  # drop what is hidden from the front, as in the scans (release: kept)

    def __post_init__(self) -> None:
        for name, least in (("resolution", 8), ("batch_points", 1)):
            value = getattr(self, name)
            require(value >= least, f"{name}: found {value}, expected at least {least}")


@dataclass(frozen=True)
class FitSettings:
    """What fitting needs to know: the part of the configuration that imface_fit depends on."""

    fit: FitConfig = field(default_factory=FitConfig)
    extraction: ExtractionConfig = field(default_factory=ExtractionConfig)
