"""From files to files: cloning a sequence to a mesh, driving a mesh, reading weights off one."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from facemill.mesh.io import read_mesh
from facemill.nfs.config import require
from facemill.nfs.export import (
    spread,
    write_frames_glb,
    write_preview,
    write_rig_glb,
    write_sequence,
    write_sheet,
)
from facemill.nfs.model import NFS, load_model
from facemill.nfs.retarget import (
    Clone,
    RetargetConfig,
    factors,
    moved,
    retarget,
    smoothed,
    source_frames,
)
from facemill.nfs.rig import (
    Weights,
    codes_of,
    read_weights,
    unit_offsets,
    weights_of,
    write_weights,
)
from facemill.nfs.user_mesh import read_user_mesh
from facemill.training.settings import from_settings

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class UsesConfig(RetargetConfig):
    """How sequences are cloned and shown."""

    fps: float = 30.0  # frames a second of animations
    size: int = 360  # pixels, width of the preview

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.fps > 0, f"fps: found {self.fps}, expected a number above 0")
        require(self.size >= 16, f"size: found {self.size}, expected at least 16 pixels")


def uses_config(settings: Mapping[str, Any]) -> tuple[UsesConfig, dict[str, float]]:
    """The section ``retarget`` of the configuration, and its gains by unit."""
    rest = {key: value for key, value in settings.items() if key != "gains"}
    gains = {unit: float(gain) for unit, gain in (settings.get("gains") or {}).items()}
    return from_settings(UsesConfig, rest, "retarget"), gains


def trained(path: str | Path) -> tuple[NFS, tuple[str, ...]]:
    """A model and the names of its units."""
    model, metadata = load_model(path)
    return model, tuple(metadata["units"])


def retarget_one(
    model_path: str | Path,
    source: str | Path,
    source_operators: str | Path,
    frames: Sequence[Path],
    target: str | Path,
    target_operators: str | Path,
    settings: Mapping[str, Any],
    out: str | Path,
) -> None:
    """Clone expressions of one mesh to another, all of them files.

    Writes into ``out``: ``frames/<name>.obj`` (the target's file moved, in its own frame and
    topology), ``animation.glb``, ``weights.csv`` (the source's unit weights), ``preview.gif``,
    ``preview.png`` (some frames of both).
    """
    config, gains = uses_config(settings)
    model, units = trained(model_path)
    giver = read_user_mesh(source, source_operators)
    taker = read_user_mesh(target, target_operators)
    codes, found = retarget(model, units, giver, frames, taker, config, gains)
    names = [path.stem for path in frames]
    weights = Weights(tuple(names), weights_of(codes, units))
    write_weights(Path(out) / "weights.csv", units, weights)
    write_sequence(Path(out) / "frames", taker.mesh, found, names)
    write_frames_glb(Path(out) / "animation.glb", taker.mesh, found, names, config.fps)
    placed = taker.operators.placed
    write_preview(Path(out) / "preview.gif", taker.mesh, placed, found, config.fps, config.size)
    shown = spread(len(frames))
    given = [read_mesh(frames[i]).vertices.astype(np.float64) for i in shown]
    rows = {"source": (giver, given), "target": (taker, list(found[shown]))}
    write_sheet(Path(out) / "preview.png", rows, [names[i] for i in shown], config.size)
    log.info("%s: %d frames cloned to %s", giver.name, len(found), taker.name)


def rig(
    model_path: str | Path,
    target: str | Path,
    target_operators: str | Path,
    table: str | Path,
    settings: Mapping[str, Any],
    out: str | Path,
) -> None:
    """Drive a mesh file by a table of unit weights.

    Writes into ``out``: ``frames/<row>.obj``, ``rig.glb`` (a morph target for each unit, and the
    table as its animation), ``preview.gif``, ``preview.png`` (some frames).
    """
    config, gains = uses_config(settings)
    model, units = trained(model_path)
    weights = read_weights(table, units)
    taker = read_user_mesh(target, target_operators)
    clone = Clone(model, taker.operators, str(target_operators))
    driven = weights.weights * factors(gains, units)
    codes = smoothed(codes_of(model, driven), config.smooth, config.smooth_radius)
    found = moved(clone, taker, codes, config.chunk)
    write_sequence(Path(out) / "frames", taker.mesh, found, weights.frames)
    offsets = unit_offsets(clone, len(units), config.chunk)
    shown = codes[:, : len(units)].double().numpy()
    write_rig_glb(Path(out) / "rig.glb", taker, units, offsets, shown, config.fps)
    placed = taker.operators.placed
    write_preview(Path(out) / "preview.gif", taker.mesh, placed, found, config.fps, config.size)
    some = spread(len(found))
    rows, names = {"": (taker, list(found[some]))}, [weights.frames[i] for i in some]
    write_sheet(Path(out) / "preview.png", rows, names, config.size)
    log.info("%s: %d frames driven", taker.name, len(found))


def inverse_rig(
    model_path: str | Path,
    source: str | Path,
    source_operators: str | Path,
    frames: Sequence[Path],
    settings: Mapping[str, Any],
    out: str | Path,
) -> None:
    """Read unit weights off expressions of a mesh, and write them as the table that rig reads."""
    config, _ = uses_config(settings)
    model, units = trained(model_path)
    giver = read_user_mesh(source, source_operators)
    clone = Clone(model, giver.operators, str(source_operators))
    codes = clone.codes(source_frames(giver, frames), config.chunk)
    codes = smoothed(codes, config.smooth, config.smooth_radius)
    names = tuple(path.stem for path in frames)
    write_weights(out, units, Weights(names, weights_of(codes, units)))
