"""Meshes that are moved in tests: a drawn person's file with waste in it, and its operators."""

from pathlib import Path

import numpy as np

from facemill.mesh.frames import FACE_TO_NFS, Similarity
from facemill.mesh.io import write_obj
from facemill.mesh.operators import OperatorSettings
from facemill.mesh.operators_build import build_operators
from facemill.mesh.surface import Mesh
from facemill.nfs.user_mesh import user_mesh

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
