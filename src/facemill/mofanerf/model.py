"""MoFaNeRF's networks as published (profile ``faithful``), and one model for both profiles.

Everything happens in the scene's frame (``mesh.frames.FACE_TO_MOFANERF``: 50 mm are one unit, the
cameras turn about the origin). Shape codes are whitened here: every component has unit variance
over the training people.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from facemill.errors import ConfigError, DataError
from facemill.mofanerf.canonical import CanonicalField, Conditioned
from facemill.mofanerf.config import ModelConfig
from facemill.mofanerf.face_model import SHAPE_DIM
from facemill.mofanerf.layers import (
    CodeLinear,
    Modulation,
    TextureEncoder,
    encode,
    encoded_size,
    xavier,
)
from facemill.training.settings import from_settings, to_settings
from facemill.training.weights import fill, read_weights, write_weights


@dataclass(frozen=True)
class Codes:
    """What drives the published field for b images."""

    shape: Float[Tensor, "b 50"]
    expression: Float[Tensor, "b e"]  # after the modulation
    appearance: Float[Tensor, "b a"]


class Block(nn.Module):
    """``depth`` ReLU layers over [code, h], with their input joined in again after the fifth."""

    def __init__(self, code: int, width: int, depth: int) -> None:
        super().__init__()
        self.first = CodeLinear(code, width, width)
        self.before = nn.ModuleList(nn.Linear(width, width) for _ in range(4))
        self.again = CodeLinear(code, 2 * width, width)
        self.after = nn.ModuleList(nn.Linear(width, width) for _ in range(depth - 6))

    def forward(
        self, x: Float[Tensor, "b r s w"], code: Float[Tensor, "b c"]
    ) -> Float[Tensor, "b r s w"]:
        h = F.relu(self.first(x, code))
        for layer in self.before:
            h = F.relu(layer(h))
        h = F.relu(self.again(torch.cat([h, x], dim=-1), code))
        for layer in self.after:
            h = F.relu(layer(h))
        return h


class RadianceMLP(nn.Module):
    """The published network (sec. 3.2): expression, then shape, then appearance, then view."""

    def __init__(self, config: ModelConfig, width: int, depth: int) -> None:
        super().__init__()
        self.config = config
        position, direction = map(encoded_size, (config.position_bands, config.direction_bands))
        self.first = CodeLinear(config.expression_dim, position, width)
        self.rest = nn.ModuleList(nn.Linear(width, width) for _ in range(3))
        self.shape = Block(SHAPE_DIM, width, depth)
        self.density = nn.Linear(width, 1)
        self.appearance = Block(config.appearance_dim, width, depth)
        self.view = CodeLinear(direction, width, width // 2)
        self.rgb = nn.Linear(width // 2, 3)
        xavier(self)

    def forward(
        self, points: Float[Tensor, "b r s 3"], directions: Float[Tensor, "b r 3"], codes: Codes
    ) -> tuple[Float[Tensor, "b r s"], Float[Tensor, "b r s 3"]]:
        """Density (per scene unit, not negative) and colour (0 to 1) at samples of rays."""
        h = F.relu(self.first(encode(points, self.config.position_bands), codes.expression))
        for layer in self.rest:
            h = F.relu(layer(h))
        h = self.shape(h, codes.shape)
        density = F.relu(self.density(h).float()).squeeze(-1)
        h = self.appearance(h, codes.appearance)
        view = encode(F.normalize(directions, dim=-1), self.config.direction_bands)
        h = F.relu(self.view(h, view))
        return density, torch.sigmoid(self.rgb(h).float())


class MoFaNeRF(nn.Module):
    """Codes and field of one profile.

    ``n_expressions`` learned codes; shape codes and textures come from outside. Three parts can be
    left out to see what they are worth: expression codes may be rows of the identity, the
    modulation may be missing, and each of the ``n_people`` training people may have a learned
    appearance code of their own in place of the texture network, which needs no number of people.

    Raises ConfigError for more one-hot codes than ``config.expression_dim``, or no people.
    """

    def __init__(self, config: ModelConfig, n_expressions: int, n_people: int = 0) -> None:
        super().__init__()
        self.config = config
        self.n_expressions = n_expressions
        if config.expression_codes == "learned":  # uniform in [0, 1) (release)
            self.expression_codes = nn.Parameter(torch.rand(n_expressions, config.expression_dim))
        else:
            codes = one_hot(n_expressions, config.expression_dim)
            # Not among the weights: those of one mode do not fit the other.
            self.register_buffer("expression_codes", codes, persistent=False)
        self.modulation = None
        if config.modulation:
            self.modulation = Modulation(SHAPE_DIM, config.expression_dim)
        faithful = config.profile == "faithful"
        if config.appearance == "texture":
            self.texture = TextureEncoder(config.texture_size, config.appearance_dim, faithful)
        elif n_people < 1:
            raise ConfigError("appearance: free has a code for each person; found no people")
        else:  # of length 1 or so
            codes = torch.randn(n_people, config.appearance_dim) / config.appearance_dim**0.5
            self.appearance_codes = nn.Parameter(codes)
        if faithful:
            self.coarse = RadianceMLP(config, config.coarse_width, config.coarse_depth)
            self.fine = RadianceMLP(config, config.fine_width, config.fine_depth)
        else:
            self.fine = CanonicalField(config, SHAPE_DIM)

    def appearance(self, texture: Float[Tensor, "b 3 t t"]) -> Float[Tensor, "b a"]:
        """Appearance codes of textures (0 to 1), averaged down to what the network sees.

        Raises ConfigError where no network reads textures (``appearance: free``).
        """
        if self.config.appearance == "free":
            raise ConfigError(
                "mofanerf.model.appearance: free, so no network reads textures; expected a model "
                "trained with appearance: texture"
            )
        factor = texture.shape[-1] // self.config.texture_size
        return self.texture(F.avg_pool2d(texture, factor) if factor > 1 else texture)

    def appearance_of(
        self, person: Int[Tensor, " b"], texture: Float[Tensor, "b 3 t t"]
    ) -> Float[Tensor, "b a"]:
        """Appearance codes of training people by their rows, from their textures (0 to 1) or free.

        A row of -1 stands for somebody who was not trained on; free codes have their mean there.
        """
        if self.config.appearance == "texture":
            return self.appearance(texture)
        mean = self.appearance_codes.mean(dim=0, keepdim=True)
        return torch.cat([self.appearance_codes, mean])[person]

    def condition(
        self,
        shape: Float[Tensor, "b 50"],
        expression: Float[Tensor, "b e"],
        appearance: Float[Tensor, "b a"],
    ) -> Codes | Conditioned:
        """Codes of b images made ready for the field; ``expression`` is not yet modulated."""
        if isinstance(self.fine, CanonicalField):
            return self.fine.condition(self.geometry(shape, expression), appearance)
        return Codes(shape, self.modulated(shape, expression), appearance)

    def geometry(
        self, shape: Float[Tensor, "b 50"], expression: Float[Tensor, "b e"]
    ) -> Float[Tensor, "b g"]:
        """What of the codes drives geometry: the shape's beside the modulated expression's."""
        return torch.cat([shape, self.modulated(shape, expression)], dim=-1)

    def modulated(
        self, shape: Float[Tensor, "b 50"], expression: Float[Tensor, "b e"]
    ) -> Float[Tensor, "b e"]:
        """The expression code as the person has it; without modulation everybody has the same."""
        return expression if self.modulation is None else self.modulation(shape, expression)

    def field(
        self,
        points: Float[Tensor, "b r s 3"],
        directions: Float[Tensor, "b r 3"],
        codes: Codes | Conditioned,
        coarse: bool = False,
    ) -> tuple[Float[Tensor, "b r s"], Float[Tensor, "b r s 3"]]:
        """Density and colour; ``coarse`` asks the first of the two published networks."""
        return (self.coarse if coarse else self.fine)(points, directions, codes)

    def expression(self, number: Int[Tensor, " b"]) -> Float[Tensor, "b e"]:
        """Codes of expressions by their row."""
        return self.expression_codes[number]


def one_hot(count: int, size: int) -> Float[Tensor, "n e"]:
    """The first ``count`` rows of the identity; ConfigError where they are longer than ``size``."""
    if count > size:
        raise ConfigError(
            f"mofanerf.model.expression_dim: found {size}, expected at least {count}, one for each "
            "expression, with expression_codes: one_hot"
        )
    return torch.eye(count, size)


def parameter_counts(model: MoFaNeRF) -> dict[str, int]:
    """Learned numbers by part."""
    parts = {name: sum(p.numel() for p in m.parameters()) for name, m in model.named_children()}
    return parts | {name: p.numel() for name, p in model.named_parameters(recurse=False)}


def macs_per_point(network: RadianceMLP | CanonicalField) -> int:
    """Multiply-adds at one sample.

    As published for the published networks: every column counts at every point. In the fast field
    codes count for nothing, as they are multiplied once an image, and a lookup for four texels.
    """
    layers = [layer for layer in network.modules() if isinstance(layer, nn.Linear)]
    if isinstance(network, RadianceMLP):
        return sum(layer.weight.numel() for layer in layers)
    total = sum(
        (layer.in_features - getattr(layer, "code", 0)) * layer.out_features
        for layer in layers
        if layer is not network.mix
    )
    return total + 4 * (network.config.geometry_channels + network.config.appearance_channels)


FORMAT = "facemill.mofanerf.1"
HINT = "Train the model again or copy the file anew."


def save_model(
    path: str | Path,
    model: MoFaNeRF,
    expressions: Sequence[str],
    codes_sha256: str,
    extra: Mapping[str, Any] | None = None,
) -> None:
    """Write weights as safetensors; configuration, expressions and which codes stand beside them.

    ``expressions`` names the rows of the expression codes; ``codes_sha256`` is the checksum of the
    codes file that the model was trained with: with others it would draw other faces.
    """
    if len(expressions) != model.n_expressions:
        raise ConfigError(
            f"{path}: {len(expressions)} expressions are named, the model has "
            f"{model.n_expressions} codes; name every row"
        )
    named = len((extra or {}).get("people", ()))
    if model.config.appearance == "free" and named != len(model.appearance_codes):
        raise ConfigError(
            f"{path}: {named} people are named, the model has {len(model.appearance_codes)} "
            "appearance codes; name every row"
        )
    metadata = {
        "format": FORMAT,
        "config": to_settings(model.config),
        "expressions": list(expressions),
        "codes_sha256": codes_sha256,
        **(extra or {}),
    }
    write_weights(path, model, metadata)


def load_model(
    path: str | Path, codes_sha256: str | None = None
) -> tuple[MoFaNeRF, dict[str, Any]]:
    """Read what :func:`save_model` wrote: the model (on the CPU, for evaluation) and the metadata.

    Raises DataError for a missing, truncated or foreign file, and for one that was trained with
    other codes than those whose checksum is given.
    """
    origin = "Give a model.safetensors that MoFaNeRF's training wrote."
    metadata, tensors = read_weights(path, FORMAT, origin, HINT)
    if codes_sha256 is not None and metadata["codes_sha256"] != codes_sha256:
        raise DataError(
            f"{path}: trained with codes of checksum {metadata['codes_sha256'][:12]}, these have "
            f"{codes_sha256[:12]}: the same numbers mean other faces. Train again or give the "
            "codes of that run."
        )
    config = from_settings(ModelConfig, metadata["config"], f"{path}: config")
    model = MoFaNeRF(config, len(metadata["expressions"]), len(metadata.get("people", ())))
    fill(model, tensors, path, HINT)
    return model.eval(), metadata
