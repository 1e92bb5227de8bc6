"""PatchGAN discriminators at several scales, and the adversarial losses that go with them.

Isola et al. 2017 (patches), Wang et al. 2018 (pix2pixHD: scales, feature matching), Mao et al. 2017
(least squares).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from facemill.errors import ConfigError

LEAK = 0.2


@dataclass(frozen=True)
class PatchGANConfig:
    """The shape of the discriminators; defaults are pix2pixHD's."""

    channels: int = 64  # of the first layer, doubled by every further one up to eight times
    layers: int = 3  # with stride 2, 4 x 4 each
    scales: int = 2  # each sees the picture at half the size of the one before

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if value < 1:
                raise ConfigError(f"{name}: found {value}, expected a whole number of at least 1")


class PatchGAN(nn.Module):
    """Says of every patch of a picture whether it looks real, at one scale.

    4 x 4 convolutions with padding 2: ``layers`` with stride 2, one with stride 1, one to a single
    channel; instance norm without parameters on all but the first and last.
    """

    def __init__(self, inputs: int, config: PatchGANConfig) -> None:
        super().__init__()
        widths = [config.channels * min(2**i, 8) for i in range(config.layers + 1)]
        stages: list[nn.Module] = []
        for i, width in enumerate(widths):
            stride = 2 if i < config.layers else 1
            stage: list[nn.Module] = [nn.Conv2d(inputs, width, 4, stride, 2)]
            stage += [nn.InstanceNorm2d(width)] if i else []
            stages.append(nn.Sequential(*stage, nn.LeakyReLU(LEAK)))
            inputs = width
        self.stages = nn.ModuleList([*stages, nn.Conv2d(inputs, 1, 4, 1, 2)])

    def forward(self, pictures: Float[Tensor, "b c h w"]) -> list[Tensor]:
        """What every stage makes of the pictures; the last is the verdict (b, 1, h', w')."""
        found = []
        for stage in self.stages:
            pictures = stage(pictures)
            found.append(pictures)
        return found


class MultiScalePatchGAN(nn.Module):
    """Discriminators that see the picture at its own size, at half of it, and so on."""

    def __init__(self, inputs: int, config: PatchGANConfig | None = None) -> None:
        super().__init__()
        config = config or PatchGANConfig()
        self.scales = nn.ModuleList([PatchGAN(inputs, config) for _ in range(config.scales)])

    def forward(self, pictures: Float[Tensor, "b c h w"]) -> list[list[Tensor]]:
        """Stages' outputs by scale, the finest first; see :meth:`PatchGAN.forward`."""
        found = []
        for discriminator in self.scales:
            found.append(discriminator(pictures))
            pictures = functional.avg_pool2d(pictures, 3, 2, 1, count_include_pad=False)
        return found


def start_weights(network: nn.Module) -> None:
    """pix2pixHD's first weights, in place: normal with deviation 0.02, biases 0."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(module.weight, 0.0, 0.02)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def least_squares(verdicts: Sequence[Sequence[Tensor]], wanted: float) -> Float[Tensor, ""]:
    """Sum over scales of the mean squared distance of the verdicts from ``wanted`` (LSGAN).

    1 is real, 0 is made; the generator wants 1 of what it made.
    """
    return torch.stack([(stages[-1] - wanted).square().mean() for stages in verdicts]).sum()


def feature_matching(
    made: Sequence[Sequence[Tensor]], real: Sequence[Sequence[Tensor]]
) -> Float[Tensor, ""]:
    """Mean absolute differences of the stages' outputs: layers added, scales averaged.

    pix2pixHD, equation 4 with its code's weights (1 a layer of a three-layer discriminator). The
    verdicts are left out and no gradient reaches ``real``.
    """
    terms = [
        functional.l1_loss(a, b.detach())
        for of_made, of_real in zip(made, real, strict=True)
        for a, b in zip(of_made[:-1], of_real[:-1], strict=True)
    ]
    return torch.stack(terms).sum() / len(made)
