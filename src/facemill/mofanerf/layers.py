"""Building blocks of both profiles: encodings, layers that hear a code, the two code networks."""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn


def encode(x: Float[Tensor, "*n d"], bands: int) -> Float[Tensor, "*n e"]:
    """[x, sin 2^k x, cos 2^k x for k below ``bands``]: e = d (1 + 2 bands) (sec. 3.2; no pi)."""
    scaled = (x.unsqueeze(-2) * 2.0 ** torch.arange(bands, device=x.device)[:, None]).flatten(-2)
    return torch.cat([x, torch.sin(scaled), torch.cos(scaled)], dim=-1)


def encoded_size(bands: int, size: int = 3) -> int:
    """Length of what :func:`encode` makes."""
    return size * (1 + 2 * bands)


class CodeLinear(nn.Linear):
    """A linear layer over [code, x], where one code serves many points.

    The code's columns are multiplied once for each code and added like a bias: exactly the layer
    over the concatenation, without repeating the code for every point.
    """

    def __init__(self, code: int, inputs: int, outputs: int) -> None:
        super().__init__(code + inputs, outputs)
        self.code = code

    def forward(
        self, x: Float[Tensor, "b *n i"], code: Float[Tensor, "b *m c"]
    ) -> Float[Tensor, "b *n o"]:
        """``code`` has the leading axes of ``x`` or fewer: one for an image, or one for a ray."""
        part = F.linear(code, self.weight[:, : self.code], self.bias)
        part = part.reshape(*part.shape[:-1], *[1] * (x.dim() - part.dim()), part.shape[-1])
        return F.linear(x, self.weight[:, self.code :]) + part


def xavier(module: nn.Module) -> None:
    """Xavier-uniform weights with ReLU's gain, default biases (release)."""
    for layer in module.modules():
        if isinstance(layer, nn.Linear):
            nn.init.xavier_uniform_(layer.weight, gain=nn.init.calculate_gain("relu"))


class Modulation(nn.Module):
    """Identity-specific modulation (ISM): scale and shift of the expression code (sec. 3.3)."""

    def __init__(self, shape_dim: int, expression_dim: int, width: int = 256) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Linear(shape_dim, width), nn.ReLU()]
        for _ in range(3):
            layers += [nn.Linear(width, width), nn.ReLU()]
        self.trunk = nn.Sequential(*layers)
        self.scale = nn.Linear(width, expression_dim)
        self.shift = nn.Linear(width, expression_dim)

    def forward(
        self, shape: Float[Tensor, "b s"], expression: Float[Tensor, "b e"]
    ) -> Float[Tensor, "b e"]:
        """s(beta) eps + b(beta)."""
        hidden = self.trunk(shape)
        return self.scale(hidden) * expression + self.shift(hidden)


TRUNK = (32, 32, 32, 32, 64, 128, 256)
"""Channels of the texture network's convolutions for a texture of 512 x 512 (release)."""


class TextureEncoder(nn.Module):
    """The texture network (TEM): a neutral uv texture to the appearance code (sec. 3.3).

    Each convolution halves the side; a smaller texture leaves out the first ones. The release
    carries a head for a log-variance that neither training nor rendering reads; it is here where
    ``carry_variance`` asks for it, so that the published count holds.
    """

    def __init__(self, size: int, outputs: int, carry_variance: bool = False) -> None:
        super().__init__()
        count = int(math.log2(size)) - 2
        layers: list[nn.Module] = []
        for inputs, channels in zip((3, *TRUNK[-count:]), TRUNK[-count:], strict=False):
            layers += [nn.Conv2d(inputs, channels, 4, 2, 1), nn.LeakyReLU(0.2)]
        self.trunk = nn.Sequential(*layers, nn.Flatten(), nn.Linear(4096, 512), nn.LeakyReLU(0.2))
        self.mean = nn.Linear(512, outputs)
        if carry_variance:
            self.log_variance = nn.Linear(512, outputs)
        head: list[nn.Module] = []
        for _ in range(3):
            head += [nn.Linear(outputs, outputs), nn.LeakyReLU(0.1)]
        self.head = nn.Sequential(*head)

    def forward(self, texture: Float[Tensor, "b 3 s s"]) -> Float[Tensor, "b a"]:
        """Values of ``texture`` lie between 0 and 1."""
        return self.head(self.mean(self.trunk(texture)))
