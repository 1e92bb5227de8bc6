"""Multiface's tracked meshes (Wuu et al. 2022, CC BY-NC 4.0): who is there, and their frames.

    <root>/<entity>/tracked_mesh/<take>/<frame>.bin            float32 (v, 3), mm
    <root>/<entity>/tracked_mesh/<take>/<frame>.obj            triangles over the same vertices
    <root>/<entity>/tracked_mesh/<take>/<frame>_transform.txt  3 x 4, the head's pose in the stage

As published v is 7306, of which the triangles use a part; the number is read from the files. The
layout is that of the dataset's own DATA_STRUCTURE.md, read from the user's copy.
"""

import logging
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from facemill.data.expressions import NEUTRAL
from facemill.data.tree import ScanFiles, in_order
from facemill.errors import ConfigError, DataError

log = logging.getLogger(__name__)

MESHES = "tracked_mesh"
SENTENCES = "SEN_"
"""Takes of spoken sentences begin so; all others are expressions and ranges of motion."""

NEUTRAL_TAKES = ("E001_Neutral_Eyes_Open", "EXP_neutral_peak")
"""The neutral take of the first and of the second capture script (EXPRESSIONS.md)."""

STILL = 25.0
"""mm (rms): no expression moves all vertices of a head so far; the pose of a head does."""

ROTATION_TOLERANCE = 1e-3

AGAIN = "Unpack the tracked meshes of this entity again, or leave it out of 'people'."


@dataclass(frozen=True)
class MultifaceSettings:
    """Which frames of a person are taken."""

    root: str | None = None
    takes: str = "motions"  # motions, sentences or all (NFS: motions)
    frames_per_take: int = 8  # evenly over each take (ours; NFS draws one a take and epoch)

    def __post_init__(self) -> None:
        if self.takes not in ("motions", "sentences", "all"):
            raise ConfigError(f"takes: found {self.takes!r}, expected motions, sentences or all")
        if self.frames_per_take < 1:
            raise ConfigError(f"frames_per_take: found {self.frames_per_take}, expected 1 or more")


@dataclass(frozen=True)
class Tracked:
    """Frames of one person whose head stands still, mm, in the head's own frame.

    ``frames`` holds the neutral as ``1_neutral`` first, the others as ``<take>_<frame>``.
    """

    faces: Int[np.ndarray, "f 3"]
    frames: Mapping[str, Float[np.ndarray, "v 3"]]


def multiface_root(settings: Mapping[str, Any]) -> Path:
    """The folder of entities that the configuration names, checked to be there."""
    root = (settings.get("multiface") or {}).get("root")
    if not root:
        raise ConfigError(
            "multiface.root is not set; dataset: multiface needs the folder that holds one folder "
            "per entity, e.g. --config multiface='{root: /data/multiface}'."
        )
    if not Path(root).is_dir():
        raise ConfigError(f"multiface.root: {root} is no folder; expected the one of the entities.")
    return Path(root)


def people_in_multiface(root: str | Path) -> list[str]:
    """Names of the entities whose tracked meshes are there; no mesh is opened."""
    root = Path(root)
    with os.scandir(root) as entries:
        found = [entry.name for entry in entries if (root / entry.name / MESHES).is_dir()]
    if not found:
        raise DataError(
            f"{root}: holds no entity; expected folders such as m--20180227--0000--6795937--GHS "
            f"with {MESHES}/ in each. The key multiface.root names it."
        )
    return in_order(found)


def takes_in(person_folder: str | Path) -> dict[str, ScanFiles]:
    """All takes of a person, the neutral one as ``1_neutral``; no mesh is opened."""
    folder = Path(person_folder) / MESHES
    with os.scandir(folder) as entries:
        takes = in_order(entry.name for entry in entries if entry.is_dir())
    neutral = neutral_take(folder, takes)
    names = {NEUTRAL: neutral} | {take: take for take in takes if take != neutral}
    return {name: ScanFiles(f"{MESHES}/{take}", None) for name, take in names.items()}


def neutral_take(folder: Path, takes: Sequence[str]) -> str:
    """The take that shows a person's neutral face."""
    for take in NEUTRAL_TAKES:
        if take in takes:
            return take
    raise DataError(
        f"{folder}: no neutral take; expected {' or '.join(NEUTRAL_TAKES)} among the "
        f"{len(takes)} takes there. {AGAIN}"
    )


def read_tracked(person_folder: str | Path, settings: MultifaceSettings) -> Tracked:
    """A person's neutral, and frames spread evenly over each of their takes.

    The neutral is the frame of the neutral take that lies nearest to the median of them all, which
    passes blinks over. Raises DataError where a take, a triangle list, vertices or a pose is
    missing or broken.
    """
    folder = Path(person_folder) / MESHES
    if not folder.is_dir():
        raise DataError(f"{folder}: is no folder; expected one folder for each take. {AGAIN}")
    takes = [scan.mesh.removeprefix(f"{MESHES}/") for scan in takes_in(person_folder).values()]
    neutral = takes[0]
    files = {
        take: [folder / take / f"{frame}.bin" for frame in _frames_of(folder / take)]
        for take in takes
        if take == neutral or _wanted(take, settings.takes)
    }
    drawn = {take: evenly(paths, settings.frames_per_take) for take, paths in files.items()}
    read = [*files[neutral], *(path for take in takes[1:] for path in drawn.get(take, ()))]
    faces = _triangles(files)
    used = np.unique(faces)
    vertices = _vertices(read, used)
    poses = [read_pose(path.with_name(f"{path.stem}_transform.txt")) for path in read]
    still = standing_still(vertices, poses, used, str(folder))
    count = len(files[neutral])
    middle = nearest_to_median(still[:count][:, used])
    log.info(
        "%s: neutral %s of %s, %d frames of %d takes",
        folder.parent.name, read[middle].stem, neutral,
        sum(map(len, drawn.values())), len(drawn),
    )  # fmt: skip
    by_path = dict(zip(read, still, strict=True))
    kept = {f"{take}_{path.stem}": by_path[path] for take, paths in drawn.items() for path in paths}
    return Tracked(faces, {NEUTRAL: still[middle]} | kept)


def evenly(items: Sequence[Path], count: int) -> list[Path]:
    """``count`` items at the middles of as many equal parts; all where there are fewer."""
    if len(items) <= count:
        return list(items)
    return [items[int((part + 0.5) * len(items) / count)] for part in range(count)]


def nearest_to_median(frames: Float[np.ndarray, "n v 3"]) -> int:
    """Number of the frame nearest (rms) to the median of all at each vertex."""
    return int(((frames - np.median(frames, axis=0)) ** 2).sum(axis=(1, 2)).argmin())


def standing_still(
    vertices: Float[np.ndarray, "n v 3"],
    poses: Sequence[tuple[Float[np.ndarray, "3 3"], Float[np.ndarray, "3"]]],
    used: Int[np.ndarray, " u"],
    name: str,
) -> Float[np.ndarray, "n v 3"]:
    """Frames without the motion of the head.

    By the dataset's own loader the vertices lie in the head's frame and a pose leads from there to
    the stage. Copies in the stage's frame are met as well: what stands stiller, the vertices as
    they are or with the poses taken out of them (R^T (x - t)), is taken. Raises DataError where
    neither does.
    """
    without = np.stack([(x - t) @ r for x, (r, t) in zip(vertices, poses, strict=True)])
    motion = [_motion(frames[:, used]) for frames in (vertices, without)]
    if min(motion) > STILL:
        raise DataError(
            f"{name}: the head moves by {motion[0]:.0f} mm (rms) in the .bin files and by "
            f"{motion[1]:.0f} mm with the poses of _transform.txt taken out; expected less than "
            f"{STILL:g} mm. Poses and vertices are not of the same frames, or not in millimetres. "
            + AGAIN
        )
    if motion[1] < motion[0]:
        log.info("%s: the .bin files hold the head's motion; it is taken out", name)
        return without
    return vertices


def _motion(frames: Float[np.ndarray, "n v 3"]) -> float:
    """How far vertices are from their median over the frames, rms."""
    return float(np.sqrt(((frames - np.median(frames, axis=0)) ** 2).sum(axis=2).mean()))


def read_pose(path: Path) -> tuple[Float[np.ndarray, "3 3"], Float[np.ndarray, "3"]]:
    """Rotation and translation (mm) of a ``_transform.txt``: [R | t], with or without 0 0 0 1."""
    try:
        rows = [[float(word) for word in line.split()] for line in path.read_text().splitlines()]
    except OSError:
        raise DataError(f"{path}: is missing; every frame needs the head's pose. {AGAIN}") from None
    except ValueError as error:
        raise DataError(f"{path}: {error}; expected 3 lines of 4 numbers. {AGAIN}") from None
    rows = [row for row in rows if row]
    if len(rows) not in (3, 4) or any(len(row) != 4 for row in rows):
        found = " + ".join(str(len(row)) for row in rows) or "no"
        raise DataError(f"{path}: {found} numbers in lines, expected 3 lines of 4. {AGAIN}")
    matrix = np.array(rows[:3])
    rotation = matrix[:, :3]
    error = np.abs(rotation @ rotation.T - np.eye(3)).max()
    if not (error < ROTATION_TOLERANCE and np.linalg.det(rotation) > 0):
        raise DataError(
            f"{path}: its first three columns are no rotation (R R^T differs from the identity by "
            f"{error:.2g}, determinant {np.linalg.det(rotation):.2g}). {AGAIN}"
        )
    return rotation, matrix[:, 3]


def _wanted(take: str, takes: str) -> bool:
    return takes == "all" or take.startswith(SENTENCES) == (takes == "sentences")


def _frames_of(take: Path) -> list[str]:
    """Names of a take's frames in order; none is a DataError."""
    with os.scandir(take) as entries:
        frames = in_order(entry.name[:-4] for entry in entries if entry.name.endswith(".bin"))
    if not frames:
        raise DataError(f"{take}: holds no <frame>.bin. {AGAIN}")
    return frames


def _triangles(files: Mapping[str, Sequence[Path]]) -> Int[np.ndarray, "f 3"]:
    """The triangles of the first OBJ beside the frames; all frames share them."""
    from facemill.mesh.io import read_obj

    meshes = (path.with_suffix(".obj") for paths in files.values() for path in paths)
    path = next((path for path in meshes if path.is_file()), None)
    if path is None:
        folder = next(iter(files.values()))[0].parent
        raise DataError(
            f"{folder}: no <frame>.obj beside the frames; one is needed, for the triangles. {AGAIN}"
        )
    faces = read_obj(path).faces
    if len(faces) == 0 or faces.min() < 0:
        raise DataError(f"{path}: {len(faces)} triangles; expected those of a head. {AGAIN}")
    return faces


def _vertices(paths: Sequence[Path], used: Int[np.ndarray, " u"]) -> Float[np.ndarray, "n v 3"]:
    """The vertices of all frames, whose files must be of one length; triangles use ``used``."""
    sizes = [path.stat().st_size for path in paths]
    usual = Counter(sizes).most_common(1)[0][0]
    needed = int(used.max()) + 1
    for path, size in zip(paths, sizes, strict=True):
        if size != usual or size % 12 or size // 12 < needed:
            raise DataError(
                f"{path}: {size} bytes; expected 12 for each vertex, {usual} as most frames of "
                f"this person have, and at least the {needed} vertices of the triangles. {AGAIN}"
            )
    vertices = np.stack([np.fromfile(path, "<f4").reshape(-1, 3) for path in paths])
    broken = ~np.isfinite(vertices[:, used]).all(axis=(1, 2))
    if broken.any():
        raise DataError(f"{paths[int(broken.argmax())]}: holds numbers that are none. {AGAIN}")
    return np.nan_to_num(vertices, copy=False, posinf=0.0, neginf=0.0)  # of unused vertices
