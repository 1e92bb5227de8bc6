"""The tree of scans that all sources share, listed without opening a mesh.

    <tree>/<person>/[models_reg/]<n>_<expression>.obj

Listing reads one folder for all people and one or two per person, so that a thousand people on a
network disk are listed in seconds.
"""

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from facemill.errors import DataError

MESH_FOLDER = "models_reg"
IMAGE_SUFFIXES = (".jpg", ".png", ".jpeg")


@dataclass(frozen=True)
class ScanFiles:
    """Files of one scan, as paths relative to the person's folder."""

    mesh: str
    texture: str | None


def natural(name: str) -> tuple:
    """Sorting key that reads numbers as numbers: 2 comes before 10, d009 before d010."""
    parts = re.split(r"(\d+)", name)
    return (
        tuple((0, int(p), "") if p.isdecimal() else (1, 0, p) for p in parts if p),
        name,
    )


def in_order(names: Iterable[str]) -> list[str]:
    """Names without repetition, numbers sorted as numbers."""
    return sorted(set(names), key=natural)


def people_in(root: str | Path, key: str) -> list[str]:
    """Folders below ``root`` in numerical order; ``key`` is the config key that named it."""
    root = Path(root)
    try:
        with os.scandir(root) as entries:
            names = [e.name for e in entries if e.is_dir() and not e.name.startswith(".")]
    except OSError as error:
        raise DataError(
            f"{root}: cannot be listed ({error.strerror}); the key '{key}' names this folder. "
            "It must hold one folder per person."
        ) from None
    if not names:
        raise DataError(f"{root}: holds no folder of a person; the key '{key}' names it.")
    return in_order(names)


def mesh_path(person_folder: str | Path, expression: str) -> Path | None:
    """The OBJ of one scan in either naming, or None."""
    folder = Path(person_folder)
    candidates = (folder / MESH_FOLDER, folder)
    paths = (candidate / f"{expression}.obj" for candidate in candidates)
    return next((path for path in paths if path.is_file()), None)


def scans_in(person_folder: str | Path) -> dict[str, ScanFiles]:
    """All scans of a person by expression name; empty where the folder is absent.

    A texture is the image of the mesh's name, else the one that the material file names.
    """
    folder = Path(person_folder)
    for inner in (MESH_FOLDER, ""):
        try:
            with os.scandir(folder / inner) as entries:
                files = {entry.name for entry in entries}
        except OSError:
            continue
        scans = {name[:-4] for name in files if name.endswith(".obj")}
        if scans:
            return {
                scan: ScanFiles(
                    mesh=_joined(inner, f"{scan}.obj"),
                    texture=_texture(folder / inner, scan, files, inner),
                )
                for scan in in_order(scans)
            }
    return {}


def _joined(inner: str, name: str) -> str:
    return f"{inner}/{name}" if inner else name


def _texture(folder: Path, scan: str, files: set[str], inner: str) -> str | None:
    for suffix in IMAGE_SUFFIXES:
        if scan + suffix in files:
            return _joined(inner, scan + suffix)
    for material in (f"{scan}.obj.mtl", f"{scan}.mtl"):
        if material in files:
            named = material_texture(folder / material)
            if named is not None and named in files:
                return _joined(inner, named)
    return None


def material_texture(path: Path) -> str | None:
    """File name of the colour map (``map_Kd``) in a material file, without its folder.

    Folders are dropped because they are mostly those of the machine that wrote the file.
    """
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        key, _, value = line.strip().partition(" ")
        if key == "map_Kd" and value.strip():
            return value.strip().replace("\\", "/").rsplit("/", 1)[-1]
    return None
