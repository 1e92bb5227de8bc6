"""Any folder of meshes as a source: who is in it, where the landmarks are, and the aligned tree.

    <folder>/<person>.<obj|ply|stl|glb>                    one neutral scan a person
    <folder>/<person>/<n>_<expression>.<obj|ply|stl|glb>   several expressions a person

Listing opens no mesh. Vertex order is kept, so that the expressions of a person stay in
correspondence if they came so.
"""

import logging
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from facemill.data.expressions import NEUTRAL
from facemill.data.tree import in_order
from facemill.errors import DataError

log = logging.getLogger(__name__)

SUFFIXES = (".obj", ".ply", ".glb", ".stl")
"""Mesh files in the order of preference where one name has several."""
SCAN_NAME = re.compile(r"\d+_\w+")


def _entries(folder: Path) -> tuple[list[str], list[str]]:
    """Names of the mesh files and of the folders in a folder."""
    with os.scandir(folder) as entries:
        seen = [(entry.name, entry.is_dir()) for entry in entries if entry.name[0] != "."]
    meshes = [name for name, is_folder in seen if not is_folder and _is_mesh(name)]
    return meshes, [name for name, is_folder in seen if is_folder]


def _is_mesh(name: str) -> bool:
    return os.path.splitext(name)[1].lower() in SUFFIXES


def _expressions_of(person_folder: Path) -> set[str]:
    meshes, _ = _entries(person_folder)
    return {stem for stem in (os.path.splitext(m)[0] for m in meshes) if SCAN_NAME.fullmatch(stem)}


def people_in_folder(folder: str | Path) -> list[str]:
    """Names of mesh files and of folders that hold named scans, numbers sorted as numbers."""
    folder = Path(folder)
    meshes, folders = _entries(folder)
    people = [os.path.splitext(name)[0] for name in meshes]
    people += [name for name in folders if _expressions_of(folder / name)]
    if not people:
        raise DataError(
            f"{folder}: holds neither meshes <person>{{{','.join(SUFFIXES)}}} nor folders "
            "<person>/ with meshes named <n>_<expression>, such as 1_neutral.obj."
        )
    return in_order(people)


def expressions_in_folder(folder: str | Path) -> list[str]:
    """All expressions somebody in the folder has; a mesh file by itself counts as 1_neutral."""
    folder = Path(folder)
    meshes, folders = _entries(folder)
    found = {NEUTRAL} if meshes else set()
    for name in folders:
        found |= _expressions_of(folder / name)
    return in_order(found)


def source_mesh(folder: str | Path, person: str, expression: str) -> Path | None:
    """The user's file of one scan, or None."""
    folder = Path(folder)
    stems = [folder / person / expression]
    if expression == NEUTRAL:
        stems.append(folder / person)
    for stem in stems:
        for suffix in (*SUFFIXES, *(suffix.upper() for suffix in SUFFIXES)):
            path = stem.with_name(stem.name + suffix)
            if path.is_file():
                return path
    return None


def landmark_file(mesh: Path, person: str, named: str | None) -> Path:
    """The landmark file of a mesh: beside it, else in the place that the config names."""
    beside = mesh.with_name(mesh.stem + ".landmarks.txt")
    tried = [beside]
    if named:
        folder = Path(named)
        tried += [
            folder / person / f"{mesh.stem}.landmarks.txt",
            folder / f"{mesh.stem}.landmarks.txt",
            folder,
        ]
    for path in tried:
        if path.is_file():
            return path
    raise DataError(
        f"{mesh}: no landmarks; looked for {', '.join(map(str, tried))}. Expected 68 lines "
        "'x y z', or at least five picked points as lines 'number x y z' with their iBUG "
        "numbers, such as 30 (nose tip), 36 and 45 (outer eye corners), 48 and 54 "
        "(mouth corners), 8 (chin)."
    )


def write_person(
    folder: str | Path,
    person: str,
    expressions: Sequence[str],
    settings: Mapping[str, Any],
    out: str | Path,
) -> None:
    """Align all scans of a person onto the reference head and write them into ``out``.

    Writes ``<n>_<expression>.obj`` in millimetres, ``.landmarks.txt`` with all 68 landmarks, and
    the texture where there is one. The residual of each alignment is logged; one above
    ``folder.max_residual`` raises GeometryError. Somebody without any scan is a DataError.
    """
    from facemill.data.align import align_scan, reference_head
    from facemill.data.scans import LANDMARKS_SUFFIX, write_landmarks
    from facemill.mesh.io import find_texture, write_obj

    own = settings.get("folder", {})
    reference = reference_head(settings)
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    written = 0
    for expression in expressions:
        mesh_file = source_mesh(folder, person, expression)
        if mesh_file is None:
            log.info("%s %s: no such scan; left out", person, expression)
            continue
        points = landmark_file(mesh_file, person, own.get("landmarks"))
        aligned = align_scan(
            mesh_file,
            points,
            reference,
            neutral=expression == NEUTRAL,
            max_residual=float(own.get("max_residual", 5.0)),
        )
        texture = find_texture(mesh_file)
        image = None
        if texture is not None and aligned.mesh.uv is not None:
            image = expression + texture.suffix.lower()
            shutil.copyfile(texture, out / image)
        write_obj(out / f"{expression}.obj", aligned.mesh, image)
        write_landmarks(out / f"{expression}{LANDMARKS_SUFFIX}", aligned.landmarks)
        written += 1
    if not written:
        raise DataError(
            f"{Path(folder) / person}: none of {', '.join(expressions)} is there. Take {person} "
            "out of 'people' or add the meshes."
        )
