"""Which files a retargeting is asked for: a neutral mesh and expressions of the same topology."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from facemill.data.inputs import LANDMARKS
from facemill.data.tree import MESH_FOLDER, in_order
from facemill.errors import ConfigError

SUFFIXES = (".obj", ".ply", ".stl", ".glb")

NO_SOURCE = (
    "(config: source is null; name a folder of expressions, or one: --config source=performance)"
)
NO_TARGET = "(config: target is null; name the mesh to be moved: --config target=head.obj)"
NO_WEIGHTS = "(config: weights is null; name a table of unit weights: --config weights=take1.csv)"
"""Stand where a rule expects files, so that the engine's message about what is missing says it."""


@dataclass(frozen=True)
class MeshSequence:
    """A neutral mesh and expressions in order; ``name`` is the folder's or the only mesh's."""

    name: str
    neutral: Path
    frames: tuple[Path, ...]

    @property
    def files(self) -> tuple[Path, ...]:
        """Everything, the neutral first."""
        return (self.neutral, *self.frames)


def mesh_sequence(given: str | None, neutral: str | None) -> MeshSequence | None:
    """What the keys ``source`` and ``retarget.neutral`` mean; None where no source is named.

    ``given`` is a folder of meshes or one mesh. Without ``neutral`` it is the one mesh of that
    folder whose name ends in "neutral". The neutral is no frame, unless it is the only mesh.
    Opens nothing. Raises ConfigError for what is not there or not clear.
    """
    if not given:
        return None
    path = _there(given, "source", folder=True)
    folder = path if path.is_dir() else path.parent
    found = _meshes(folder)
    frames = found if path.is_dir() else [path]
    if not frames:
        raise ConfigError(f"config: source: {given} holds no mesh ({', '.join(SUFFIXES)}).")
    rest = _there(neutral, "retarget.neutral") if neutral else _neutral(found, folder)
    frames = [frame for frame in frames if frame != rest] or [rest]
    stems = [frame.stem for frame in frames]
    twice = sorted({stem for stem in stems if stems.count(stem) > 1})
    if twice:
        raise ConfigError(
            f"config: source: {given} holds {twice[0]} twice, in two formats. Remove one of them."
        )
    return MeshSequence(_name(path), rest, tuple(frames))


def mesh_file(given: str | None, key: str) -> Path | None:
    """The mesh file that a key names, or None; ConfigError where it is not there."""
    return _there(given, key) if given else None


def table_file(given: str | None, key: str) -> Path | None:
    """The CSV file that a key names, or None; ConfigError where it is not there."""
    if not given:
        return None
    path = Path(given)
    if not path.is_file() or path.suffix.lower() != ".csv":
        raise ConfigError(f"config: {key}: {given} is no .csv file that is there.")
    return path


def landmarks_beside(mesh: Path) -> list[str]:
    """``<mesh>.landmarks.txt`` where there is one, else nothing."""
    beside = mesh.with_name(mesh.stem + LANDMARKS)
    return [str(beside)] if beside.is_file() else []


def _name(path: Path) -> str:
    """A folder's name (in FaceScape's layout the person's), or that of the only mesh."""
    if not path.is_dir():
        return path.stem
    whole = path.resolve()
    return whole.parent.name if whole.name == MESH_FOLDER else whole.name


def _there(given: str, key: str, folder: bool = False) -> Path:
    path = Path(given)
    if folder and path.is_dir():
        return path
    if not path.is_file():
        kinds = "neither as a file nor as a folder" if folder else "as a file"
        raise ConfigError(f"config: {key}: {given} is not there, {kinds}.")
    if path.suffix.lower() not in SUFFIXES:
        raise ConfigError(
            f"config: {key}: {given} is none of {', '.join(SUFFIXES)}; convert it first."
        )
    return path


def _meshes(folder: Path) -> list[Path]:
    names = [entry.name for entry in folder.iterdir() if entry.suffix.lower() in SUFFIXES]
    return [folder / name for name in in_order(n for n in names if not n.startswith("."))]


def _neutral(found: Sequence[Path], folder: Path) -> Path:
    neutral = [path for path in found if path.stem.lower().endswith("neutral")]
    if len(neutral) != 1:
        names = ", ".join(path.name for path in neutral) or "none"
        raise ConfigError(
            f'config: source: of the meshes in {folder} exactly one must be called "neutral" (or '
            f"...neutral); found {names}. Name the file: "
            "--config retarget='{neutral: rest.obj}'"
        )
    return neutral[0]
