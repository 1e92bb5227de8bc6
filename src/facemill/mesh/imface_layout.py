"""ImFace's own file layout, written from packs and read back.

A folder per person, numbers k from the expression names, lengths in units of 100 mm:

    <k>_surf_pcl.npy  float32 (n, 3)   points on the sheet
    <k>_surf_nor.npy  float64 (n, 3)   their unit normals, z not negative
    <k>_free_pcl.npy  float32 (m, 3)   points in the unit ball
    <k>_free_sdf.npy  float32 (m,)     signed distance, positive in front
    <k>_free_grd.npy  float64 (m, 3)   its unit gradient
    <k>.bnd           68 lines `x y z` landmarks
    <k>.obj                            the sheet

``FacescapeNormal.bnd`` beside the people's folders holds the template landmarks.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Float32

from facemill.data.expressions import NEUTRAL
from facemill.data.packs import FacePack, SamplePack
from facemill.data.scans import read_landmarks
from facemill.errors import DataError
from facemill.files import open_npy, write_npy, writing
from facemill.mesh.frames import FACE_TO_IMFACE
from facemill.mesh.io import read_mesh, write_obj
from facemill.mesh.surface import Mesh

TEMPLATE = "FacescapeNormal.bnd"
AGAIN = "Run imface_layout again."
FREE = ("free_pcl", "free_sdf", "free_grd")


@dataclass(frozen=True)
class ImFaceScan:
    """One scan of the layout, back in the face frame, mm."""

    surface_points: Float[np.ndarray, "n 3"]
    surface_normals: Float[np.ndarray, "n 3"]
    free_points: Float[np.ndarray, "m 3"]
    free_sdf: Float[np.ndarray, " m"]
    free_gradients: Float[np.ndarray, "m 3"]
    landmarks: Float[np.ndarray, "68 3"]
    sheet: Mesh


def export_person(faces: str | Path, samples: str | Path, person: str, out: str | Path) -> None:
    """Write one person's folder from face pack and sample pack; it appears whole or not at all."""
    face_pack, sample_pack = FacePack(faces), SamplePack(samples)
    strange = set(sample_pack.expressions) - set(face_pack.expressions)
    if strange:
        raise DataError(
            f"{samples}: holds {', '.join(sorted(strange))} of {person}, which {faces} does not. "
            "The two are not of one run: delete both to have them made again."
        )
    with writing(out) as folder:
        folder.mkdir()
        for expression in sample_pack.expressions:
            _write_scan(folder, expression_number(expression), sample_pack.scan(expression))
            number = expression_number(expression)
            landmarks = FACE_TO_IMFACE.apply(face_pack.landmarks(expression))
            write_bnd(folder / f"{number}.bnd", landmarks)
            sheet = face_pack.sheet(expression)
            in_units = Mesh(FACE_TO_IMFACE.apply(sheet.vertices), sheet.faces)
            write_obj(folder / f"{number}.obj", in_units)


def _write_scan(folder: Path, number: int, rows: Float32[np.ndarray, "rows 7"]) -> None:
    on = rows[:, 6] == 0
    points = FACE_TO_IMFACE.apply(rows[:, :3]).astype(np.float32)
    directions = FACE_TO_IMFACE.apply_to_normals(rows[:, 3:6])
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    write_npy(folder / f"{number}_surf_pcl.npy", points[on])
    write_npy(folder / f"{number}_surf_nor.npy", directions[on])
    write_npy(folder / f"{number}_free_pcl.npy", points[~on])
    distance = rows[~on, 6].astype(np.float64) * FACE_TO_IMFACE.scale
    write_npy(folder / f"{number}_free_sdf.npy", distance.astype(np.float32))
    write_npy(folder / f"{number}_free_grd.npy", directions[~on])


def read_person(folder: str | Path) -> dict[int, ImFaceScan]:
    """Read a person's folder of the layout, ours or ImFace's; scans by expression number."""
    folder = Path(folder)
    numbers = sorted(int(path.stem) for path in folder.glob("*.bnd") if path.stem.isdecimal())
    if not numbers:
        raise DataError(f"{folder}: no <number>.bnd; this is no person of ImFace's layout.")
    return {number: _read_scan(folder, number) for number in numbers}


def _read_scan(folder: Path, number: int) -> ImFaceScan:
    back = FACE_TO_IMFACE.inverse()

    def array(name: str, columns: tuple[int, ...]) -> np.ndarray:
        path = folder / f"{number}_{name}.npy"
        values = open_npy(path, AGAIN)
        if values.ndim != 1 + len(columns) or values.shape[1:] != columns:
            raise DataError(f"{path}: shape {values.shape}, expected (n, *{columns}). {AGAIN}")
        return np.asarray(values, np.float64)

    arrays = {
        name: array(name, () if name == "free_sdf" else (3,))
        for name in ("surf_pcl", "surf_nor", "free_pcl", "free_sdf", "free_grd")
    }
    rows = {name: len(values) for name, values in arrays.items()}
    if len({rows["surf_pcl"], rows["surf_nor"]}) + len({rows[n] for n in FREE}) > 2:
        raise DataError(f"{folder}: arrays of scan {number} are not equally long: {rows}. {AGAIN}")
    sheet = read_mesh(folder / f"{number}.obj")
    return ImFaceScan(
        surface_points=back.apply(arrays["surf_pcl"]),
        surface_normals=back.apply_to_normals(arrays["surf_nor"]),
        free_points=back.apply(arrays["free_pcl"]),
        free_sdf=arrays["free_sdf"] * back.scale,
        free_gradients=back.apply_to_normals(arrays["free_grd"]),
        landmarks=back.apply(read_landmarks(folder / f"{number}.bnd")),
        sheet=Mesh(back.apply(sheet.vertices), sheet.faces),
    )


def write_template(path: str | Path, face_packs: Iterable[str | Path]) -> None:
    """Write the template landmarks: the mean of the neutral scans' (the training people's)."""
    neutrals = [
        pack.landmarks(NEUTRAL) for pack in map(FacePack, face_packs) if NEUTRAL in pack.expressions
    ]
    if not neutrals:
        raise DataError(f"{path}: no face pack with {NEUTRAL}; the template is a mean of neutrals.")
    write_bnd(path, FACE_TO_IMFACE.apply(np.mean(neutrals, axis=0, dtype=np.float64)))


def write_bnd(path: str | Path, landmarks: Float[np.ndarray, "68 3"]) -> None:
    """Write 68 landmarks as lines `x y z`, in the units they are given in."""
    with writing(path) as part:
        part.write_text("".join(f"{x:.9f} {y:.9f} {z:.9f}\n" for x, y, z in landmarks.tolist()))


def expression_number(expression: str) -> int:
    """k of ``<k>_<name>``."""
    number = expression.split("_")[0]
    if not number.isdecimal():
        raise DataError(
            f"{expression}: ImFace's layout numbers expressions, so their names must begin with "
            "a number, as in 1_neutral."
        )
    return int(number)
