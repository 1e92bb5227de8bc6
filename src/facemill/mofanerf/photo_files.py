"""Photos as people have them: any mode, any rotation, with landmarks and mask in files beside.

Everything here is about one photo upright, as a viewer shows it: a rotation in its EXIF data is
applied first, and landmark and mask files belong to the picture so turned.
"""

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, UInt8

from facemill.errors import DataError
from facemill.files import require_file

LEAST_SIDE = 64
"""Pixels a side below which a photo shows no face that could be fitted."""

FOCAL_35MM, WIDTH_35MM = 0xA405, 36.0
"""EXIF's tag of the focal length on 35 mm film, and that film's longer side in mm."""

FOCAL_GUESS = 1.2
"""Focal length over the longer side where the photo does not tell: between phone and portrait."""

BROKEN = (OSError, SyntaxError, ValueError, EOFError, struct.error)
"""What picture readers raise on damaged files, by format."""


@dataclass(frozen=True)
class Photo:
    """An upright photo; ``alpha`` where the file has it, ``focal`` in pixels.

    ``focal_known`` says whether the focal length is from the file or a guess.
    """

    colour: UInt8[np.ndarray, "h w 3"]
    alpha: UInt8[np.ndarray, "h w"] | None
    focal: float
    focal_known: bool


def read_photo(path: str | Path) -> Photo:
    """Read a JPEG, PNG or other picture file of any mode, upright, as 8-bit sRGB.

    Greyscale, palette, CMYK and 16-bit pictures are converted; of an animation the first picture
    counts. Raises DataError for a missing, truncated, foreign or tiny file.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    require_file(path, "Name a photo (JPEG, PNG, ...).")
    try:
        with Image.open(path) as image:
            film = image.getexif().get_ifd(0x8769).get(FOCAL_35MM)
            image.load()
            upright = ImageOps.exif_transpose(image)
            colour, alpha = _colour_and_alpha(upright)
    except (UnidentifiedImageError, Image.DecompressionBombError, *BROKEN) as error:
        raise DataError(
            f"{path}: not a whole picture ({error}). Export or copy the photo again."
        ) from None
    height, width = colour.shape[:2]
    if min(height, width) < LEAST_SIDE:
        raise DataError(
            f"{path}: {width} x {height} pixels; expected at least {LEAST_SIDE} a side. Give a "
            "larger photo."
        )
    known = isinstance(film, int | float) and 5 <= film <= 500
    factor = float(film) / WIDTH_35MM if known else FOCAL_GUESS
    return Photo(colour, alpha, factor * max(height, width), known)


def _colour_and_alpha(
    image: Any,
) -> tuple[UInt8[np.ndarray, "h w 3"], UInt8[np.ndarray, "h w"] | None]:
    """8-bit RGB of a picture of any mode, and its alpha if it has one."""
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        values = np.asarray(image, np.float64)
        values *= 255.0 / (65535.0 if values.max() > 255 else 255.0)
        grey = np.clip(np.round(values), 0, 255).astype(np.uint8)
        return np.repeat(grey[..., None], 3, axis=2), None
    if "A" in image.mode or "transparency" in image.info:
        both = np.array(image.convert("RGBA"))
        return both[..., :3].copy(), both[..., 3].copy()
    return np.array(image.convert("RGB")), None


def read_landmarks(path: str | Path, width: int, height: int) -> Float[np.ndarray, "68 2"]:
    """The 68 iBUG landmarks of a photo: image points (x, y) with pixel centres at +0.5.

    The file beside it holds 68 rows ``x y`` as text (white space or commas) or a .npy of shape
    (68, 2), as detectors write them: in pixels, the first pixel's centre at 0. Raises DataError
    for a missing or damaged file, another number of landmarks, and points outside the photo.
    """
    hint = (
        "Expected the 68 iBUG landmarks, a row 'x y' in pixels each, in the upright photo; any "
        "68-point detector gives them."
    )
    path = require_file(path, hint)
    try:
        if path.suffix == ".npy":
            points = np.load(path, allow_pickle=False).astype(np.float64)
        else:
            text = path.read_text(encoding="utf-8").replace(",", " ")
            points = np.array([line.split() for line in text.splitlines() if line.strip()], float)
    except (ValueError, EOFError, OSError, TypeError) as error:
        raise DataError(f"{path}: not a table of numbers ({error}). {hint}") from None
    if points.shape != (68, 2):
        schemes = {51: " (the 68 without the jaw line)", 5: " (eyes, nose, mouth)"}
        which = schemes.get(len(points) if points.ndim else 0, "")
        raise DataError(f"{path}: a table of shape {points.shape}{which}. {hint}")
    if not np.isfinite(points).all():
        raise DataError(f"{path}: numbers that are not finite. {hint}")
    points = points + 0.5
    outside = np.flatnonzero(((points < 0) | (points > [width, height])).any(axis=1))
    if len(outside):
        x, y = points[outside[0]] - 0.5
        raise DataError(
            f"{path}: landmark {outside[0]} at ({x:.1f}, {y:.1f}) lies outside the photo of "
            f"{width} x {height} pixels ({len(outside)} such). {hint}"
        )
    return points


def read_mask(path: str | Path, width: int, height: int) -> Bool[np.ndarray, "h w"]:
    """A mask picture of the upright photo's size: what is lighter than half is the head."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(require_file(path, "Give a mask picture.")) as image:
            mask = np.array(image.convert("L")) > 127
    except (UnidentifiedImageError, *BROKEN) as error:
        raise DataError(f"{path}: not a whole picture ({error}). Make the mask again.") from None
    if mask.shape != (height, width):
        raise DataError(
            f"{path}: {mask.shape[1]} x {mask.shape[0]} pixels, the upright photo has {width} x "
            f"{height}. Give a mask of the photo's size."
        )
    if not mask.any():
        raise DataError(f"{path}: nothing is lighter than half; white marks the head.")
    return mask


def beside(photo: str | Path, *endings: str) -> Path | None:
    """The first file ``<photo without suffix><ending>`` that is there."""
    photo = Path(photo)
    candidates = [photo.with_name(photo.stem + ending) for ending in endings]
    return next((path for path in candidates if path.is_file()), None)
