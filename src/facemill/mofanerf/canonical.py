"""The fast profile's field: points go to the mean face's space and look their features up there.

Three small networks. ``warp`` leads a point to its place on the mean face, by shape and expression.
There, two maps wrapped round the head's centre give it features: one that all faces share, from
which (with the codes) the density follows, and one that the appearance code mixes from a stock of
maps, from which the colour follows. So neither appearance nor view can reach the density.
"""

import math
from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from facemill.mofanerf.config import ModelConfig
from facemill.mofanerf.layers import CodeLinear, encode, encoded_size

DENSITY = 60.0
"""Density (1/50 mm) of a raw value of about 1.3: opaque within two millimetres."""

FEATURES = 16
"""Numbers that the density network hands on to the colour network."""


def unwrap(points: Float[Tensor, "*n 3"]) -> Float[Tensor, "*n 2"]:
    """Longitude and latitude of points as seen from the origin, both from -1 to 1.

    0 longitude is the front (+z), 0.5 the subject's left; the seam runs down the back of the head.
    Nearer to the vertical axis than a millimetre or two the longitude has no gradient.
    """
    x, y, z = points.unbind(-1)
    across = x.square() + z.square()
    near = across < 1e-3
    longitude = torch.atan2(torch.where(near, x.detach(), x), torch.where(near, z.detach(), z))
    latitude = torch.atan2(y, across.clamp_min(1e-3).sqrt())
    return torch.stack([longitude / math.pi, latitude * (2.0 / math.pi)], dim=-1)


def look_up(
    maps: Float[Tensor, "m c h w"], places: Float[Tensor, "m n 2"]
) -> Float[Tensor, "m n c"]:
    """Bilinear features at longitudes and latitudes; row 0 is the lowest latitude."""
    found = F.grid_sample(maps, places.unsqueeze(1), padding_mode="border", align_corners=False)
    return found.squeeze(2).transpose(1, 2)


@dataclass(frozen=True)
class Conditioned:
    """What the codes of b images make of the fast field, once for all their points."""

    geometry: Float[Tensor, "b g"]  # shape and modulated expression
    appearance: Float[Tensor, "b a"]
    maps: Float[Tensor, "b c h w"]


class CodeMLP(nn.Module):
    """ReLU layers that all hear a code, and a linear head."""

    def __init__(self, code: int, inputs: int, width: int, layers: int, outputs: int) -> None:
        super().__init__()
        sizes = [inputs, *[width] * layers]
        self.hidden = nn.ModuleList(CodeLinear(code, i, o) for i, o in pairwise(sizes))
        self.head = nn.Linear(width, outputs)

    def forward(
        self, x: Float[Tensor, "b n i"], code: Float[Tensor, "b c"]
    ) -> Float[Tensor, "b n o"]:
        for layer in self.hidden:
            x = F.relu(layer(x, code))
        return self.head(x)


class CanonicalField(nn.Module):
    """Density and colour by way of the mean face's space (ours)."""

    def __init__(self, config: ModelConfig, shape_dim: int) -> None:
        super().__init__()
        self.config = config
        geometry = shape_dim + config.expression_dim
        place = encoded_size(config.bandwidth)
        size = (config.map_height, config.map_width)
        self.warp = CodeMLP(geometry, place, config.warp_width, config.warp_layers, 3)
        inputs = place + config.geometry_channels
        self.density = CodeMLP(geometry, inputs, config.width, config.layers, 1 + FEATURES)
        self.colour = CodeMLP(
            config.appearance_dim,
            place + config.appearance_channels + FEATURES,
            config.width,
            config.layers - 1,
            config.width,
        )
        directions = encoded_size(config.direction_bands)
        self.view = CodeLinear(directions, config.width, config.width // 2)
        self.rgb = nn.Linear(config.width // 2, 3)
        self.mix = nn.Linear(config.appearance_dim, config.appearance_maps)
        stock = (config.appearance_maps, config.appearance_channels, *size)
        self.geometry_map = nn.Parameter(0.01 * torch.randn(1, config.geometry_channels, *size))
        self.appearance_maps = nn.Parameter(0.01 * torch.randn(stock))
        self.mean_map = nn.Parameter(0.01 * torch.randn(1, *stock[1:]))
        nn.init.zeros_(self.warp.head.weight)
        nn.init.zeros_(self.warp.head.bias)

    def condition(
        self, geometry: Float[Tensor, "b g"], appearance: Float[Tensor, "b a"]
    ) -> Conditioned:
        """Codes of b images (shape beside modulated expression; appearance) made ready."""
        maps = torch.einsum("bk,kchw->bchw", self.mix(appearance), self.appearance_maps)
        return Conditioned(geometry, appearance, maps + self.mean_map)

    def to_mean_face(
        self, points: Float[Tensor, "b n 3"], codes: Conditioned | Float[Tensor, "b g"]
    ) -> Float[Tensor, "b n 3"]:
        """Where points (scene units) of a face lie on the mean face."""
        geometry = codes.geometry if isinstance(codes, Conditioned) else codes
        return points + self.warp(encode(points, self.config.bandwidth), geometry)

    def forward(
        self,
        points: Float[Tensor, "b r s 3"],
        directions: Float[Tensor, "b r 3"],
        codes: Conditioned,
    ) -> tuple[Float[Tensor, "b r s"], Float[Tensor, "b r s 3"]]:
        """Density (per scene unit, not negative) and colour (0 to 1) at samples of rays."""
        b, r, s, _ = points.shape
        density, at, here, feature = self._density(points.reshape(b, r * s, 3), codes)
        own = look_up(codes.maps, at)
        features = torch.cat([own, here, F.relu(feature)], -1)
        hidden = F.relu(self.colour(features, codes.appearance))
        view = encode(F.normalize(directions, dim=-1), self.config.direction_bands)
        hidden = F.relu(self.view(hidden.reshape(b, r, s, -1), view))
        colour = torch.sigmoid(self.rgb(hidden).float())
        return density.reshape(b, r, s), colour

    def density_at(
        self, points: Float[Tensor, "b n 3"], codes: Conditioned
    ) -> Float[Tensor, "b n"]:
        """Density alone, of :meth:`forward`."""
        return self._density(points, codes)[0]

    def _density(
        self, points: Float[Tensor, "b n 3"], codes: Conditioned
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Density; then what colour follows from: place on the maps, encoded place, features."""
        b, n, _ = points.shape
        place = self.to_mean_face(points, codes)
        at = unwrap(place)
        here = encode(place, self.config.bandwidth)
        shared = look_up(self.geometry_map, at.reshape(1, -1, 2)).reshape(b, n, -1)
        raw, feature = self.density(torch.cat([shared, here], -1), codes.geometry).split(
            [1, FEATURES], -1
        )
        density = DENSITY * F.softplus(raw.float() - 1.0)
        return density.squeeze(-1), at, here, feature
