"""Expressions of one mesh on any other: codes of the source, the target moved by them."""

import difflib
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from scipy.ndimage import gaussian_filter1d
from torch import Tensor

from facemill.errors import ConfigError, DataError, GeometryError
from facemill.mesh.frames import FACE_TO_NFS
from facemill.mesh.io import read_mesh
from facemill.mesh.operators import Operators
from facemill.nfs.config import require
from facemill.nfs.model import NFS
from facemill.nfs.smoothing import Smoother
from facemill.nfs.surface import surface_of
from facemill.nfs.user_mesh import UserMesh

log = logging.getLogger(__name__)

MILLIMETRES = 1.0 / FACE_TO_NFS.scale

FAR = 40.0
"""mm (rms) that an expression may lie from its neutral: no face moves so far, but heads do."""


@dataclass(frozen=True)
class RetargetConfig:
    """How sequences are cloned."""

    chunk: int = 16  # frames at a time (ours)
    smooth: float = 0.0  # frames, standard deviation of a Gaussian over time; 0: none (release: 1)
    smooth_radius: int = 2  # frames to either side that it sees (release: 1 or 2)

    def __post_init__(self) -> None:
        require(self.chunk >= 1, f"chunk: found {self.chunk}, expected at least 1")
        require(self.smooth >= 0, f"smooth: found {self.smooth}, expected at least 0")
        radius = self.smooth_radius
        require(radius >= 1, f"smooth_radius: found {radius}, expected at least 1")


class Clone:
    """A target with all that is computed once for it: operators, codes, gates, the first layer."""

    def __init__(self, model: NFS, operators: Operators, name: str = "target") -> None:
        require_operators(model, operators, name)
        self.model, self.operators = model, operators
        surface = surface_of(operators, poisson=model.config.decoder == "jacobian")
        with torch.no_grad():
            self.target = model.target(surface)
            self.shared = model.shared(self.target)

    @torch.no_grad()
    def codes(self, frames: Iterable[Float[np.ndarray, "v 3"]], chunk: int) -> Float[Tensor, "n z"]:
        """Expression codes of frames of this mesh's own topology, canonical vertices."""
        waiting, found = iter(frames), []
        while some := list(islice(waiting, chunk)):
            vertices = torch.from_numpy(np.stack(some).astype(np.float32))
            found.append(self.model.codes(self.target, vertices))
        return torch.cat(found) if found else torch.zeros(0, self.model.config.code)

    def frames(self, codes: Float[Tensor, "n z"], chunk: int) -> Iterator[np.ndarray]:
        """The target in the expressions of codes, canonical vertices (b, v, 3) by chunks."""
        neutral = self.operators.vertices.astype(np.float64)
        for some in codes.split(chunk):
            with torch.no_grad():
                found = self.model.decode(self.target, some, self.shared).numpy().astype(np.float64)
            if self.model.config.smoothing:
                found = neutral + self._smoother(found - neutral)
            yield found

    @cached_property
    def _smoother(self) -> Smoother:
        return Smoother(self.operators, FACE_TO_NFS.scale * self.model.config.smoothing)


def require_operators(model: NFS, operators: Operators, name: str | Path) -> None:
    """Raise a ConfigError where operators have not what a model was trained to see."""
    config = model.config
    found, size = len(operators.eigenvalues), operators.picture.shape[0]
    if config.eigenfunctions is not None and found < config.eigenfunctions:
        raise ConfigError(
            f"{name}: operators with {found} eigenfunctions, but the model was trained with "
            f"{config.eigenfunctions}. Set nfs.operators.eigenfunctions to that."
        )
    if config.has_picture and size != config.picture_size:
        raise ConfigError(
            f"{name}: a picture of {size} pixels, but the model was trained with "
            f"{config.picture_size}. Set nfs.operators.picture_size to that."
        )


def source_frames(neutral: UserMesh, paths: Iterable[Path]) -> Iterator[Float[np.ndarray, "v 3"]]:
    """Expressions of a source as canonical vertices of its neutral's operators, one by one.

    Raises DataError for a file of another topology than the neutral, GeometryError for one with
    vertices that are no numbers, or further from the neutral than a face can move.
    """
    for path in paths:
        mesh = read_mesh(path)
        frame = neutral.operators.frame(mesh.vertices.astype(np.float64), str(path))
        if not np.array_equal(mesh.faces, neutral.mesh.faces):
            raise DataError(
                f"{path}: as many vertices as its neutral mesh, but other faces. All expressions "
                "of a sequence must have their neutral's topology, in its order: export them "
                "together."
            )
        offset = frame - neutral.operators.vertices
        away = MILLIMETRES * float(np.sqrt((offset**2).sum(axis=1).mean()))
        if away > FAR:
            raise GeometryError(
                f"{path}: {away:.0f} mm (rms) away from its neutral mesh, more than a face can "
                f"move ({FAR:g}). Take the motion of the head out, and use one unit for all files."
            )
        yield frame


def smoothed(codes: Float[Tensor, "n z"], deviation: float, radius: int) -> Float[Tensor, "n z"]:
    """Codes filtered over time by a Gaussian; the sequence is mirrored at both of its ends.

    Padding with zeros (NFS release) lets the first and last frames fade into the neutral.
    """
    if deviation == 0 or len(codes) < 2:
        return codes
    found = gaussian_filter1d(
        codes.double().numpy(), deviation, axis=0, mode="mirror", radius=radius
    )
    return torch.from_numpy(found).to(codes)


def factors(gains: Mapping[str, float], units: Sequence[str]) -> Float[np.ndarray, " e"]:
    """What each unit's weight is multiplied with; a ConfigError for a name that is no unit."""
    found = np.ones(len(units))
    for name, gain in gains.items():
        if name not in units:
            near = difflib.get_close_matches(name, units, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(units)}"
            raise ConfigError(f"retarget.gains.{name}: no unit of this model; {hint}")
        found[units.index(name)] = float(gain)
    return found


def retarget(
    model: NFS,
    units: Sequence[str],
    source: UserMesh,
    frames: Iterable[Path],
    target: UserMesh,
    config: RetargetConfig,
    gains: Mapping[str, float],
) -> tuple[Float[Tensor, "n z"], Float[np.ndarray, "n v 3"]]:
    """Codes of the source's frames, and the target's file moved by them, in its own frame.

    The codes are smoothed over time where asked for; gains change the target alone.
    """
    amplified = factors(gains, units)
    giver = Clone(model, source.operators, source.name)
    taker = Clone(model, target.operators, target.name)
    found = giver.codes(source_frames(source, frames), config.chunk)
    found = smoothed(found, config.smooth, config.smooth_radius)
    log.info("%s: %d frames read", source.name, len(found))
    codes = found.clone()
    codes[:, : len(units)] *= torch.from_numpy(amplified).to(codes)
    return found, moved(taker, target, codes, config.chunk)


def moved(
    clone: Clone, target: UserMesh, codes: Float[Tensor, "n z"], chunk: int
) -> Float[np.ndarray, "n v 3"]:
    """A mesh file in the expressions of codes, all of its vertices, single precision."""
    parts = [target.restored(some).astype(np.float32) for some in clone.frames(codes, chunk)]
    return np.concatenate(parts)
