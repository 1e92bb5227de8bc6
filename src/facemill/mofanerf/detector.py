"""68 landmarks of a photo by a network of the user's own: a file, never fetched.

What the file must hold: a network that takes one square RGB picture (1, 3, s, s), float32 from 0
to 1, with a face in it, and gives 68 points in the iBUG order as (1, 68, 2) or (1, 136): pixels of
that picture (the first pixel's centre at 0), or shares of its side; or heat maps (1, 68, h, w).
TorchScript (.pt, .ts) is read by torch; ONNX (.onnx) needs the package onnxruntime.

There is no face finder: the whole photo is looked at first, then twice the square round the points
found so far, so that a face which fills a third of the photo is enough.
"""

import importlib
import importlib.util
from collections.abc import Callable
from pathlib import Path

import numpy as np
from jaxtyping import Float, Float32, UInt8
from scipy import ndimage

from facemill.errors import DataError
from facemill.files import require_file

SIDE = 256
"""Pixels a side of the network's input, where an ONNX file does not say."""

LOOKS = 3
"""Times that the network looks: at the whole photo, then at the square round the face."""

MARGIN = 1.6
"""Side of that square over the points' extent."""

Detector = Callable[[Float32[np.ndarray, "3 s s"]], np.ndarray]
"""From a square picture to what the network gives."""


def load_detector(path: str | Path) -> tuple[Detector, int]:
    """The network of a file, ready to be called, and its input's side in pixels.

    Raises DataError where the file is missing, of another kind or damaged, or where what runs it is
    not installed.
    """
    path = require_file(
        path, "mofanerf.photo.detector names a 68-point network (.pt, .ts or .onnx); null for none."
    )
    suffix = path.suffix.lower()
    if suffix in (".pt", ".ts"):
        return _torchscript(path), SIDE
    if suffix != ".onnx":
        raise DataError(
            f"{path}: detectors are read from .pt, .ts (TorchScript) and .onnx, not from "
            f"{suffix or 'this'}. Convert the network first."
        )
    if importlib.util.find_spec("onnxruntime") is None:
        raise DataError(
            f"{path}: needs the package onnxruntime, which is not installed here. Install it, give "
            "a TorchScript file, or landmarks beside the photo."
        )
    return _onnx(path)


def detect_landmarks(
    colour: UInt8[np.ndarray, "h w 3"], detector: Detector, side: int, name: str
) -> Float[np.ndarray, "68 2"]:
    """Image points (pixel centres at +0.5) of the face in a photo.

    Raises DataError where the network fails, gives something else than 68 points, or points that
    do not lie in the photo.
    """
    height, width = colour.shape[:2]
    centre, extent = np.array([width / 2, height / 2]), float(max(height, width))
    for _ in range(LOOKS):
        scale = side / extent
        corner = centre - extent / 2
        picture = _square(colour, corner, scale, side)
        try:
            answer = np.asarray(detector(picture), np.float64)
        except Exception as error:  # networks fail in ways of their own
            first = str(error).strip().split("\n")[0]
            raise DataError(
                f"{name}: the detector failed on a picture of 3 x {side} x {side} ({first}). It "
                "must take (1, 3, s, s) float32 from 0 to 1."
            ) from None
        points = points_of(answer, side, name) / scale + corner
        size = MARGIN * float(np.ptp(points, axis=0).max())
        inside = ((points >= 0) & (points <= [width, height])).all(axis=1).mean()
        if not np.isfinite(points).all() or inside < 0.5 or size < 8:
            raise DataError(
                f"{name}: the detector found no face ({100 * inside:.0f} % of its points lie in "
                "the photo). Crop the photo to the head, or put a landmark file beside it."
            )
        centre = (points.min(axis=0) + points.max(axis=0)) / 2
        extent = size
    return np.clip(points, 0.0, [width, height])


def points_of(answer: np.ndarray, side: int, name: str) -> Float[np.ndarray, "68 2"]:
    """68 image points in a square picture from what a network gave, whatever its form."""
    if answer.ndim == 4 and answer.shape[:2] == (1, 68):
        return _peaks(answer[0]) * (side / np.array([answer.shape[3], answer.shape[2]]))
    if answer.size != 136 or answer.ndim not in (2, 3):
        raise DataError(
            f"{name}: the detector gave {answer.shape}; expected (1, 68, 2), (1, 136) or heat maps "
            "(1, 68, h, w)."
        )
    points = answer.reshape(68, 2)
    if np.abs(points).max() <= 2.0:  # shares of the side
        return points * side
    return points + 0.5


def _peaks(maps: Float[np.ndarray, "68 h w"]) -> Float[np.ndarray, "68 2"]:
    """The middle of each map's peak, image points of the map: the mean round its maximum."""
    found = np.zeros((68, 2))
    for number, values in enumerate(maps):
        row, column = np.unravel_index(int(values.argmax()), values.shape)
        top, left = max(row - 2, 0), max(column - 2, 0)
        part = values[top : row + 3, left : column + 3]
        weight = part - part.min() + 1e-12
        rows, columns = np.indices(part.shape)
        share = weight / weight.sum()
        found[number] = (share * columns).sum() + left + 0.5, (share * rows).sum() + top + 0.5
    return found


def _square(
    colour: UInt8[np.ndarray, "h w 3"], corner: Float[np.ndarray, "2"], scale: float, side: int
) -> Float32[np.ndarray, "3 s s"]:
    """A square of the photo at the network's size, black beyond the photo."""
    centres = (np.arange(side) + 0.5) / scale
    rows, columns = np.meshgrid(centres + corner[1] - 0.5, centres + corner[0] - 0.5, indexing="ij")
    blur = 0.5 * np.sqrt(max(1.0 / scale**2 - 1.0, 0.0))
    picture = np.empty((3, side, side), np.float32)
    for channel in range(3):
        soft = ndimage.gaussian_filter(colour[..., channel].astype(np.float32), blur)
        picture[channel] = ndimage.map_coordinates(soft, [rows, columns], order=1)
    return np.clip(picture / 255.0, 0.0, 1.0)


def _torchscript(path: Path) -> Detector:
    import torch

    try:
        network = torch.jit.load(str(path), map_location="cpu").eval()
    except (RuntimeError, ValueError, OSError) as error:
        first = str(error).strip().split("\n")[0]
        raise DataError(f"{path}: not a TorchScript file ({first}). Export it again.") from None

    def run(picture: Float32[np.ndarray, "3 s s"]) -> np.ndarray:
        with torch.no_grad():
            return network(torch.from_numpy(picture)[None]).numpy()

    return run


def _onnx(path: Path) -> tuple[Detector, int]:
    runtime = importlib.import_module("onnxruntime")
    try:
        session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    except Exception as error:
        first = str(error).strip().split("\n")[0]
        raise DataError(f"{path}: not an ONNX file ({first}). Export it again.") from None
    entry = session.get_inputs()[0]
    side = entry.shape[-1] if isinstance(entry.shape[-1], int) else SIDE

    def run(picture: Float32[np.ndarray, "3 s s"]) -> np.ndarray:
        return session.run(None, {entry.name: picture[None]})[0]

    return run, side
