"""Meshes that are moved in tests: a drawn person's file with waste in it, and its operators."""

from pathlib import Path

import numpy as np

from facemill.mesh.frames import FACE_TO_NFS, Similarity
from facemill.mesh.io import write_obj
from facemill.mesh.operators import OperatorSettings
from facemill.mesh.operators_build import build_operators
from facemill.mesh.surface import Mesh
from facemill.nfs.user_mesh import user_mesh

HEADER = (
    "Timecode,BlendShapeCount,EyeBlinkLeft,EyeLookDownLeft,EyeLookInLeft,EyeLookOutLeft,"
    "EyeLookUpLeft,EyeSquintLeft,EyeWideLeft,EyeBlinkRight,EyeLookDownRight,EyeLookInRight,"
    "EyeLookOutRight,EyeLookUpRight,EyeSquintRight,EyeWideRight,JawForward,JawRight,JawLeft,"
    "JawOpen,MouthClose,MouthFunnel,MouthPucker,MouthRight,MouthLeft,MouthSmileLeft,"
    "MouthSmileRight,MouthFrownLeft,MouthFrownRight,MouthDimpleLeft,MouthDimpleRight,"
    "MouthStretchLeft,MouthStretchRight,MouthRollLower,MouthRollUpper,MouthShrugLower,"
    "MouthShrugUpper,MouthPressLeft,MouthPressRight,MouthLowerDownLeft,MouthLowerDownRight,"
    "MouthUpperUpLeft,MouthUpperUpRight,BrowDownLeft,BrowDownRight,BrowInnerUp,BrowOuterUpLeft,"
    "BrowOuterUpRight,CheekPuff,CheekSquintLeft,CheekSquintRight,NoseSneerLeft,NoseSneerRight,"
    "TongueOut,HeadYaw,HeadPitch,HeadRoll,LeftEyeYaw,LeftEyePitch,LeftEyeRoll,RightEyeYaw,"
    "RightEyePitch,RightEyeRoll"
)
"""Of a table that Live Link Face writes."""

LIVE_LINK = HEADER.split(",")


def ict_units() -> tuple[str, ...]:
    """The ICT model's 53 units, which are ARKit's without the tongue and with two of them split."""
    units = []
    for column in LIVE_LINK[2 : LIVE_LINK.index("TongueOut")]:
        name = column[0].lower() + column[1:]
        whole = name in ("jawLeft", "jawRight", "mouthLeft", "mouthRight")
        if name in ("browInnerUp", "cheekPuff"):
            units += [f"{name}_L", f"{name}_R"]
        elif not whole and name.endswith(("Left", "Right")):
            side = "Left" if name.endswith("Left") else "Right"
            units.append(f"{name.removesuffix(side)}_{side[0]}")
        else:
            units.append(name)
    return tuple(units)


def live_link_take(path: Path, rows: list[dict[str, float]]) -> Path:
    """Write a table as the app does, a row for each frame; what a row does not name is 0."""
    lines = [",".join(LIVE_LINK)]
    for number, row in enumerate(rows):
        values = (f"{row.get(name, 0.0):.9f}" for name in LIVE_LINK[2:])
        lines.append(f"12:00:00:{number:02d}.120,{len(LIVE_LINK) - 2}," + ",".join(values))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


SETTINGS = OperatorSettings(eigenfunctions=16, picture_size=16)
TO_FILE = FACE_TO_NFS.inverse()


def face_of(model, identity=(0.5, -0.5, 0.3), unit: int | None = None) -> Mesh:
    """A drawn person's narrow face in millimetres, neutral or in one unit; unused vertices stay."""
    weights = np.zeros(len(model.units))
    if unit is not None:
        weights[unit] = 1.0
    vertices = TO_FILE.apply(model.vertices(np.array(identity), weights))
    return Mesh(vertices, model.region_faces("narrow")[1])


def with_operators(mesh: Mesh, name: str = "mesh.obj", placed: Similarity = FACE_TO_NFS):
    """A mesh in memory with its operators, as a file would be read."""
    operators = build_operators(mesh, SETTINGS, name, placed)
    return user_mesh(mesh, operators, name, f"{name}.npz")


def written(folder: Path, meshes: dict[str, Mesh]) -> list[Path]:
    """Write meshes as OBJ files by name; their paths in that order."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, mesh in meshes.items():
        write_obj(folder / f"{name}.obj", mesh)
    return [folder / f"{name}.obj" for name in meshes]
