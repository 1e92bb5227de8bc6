"""The image that is fitted: checked, and as a pyramid of colours, masks and rays."""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from facemill.errors import DataError
from facemill.mofanerf.rays import pixel_rays
from facemill.render.cameras import Camera


@dataclass(frozen=True)
class Level:
    """The image at one size. Pixels are numbered row after row; colours are over black."""

    camera: Camera  # as guessed
    colour: Float[Tensor, "p 3"]
    mask: Float[Tensor, " p"]  # share of the pixel that shows the head
    origins: Float[Tensor, "p 3"]  # of rays in the scene's frame
    directions: Float[Tensor, "p 3"]


def checked_image(
    image: UInt8[np.ndarray, "h w _"],
    mask: Bool[np.ndarray, "h2 w2"] | None,
    camera: Camera,
    name: str,
) -> tuple[UInt8[np.ndarray, "h w 3"], Bool[np.ndarray, "h w"]]:
    """Colours over black and the mask, or a DataError that says what does not fit."""
    height, width, channels = image.shape
    if channels not in (3, 4):
        raise DataError(
            f"{name}: {channels} channels; expected an image of 3 (RGB, with a mask) or 4 (RGBA)."
        )
    if mask is None:
        if channels == 3:
            raise DataError(
                f"{name}: an RGB image without a mask; expected the head's mask, or RGBA with the "
                "head opaque. Without it hair and background would be fitted as skin."
            )
        mask = image[..., 3] > 127
    if mask.shape != (height, width):
        raise DataError(
            f"{name}: the mask has {mask.shape[1]} x {mask.shape[0]} pixels, the image "
            f"{width} x {height}. Give a mask of this image."
        )
    if (camera.height, camera.width) != (height, width):
        raise DataError(
            f"{name}: the camera is one of {camera.width} x {camera.height} pixels, the image has "
            f"{width} x {height}. Give the camera of this image (Camera.resized scales one)."
        )
    if mask.sum() < 16:
        raise DataError(
            f"{name}: the mask marks {int(mask.sum())} pixels; nothing is there to be fitted. "
            "White (or opaque) marks the head."
        )
    camera.check(name)
    return image[..., :3] * mask[..., None], mask


def checked_landmarks(
    landmarks: Float[np.ndarray, "_ _"] | None, name: str
) -> Float[np.ndarray, "68 2"] | None:
    """68 image points (not-a-number: unknown), or a DataError."""
    if landmarks is None:
        return None
    if landmarks.shape != (68, 2):
        raise DataError(
            f"{name}: landmarks of shape {landmarks.shape}; expected 68 rows (x, y) in pixels."
        )
    return landmarks if np.isfinite(landmarks).any() else None


def pyramid(
    image: UInt8[np.ndarray, "h w 3"],
    mask: Bool[np.ndarray, "h w"],
    camera: Camera,
    levels: tuple[float, ...],
    device: torch.device,
) -> list[Level]:
    """The image at shares of its side, by area means; mask pixels become shares too."""
    whole = np.concatenate([image / 255.0, mask[..., None]], axis=2).astype(np.float32)
    values = torch.from_numpy(whole).permute(2, 0, 1)[None]
    made = []
    for share in levels:
        height = max(8, round(share * camera.height))
        width = max(8, round(share * camera.width))
        small = F.interpolate(values, size=(height, width), mode="area")[0]
        rows = small.permute(1, 2, 0).reshape(-1, 4).to(device)
        of = camera.resized(width, height)
        origins, directions = pixel_rays(of, np.arange(width * height))
        rays = [torch.from_numpy(np.ascontiguousarray(r)).to(device) for r in (origins, directions)]
        made.append(Level(of, rows[:, :3], rows[:, 3], *rays))
    return made
