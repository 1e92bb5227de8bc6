"""NFS's networks: from meshes to codes, gates and moved vertices. Read from top to bottom."""

import itertools
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import weight_norm

from facemill.nets.diffusion import DiffusionNet
from facemill.nfs.config import ModelConfig
from facemill.nfs.decoding import Decoding
from facemill.nfs.surface import Surface, face_normals, solved, vertex_normals
from facemill.training.settings import from_settings
from facemill.training.weights import fill, read_weights, write_weights

FORMAT = "nfs"
OFFSET_SCALE = 10.0
"""Offsets of vertices and normals from the neutral's are brought to about 1 by this."""
PICTURE_MEAN, PICTURE_STD = 0.25, 0.25
"""What pictures (0 to 1) are standardised with."""


class PictureEncoder(nn.Module):
    """Strided convolutions until one pixel is left, then a linear layer.

    Eight of them for 256 pixels, with 16, 16, 32, 32, 64, 64, 128, 128 channels (NFS release).
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        layers = config.picture_size.bit_length() - 1
        widths = [config.picture_channels, *(16 * 2 ** (n // 2) for n in range(layers))]
        self.channels = config.picture_channels
        self.convolutions = nn.ModuleList(
            weight_norm(nn.Conv2d(before, after, 4, stride=2, padding=1))
            for before, after in itertools.pairwise(widths)
        )
        self.last = nn.Linear(widths[-1], config.picture_code)

    def forward(self, picture: Float[Tensor, "s s"]) -> Float[Tensor, " p"]:
        """The code of one picture, 0 to 1."""
        x = ((picture - PICTURE_MEAN) / PICTURE_STD).expand(1, self.channels, -1, -1)
        for convolution in self.convolutions:
            x = functional.leaky_relu(convolution(x), 0.2)
        return self.last(x.flatten(1))[0]


class SkinningBlock(nn.Module):
    """From a vertex's skinning features to a gate for every number of the expression code."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.gate = config.gate
        self.layers = nn.Sequential(
            nn.Linear(config.segments, config.width, bias=False),
            nn.ReLU(),
            nn.Linear(config.width, config.width, bias=False),
            nn.ReLU(),
            nn.Linear(config.width, config.code, bias=False),
        )

    def forward(self, features: Float[Tensor, "v l"]) -> Float[Tensor, "v z"]:
        """Gates, of any sign and size unless a sigmoid is asked for."""
        gates = self.layers(features)
        return torch.sigmoid(gates) if self.gate == "sigmoid" else gates


class Norm(nn.Module):
    """Group norm over channels and all vertices (release), or layer norm at every vertex.

    The first makes a vertex depend on how densely the others are sampled.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.over_vertices = config.norm == "group"
        self.norm = (
            nn.GroupNorm(config.groups, config.width)
            if self.over_vertices
            else nn.LayerNorm(config.width)
        )

    def forward(self, x: Float[Tensor, "b v c"]) -> Float[Tensor, "b v c"]:
        """Normalised features."""
        return self.norm(x.transpose(1, 2)).transpose(1, 2) if self.over_vertices else self.norm(x)


class Decoder(nn.Module):
    """An MLP shared by all places: target features and gated code to an output.

    The first layer's part for the target (features and identity) is computed once for all frames.
    """

    def __init__(self, config: ModelConfig, outputs: int) -> None:
        super().__init__()
        width, inputs = config.width, config.inputs + config.code + config.identity_size
        self.config = config
        self.layers = nn.ModuleList(
            nn.Linear(inputs if n == 0 else width, width, bias=False)
            for n in range(config.decoder_layers)
        )
        self.norms = nn.ModuleList(Norm(config) for _ in range(config.decoder_layers))
        self.last = nn.Linear(width, outputs)

    def of_target(
        self, features: Float[Tensor, "v f"], identity: Float[Tensor, " i"]
    ) -> Float[Tensor, "v c"]:
        """The first layer's response to what all frames share."""
        weights = self.layers[0].weight.split(
            [self.config.inputs, self.config.code, self.config.identity_size], dim=1
        )
        return functional.linear(features, weights[0]) + weights[2] @ identity

    def forward(
        self, target: Float[Tensor, "v c"], local: Float[Tensor, "b v z"]
    ) -> Float[Tensor, "b v o"]:
        """Outputs of frames with local codes, on a target seen through :meth:`of_target`."""
        x = torch.relu(self.norms[0](target + functional.linear(local, self._of_code())))
        for layer, norm in zip(self.layers[1:], self.norms[1:], strict=True):
            x = torch.relu(norm(layer(x)))
        return self.last(x)

    def frames(
        self,
        target: Float[Tensor, "n c"],
        gates: Float[Tensor, "n z"] | None,
        codes: Float[Tensor, "b z"],
    ) -> Float[Tensor, "b n o"]:
        """:meth:`forward` of codes, gated where there are gates; far faster without a history."""
        if torch.is_grad_enabled() or codes.device.type != "cpu":
            local = codes[:, None] if gates is None else gates * codes[:, None]
            return self(target, local.expand(len(codes), len(target), -1))
        weights = [self._of_code(), *(layer.weight for layer in self.layers[1:])]
        transposed = [weight.mT.contiguous() for weight in weights]
        norms = [norm.norm for norm in self.norms]
        return Decoding(transposed, norms, self.last).frames(target, gates, codes)

    def _of_code(self) -> Float[Tensor, "c z"]:
        """The first layer's weights for the local code."""
        inputs = self.config.inputs
        return self.layers[0].weight[:, inputs : inputs + self.config.code]


@dataclass(frozen=True)
class Target:
    """All that is computed once for a neutral mesh.

    ``logits`` are the skinning features, ``gates`` what they make; both None without skinning.
    """

    surface: Surface
    picture: Float[Tensor, " p"] | None
    features: Float[Tensor, "v f"]
    identity: Float[Tensor, " i"]
    logits: Float[Tensor, "v l"] | None
    gates: Float[Tensor, "v z"] | None


@dataclass(frozen=True)
class Shared:
    """What all frames of one target have in common when they are decoded.

    ``first`` is the first layer's response to the target, ``rest`` the output of the zero code,
    where displacements are relative to it. A place is a vertex, or a triangle for Jacobians.
    """

    first: Float[Tensor, "n c"]
    gates: Float[Tensor, "n z"] | None
    rest: Float[Tensor, "n o"] | None = None


class NFS(nn.Module):
    """The whole system: picture, identity, expression and skinning encoder, and the decoder."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        encoder = {"width": config.width, "dropout": config.dropout}
        self.picture = PictureEncoder(config) if config.has_picture else None
        self.identity = DiffusionNet(
            config.inputs, config.identity_size, blocks=config.identity_blocks, **encoder
        )
        self.expression = DiffusionNet(
            config.expression_inputs, config.code, blocks=config.blocks, **encoder
        )
        if config.has_skinning:
            self.skinning = DiffusionNet(
                config.inputs, config.segments, blocks=config.blocks, **encoder
            )
            self.gates = SkinningBlock(config)
        self.decoder = Decoder(config, 9 if config.decoder == "jacobian" else 3)

    # -- encoding ----------------------------------------------------------------------------------

    def target(self, surface: Surface) -> Target:
        """Codes, features and gates of a neutral mesh."""
        picture = self.picture(surface.picture) if self.picture is not None else None
        features = self.features(surface, surface.vertices[None], picture)
        operators = surface.first(self.config.eigenfunctions)
        identity = self.identity.mean(features, operators)[0]
        logits = gates = None
        if self.config.has_skinning:
            logits = self.skinning(features, operators)[0]
            gates = self.gates(logits)
        return Target(surface, picture, features[0], identity, logits, gates)

    def features(
        self,
        surface: Surface,
        vertices: Float[Tensor, "b v 3"],
        picture: Float[Tensor, " p"] | None,
    ) -> Float[Tensor, "b v f"]:
        """Position, normal and picture code of every vertex of frames."""
        parts = [vertices, vertex_normals(vertices, surface.faces)]
        if picture is not None:
            parts.append(picture.expand(*vertices.shape[:2], -1))
        return torch.cat(parts, dim=-1)

    def codes(self, source: Target, frames: Float[Tensor, "b v 3"]) -> Float[Tensor, "b z"]:
        """Expression codes of frames of the source's topology, with its operators and picture."""
        surface = source.surface
        if self.config.anchored:
            frames = torch.cat([frames, surface.vertices[None]])
        features = self.features(surface, frames, source.picture)
        if self.config.offsets:
            change = features[..., :6] - source.features[:, :6]
            features = torch.cat([features, OFFSET_SCALE * change], dim=-1)
        codes = self.expression.mean(features, surface.first(self.config.eigenfunctions))
        return codes[:-1] - codes[-1:] if self.config.anchored else codes

    # -- decoding ----------------------------------------------------------------------------------

    def shared(self, target: Target) -> Shared:
        """What :meth:`decode` would compute anew for every batch of a sequence."""
        shared = self._shared(target)
        if not self.config.anchored:
            return shared
        zero = shared.first.new_zeros(1, self.config.code)
        return replace(shared, rest=self._outputs(shared, zero)[0])

    def decode(
        self, target: Target, codes: Float[Tensor, "b z"], shared: Shared | None = None
    ) -> Float[Tensor, "b v 3"]:
        """The target in the expressions of some codes, canonical vertices.

        ``shared`` is what :meth:`shared` found for the target, when there are more codes to come.
        """
        if shared is not None:
            out = self._outputs(shared, codes)
            out = out if shared.rest is None else out - shared.rest
        elif self.config.anchored:
            out = self._outputs(
                self._shared(target), torch.cat([codes, torch.zeros_like(codes[:1])])
            )
            out = out[:-1] - out[-1:]
        else:
            out = self._outputs(self._shared(target), codes)
        neutral = target.surface.vertices
        if self.config.decoder == "vert":
            return out
        if self.config.decoder == "disp":
            return neutral + out
        shape = (*out.shape[:2], 3, 3)
        identity = torch.eye(3, dtype=out.dtype, device=out.device)
        return solved(target.surface, identity + self.config.jacobian_scale * out.view(shape))

    def _shared(self, target: Target) -> Shared:
        """The first layer's part for the vertices, or the triangles where Jacobians are wanted."""
        features, gates = target.features, target.gates
        if self.config.decoder == "jacobian":
            faces, neutral = target.surface.faces, target.surface.vertices
            middles = neutral[faces].mean(dim=1)
            normals = face_normals(neutral[None], faces)[0]
            common = features[:1, 6:].expand(len(faces), -1)
            features = torch.cat([middles, normals, common], dim=-1)
            gates = None if gates is None else gates[faces].mean(dim=1)
        return Shared(self.decoder.of_target(features, target.identity), gates)

    def _outputs(self, shared: Shared, codes: Float[Tensor, "b z"]) -> Float[Tensor, "b n o"]:
        """The decoder at all places."""
        return self.decoder.frames(shared.first, shared.gates, codes)


def save_model(
    path: str | Path, model: NFS, units: tuple[str, ...], extra: Mapping[str, Any]
) -> None:
    """Write weights, configuration and the names of the expression units."""
    metadata = {"format": FORMAT, "config": asdict(model.config), "units": list(units)}
    write_weights(path, model, {**metadata, **extra})


def load_model(path: str | Path) -> tuple[NFS, dict[str, Any]]:
    """A trained network, ready for use, and the metadata of its file."""
    hint = "Train it again: nfs_train."
    origin = "Name a model.safetensors that nfs_train wrote."
    metadata, tensors = read_weights(path, FORMAT, origin, hint)
    model = NFS(from_settings(ModelConfig, metadata["config"], str(path)))
    fill(model, tensors, path, hint)
    return model.eval(), metadata
