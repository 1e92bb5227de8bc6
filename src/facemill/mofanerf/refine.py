"""RefineNet: the generator that sharpens renders, its application to pictures, its way to disk.

The architecture is pix2pixHD's global generator with 32 channels (Wang et al. 2018), as MoFaNeRF
uses it. It refines one picture at a time, so it can flicker between views: depth and normals beside
the colour tie it to the surface, and :mod:`facemill.render.reprojection` measures what is left.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from torch.nn import functional

from facemill.errors import DataError
from facemill.files import require_file, sha256
from facemill.mofanerf.refine_config import RefinerConfig
from facemill.nets.patchgan import start_weights
from facemill.training.settings import from_settings, to_settings
from facemill.training.weights import fill, read_weights, write_weights

FORMAT = "facemill.mofanerf.refine.1"


class ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions with instance norm whose output is added to the input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.ReflectionPad2d(1),
            nn.Conv2d(channels, channels, 3),
            nn.InstanceNorm2d(channels),
            nn.ReLU(),
            nn.ReflectionPad2d(1),
            nn.Conv2d(channels, channels, 3),
            nn.InstanceNorm2d(channels),
        )

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """The same shape."""
        return x + self.layers(x)


class Refiner(nn.Module):
    """From a coarse picture at its final size (and the surface) to a sharp one."""

    def __init__(self, config: RefinerConfig) -> None:
        super().__init__()
        self.config = config
        width = config.channels
        layers: list[nn.Module] = [nn.ReflectionPad2d(3), nn.Conv2d(config.inputs, width, 7)]
        layers += _normalised(width)
        for _ in range(config.halvings):
            layers += [nn.Conv2d(width, 2 * width, 3, stride=2, padding=1), *_normalised(2 * width)]
            width *= 2
        layers += [ResidualBlock(width) for _ in range(config.blocks)]
        for _ in range(config.halvings):
            up = nn.ConvTranspose2d(width, width // 2, 3, stride=2, padding=1, output_padding=1)
            layers += [up, *_normalised(width // 2)]
            width //= 2
        layers += [nn.ReflectionPad2d(3), nn.Conv2d(width, 3, 7)]
        self.layers = nn.Sequential(*layers)
        start_weights(self)
        if config.residual:  # begins as the identity
            nn.init.zeros_(self.layers[-1].weight)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b 3 h w"]:
        """Colours in [-1, 1] from colours in [-1, 1] and, where so made, the surface's channels.

        Height and width must be multiples of 2^halvings.
        """
        step = 2**self.config.halvings
        if x.shape[1] != self.config.inputs or x.shape[2] % step or x.shape[3] % step:
            raise DataError(
                f"refiner: input of shape {tuple(x.shape)}; expected {self.config.inputs} channels "
                f"and sides that are multiples of {step}. Resize the pictures, or give depth and "
                "normals exactly where the refiner was trained with them."
            )
        made = self.layers(x)
        if self.config.residual:
            return (x[:, :3] + 2 * torch.tanh(made)).clamp(-1, 1)
        return torch.tanh(made)


def _normalised(channels: int) -> list[nn.Module]:
    return [nn.InstanceNorm2d(channels), nn.ReLU()]


# -- pictures in and out ---------------------------------------------------------------------------


def enlarged(
    coarse: UInt8[np.ndarray, "h w 3"], height: int, width: int
) -> Float[Tensor, "3 height width"]:
    """A picture at its final size by bicubic interpolation, in [-1, 1]: what the refiner gets."""
    picture = torch.from_numpy(np.ascontiguousarray(coarse)).permute(2, 0, 1)[None].float()
    if coarse.shape[:2] != (height, width):
        size = (height, width)
        picture = functional.interpolate(picture, size, mode="bicubic", align_corners=False)
    return picture[0].clamp(0, 255) / 127.5 - 1


def network_input(
    coarse: UInt8[np.ndarray, "h w 3"],
    size: tuple[int, int],
    surface: Float[np.ndarray, "h3 w3 4"] | None,
) -> Float[Tensor, "c h2 w2"]:
    """What the refiner sees: the enlarged picture and the surface, bilinear where it is smaller."""
    parts = [enlarged(coarse, *size)]
    if surface is not None:
        channels = torch.from_numpy(surface.astype(np.float32)).permute(2, 0, 1)[None]
        parts.append(functional.interpolate(channels, size, mode="bilinear")[0])
    return torch.cat(parts)


def surface_channels(
    depth: Float[np.ndarray, "h w"],
    normals: Float[np.ndarray, "h w 3"],
    rotation: Float[np.ndarray, "3 3"],
) -> Float[np.ndarray, "h w 4"]:
    """Nearness and camera normals as the refiner sees them; all 0 where nothing is seen.

    ``depth`` is the camera's z in mm (0: nothing), ``normals`` are in the face frame, ``rotation``
    is the camera's. Nearness is (median depth - depth) / 100 mm, so that it does not depend on how
    far the camera stands; normals in camera axes look the same from every side.
    """
    seen = depth > 0
    middle = np.median(depth[seen]) if seen.any() else 0.0
    nearness = np.where(seen, (middle - depth) / 100.0, 0.0)
    turned = np.where(seen[..., None], normals @ rotation.T, 0.0)
    return np.concatenate([nearness[..., None], turned], axis=2).astype(np.float32)


@torch.no_grad()
def refined(
    refiner: Refiner,
    coarse: UInt8[np.ndarray, "h w 3"],
    size: tuple[int, int],
    surface: Float[np.ndarray, "h3 w3 4"] | None = None,
) -> UInt8[np.ndarray, "h2 w2 3"]:
    """One coarse picture, enlarged to ``size`` (height, width) and refined.

    ``surface`` (:func:`surface_channels`, at the coarse or the final size) where the refiner looks
    at it.
    """
    device = next(refiner.parameters()).device
    made = refiner(network_input(coarse, size, surface)[None].to(device))[0]
    return ((made + 1) * 127.5).round().byte().permute(1, 2, 0).cpu().numpy()


# -- the way to disk -------------------------------------------------------------------------------


def save_refiner(path: str | Path, refiner: Refiner, extra: Mapping[str, Any]) -> None:
    """Write the weights as safetensors; config and ``extra`` as JSON text in the metadata."""
    metadata = {"format": FORMAT, "config": to_settings(refiner.config), **extra}
    write_weights(path, refiner, metadata)


def load_refiner(
    path: str | Path, config: RefinerConfig | None = None, checksum: str | None = None
) -> tuple[Refiner, dict[str, Any]]:
    """Read what :func:`save_refiner` wrote: the generator (CPU, for use) and the metadata.

    With ``config`` weights of another profile are refused, with ``checksum`` (SHA-256) another
    file. Raises DataError for these and for a missing, truncated or foreign file.
    """
    hint = "Train the refiner again or copy the file anew."
    require_file(path, hint)
    if checksum is not None and sha256(path) != checksum.lower():
        raise DataError(f"{path}: SHA-256 {sha256(path)}, expected {checksum}. {hint}")
    origin = "Give the file that the refiner's training wrote."
    metadata, tensors = read_weights(path, FORMAT, origin, hint)
    found = from_settings(RefinerConfig, metadata["config"], f"{path}: config")
    if config is not None and found != config:
        keys = [k for k, v in to_settings(config).items() if to_settings(found)[k] != v]
        raise DataError(
            f"{path}: weights of another profile; {keys[0]} is {getattr(found, keys[0])}, expected "
            f"{getattr(config, keys[0])}. Give weights of this profile or train it."
        )
    refiner = Refiner(found)
    fill(refiner, tensors, path, hint)
    return refiner.eval(), metadata
