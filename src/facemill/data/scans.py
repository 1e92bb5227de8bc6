"""Reading one scan of the tree: mesh, landmarks and texture, refused if it cannot be a face."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from facemill.data.topology import Topology, choose_topology
from facemill.data.tree import mesh_path
from facemill.errors import DataError, GeometryError
from facemill.files import require_file
from facemill.mesh.io import find_texture, read_mesh
from facemill.mesh.surface import Mesh

LANDMARKS_SUFFIX = ".landmarks.txt"
BESIDE = "landmarks beside the mesh"
"""Topology name of a scan whose landmarks come from a file of its own."""

NOSE_TIP, CHIN = 30, 8
OUTER_EYE_CORNERS = (36, 45)
BROWS = slice(17, 27)
EYE_DISTANCE = (60.0, 130.0)
"""Between outer eye corners, mm: adults have 75 to 105; children and wide margins included."""

UNITS = {"metres": 1000.0, "decimetres": 100.0, "centimetres": 10.0, "inches": 25.4,
         "tenths of a millimetre": 0.1, "micrometres": 0.001}  # fmt: skip


class MissingScan(DataError):
    """The expression has no mesh; it is skipped with a line instead of counted as failed."""


@dataclass(frozen=True)
class Scan:
    """One scan in its file's own frame and unit.

    ``landmarks`` are the 68 iBUG points in that same frame; ``topology`` names where they come
    from; ``texture`` is the image's path, or None.
    """

    mesh: Mesh
    landmarks: Float[np.ndarray, "68 3"]
    topology: str
    texture: Path | None


def read_scan(
    person_folder: str | Path,
    expression: str,
    topologies: Sequence[Topology],
    millimetres_per_unit: float = 1.0,
) -> Scan:
    """Read a scan and check that it looks like an upright face of human size.

    Landmarks come from ``<n>_<expression>.landmarks.txt`` beside the mesh where that is, else from
    the topology with the mesh's vertex count. Raises MissingScan where there is no mesh; DataError
    or GeometryError naming the file where it is broken, of unknown topology, of a scale off by the
    usual factors, upside down, mirrored or back to front.
    """
    path = mesh_path(person_folder, expression)
    if path is None:
        raise MissingScan(
            f"{Path(person_folder) / expression}.obj: no such scan, neither there nor in "
            "models_reg/; it is left out."
        )
    mesh = read_mesh(path)
    beside = path.with_name(path.stem + LANDMARKS_SUFFIX)
    if beside.is_file():
        landmarks, name = read_landmarks(beside), BESIDE
    else:
        topology = choose_topology(topologies, len(mesh.vertices), str(path))
        if topology.faces is not None and len(topology.faces) != len(mesh.faces):
            raise DataError(
                f"{path}: {len(mesh.faces)} triangles, but topology {topology.name} has "
                f"{len(topology.faces)}; the file was cut short or edited. Fetch it again."
            )
        landmarks, name = mesh.vertices[topology.landmarks], topology.name
    check_face(landmarks, millimetres_per_unit, str(path))
    return Scan(mesh, landmarks, name, find_texture(path))


def read_landmarks(path: str | Path) -> Float[np.ndarray, "68 3"]:
    """The 68 landmarks of a text file, one `x y z` a line, in the mesh's own frame and unit."""
    path = require_file(path, "Expected 68 lines 'x y z'.")
    rows = [line.split() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    if len(rows) != 68 or any(len(row) != 3 for row in rows):
        raise DataError(
            f"{path}: {len(rows)} points of {len(rows[0]) if rows else 0} numbers, expected the 68 "
            "iBUG landmarks as lines 'x y z'."
        )
    try:
        points = np.array(rows, np.float64)
    except ValueError as error:
        raise DataError(f"{path}: a landmark is not made of numbers ({error}).") from None
    if not np.isfinite(points).all():
        raise DataError(f"{path}: a landmark is not a finite number. Pick it again.")
    return points


def write_landmarks(path: str | Path, landmarks: Float[np.ndarray, "68 3"]) -> None:
    """Write the 68 landmarks as lines `x y z`."""
    from facemill.files import writing

    with writing(path) as part:
        part.write_text("".join(f"{x:.6f} {y:.6f} {z:.6f}\n" for x, y, z in landmarks))


def check_face(
    landmarks: Float[np.ndarray, "68 3"],
    millimetres_per_unit: float,
    name: str,
    unit_key: str | None = "facescape.millimetres_per_unit",
) -> None:
    """Raise a GeometryError where landmarks are not those of an upright face of human size.

    The face must look along +z with +y up and its left side at +x (frame of FaceScape's TU
    models). ``unit_key`` is the config key that mends a wrong unit, or None where there is none.
    """
    right, left = (landmarks[number] for number in OUTER_EYE_CORNERS)
    distance = float(np.linalg.norm(left - right))
    in_mm = distance * millimetres_per_unit
    low, high = EYE_DISTANCE
    if not low <= in_mm <= high:
        fits = [
            f"the file seems to be in {unit}: set {unit_key} to {factor * millimetres_per_unit:g}"
            for unit, factor in UNITS.items()
            if unit_key and low <= in_mm * factor <= high
        ]
        advice = fits[0] if fits else "check the unit and that the landmarks belong to this mesh"
        raise GeometryError(
            f"{name}: the outer eye corners are {in_mm:.4g} mm apart, expected {low:g} to "
            f"{high:g} mm; {advice}."
        )
    least = 0.2 * distance
    eyes = 0.5 * (left + right)
    if (landmarks[BROWS, 1].mean() - landmarks[CHIN, 1]) < least:
        raise GeometryError(
            f"{name}: the brows are not above the chin; the head is upside down or lies on its "
            "side, or the landmarks belong to another mesh. Turn it upright: +y up, +z out of the "
            "face. The align step does so for a folder of meshes."
        )
    if landmarks[NOSE_TIP, 2] - eyes[2] < 0.05 * distance:
        raise GeometryError(
            f"{name}: the nose tip does not lie in front of the eyes; the head looks backwards or "
            "sideways, or the landmarks belong to another mesh. Turn it to look along +z."
        )
    if left[0] - right[0] < least:
        raise GeometryError(
            f"{name}: the subject's left eye is not at +x of the right one; the mesh is mirrored, "
            "or the landmarks have left and right exchanged (point 36 is the subject's right)."
        )
