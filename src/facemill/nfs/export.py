"""What leaves NFS: OBJ sequences, glTF with morph targets, previews."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8

from facemill.figures.animation import write_gif
from facemill.figures.layout import grid
from facemill.figures.shading import portrait_camera, shade
from facemill.files import writing
from facemill.mesh.frames import FACE_TO_NFS, Similarity
from facemill.mesh.glb import write_glb
from facemill.mesh.io import write_obj
from facemill.mesh.surface import Mesh
from facemill.nfs.user_mesh import UserMesh

TO_MILLIMETRES = FACE_TO_NFS.inverse()
BOX = np.array([[-0.8, -1.0, 0.0], [0.8, 1.0, 0.85]])
"""What previews show of a face, canonical units."""
YAW = 18
PAPER = (255, 255, 255)
PREVIEW_FRAMES = 300
"""A preview shows no more; of longer sequences it shows the first ones."""
SHEET_FRAMES = 6
"""A sheet shows no more; of longer sequences it shows some, evenly."""


def write_sequence(
    folder: str | Path, mesh: Mesh, frames: Float[np.ndarray, "n v 3"], names: Sequence[str]
) -> None:
    """Write ``<name>.obj`` for every frame, faces and texture coordinates the mesh's own.

    The folder appears whole.
    """
    with writing(folder) as part:
        part.mkdir(parents=True)
        for name, vertices in zip(names, frames, strict=True):
            write_obj(part / f"{name}.obj", Mesh(vertices, mesh.faces, mesh.uv, mesh.faces_uv))


def write_frames_glb(
    path: str | Path,
    mesh: Mesh,
    frames: Float[np.ndarray, "n v 3"],
    names: Sequence[str],
    fps: float,
) -> None:
    """Write a sequence as one GLB: a morph target for each frame, shown one after the other."""
    offsets = {
        name: frame.astype(np.float64) - mesh.vertices
        for name, frame in zip(names, frames, strict=True)
    }
    write_glb(path, mesh, offsets, np.eye(len(frames)), fps)


def write_rig_glb(
    path: str | Path,
    target: UserMesh,
    units: Sequence[str],
    offsets: Float[np.ndarray, "e v 3"],
    weights: Float[np.ndarray, "n e"] | None = None,
    fps: float = 30.0,
) -> None:
    """Write a mesh file with a morph target for each unit, and weights over time if given.

    ``offsets`` are those of :func:`facemill.nfs.rig.unit_offsets`. Morph targets add up while the
    network does not: where several units meet, the decoded frames are nearer to what it means.
    """
    still = target.operators.vertices.astype(np.float64)
    moved = target.restored(still + offsets) - target.mesh.vertices
    write_glb(path, target.mesh, dict(zip(units, moved, strict=True)), weights, fps)


def write_preview(
    path: str | Path,
    mesh: Mesh,
    placed: Similarity,
    frames: Float[np.ndarray, "n v 3"],
    fps: float,
    size: int,
) -> None:
    """Write a GIF of a sequence, the face from a little to one side, always from the same place."""
    write_gif(path, [portrait(mesh, placed, one, size) for one in frames[:PREVIEW_FRAMES]], fps)


def write_sheet(
    path: str | Path,
    rows: Mapping[str, tuple[UserMesh, Sequence[Float[np.ndarray, "_ 3"]]]],
    names: Sequence[str],
    size: int,
) -> None:
    """Write one picture (PNG) of some frames side by side, behind each mesh's neutral.

    ``rows`` holds by name a mesh and its frames, in its file's own frame; ``names`` are those of
    the frames.
    """
    pictures = [
        [portrait(of.mesh, of.operators.placed, one, size) for one in (of.mesh.vertices, *frames)]
        for of, frames in rows.values()
    ]
    grid(pictures, path, row_labels=list(rows), column_labels=["neutral", *names])


def spread(count: int) -> list[int]:
    """Numbers of the frames on a sheet: all if they are few, else evenly from first to last."""
    return [round(at) for at in np.linspace(0, count - 1, min(count, SHEET_FRAMES))]


def portrait(
    mesh: Mesh,
    placed: Similarity,
    vertices: Float[np.ndarray, "v 3"],
    size: int,
    colours: UInt8[np.ndarray, "v 3"] | None = None,
    yaw: float = YAW,
    box: Float[np.ndarray, "2 3"] = BOX,
) -> UInt8[np.ndarray, "r c 3"]:
    """A picture of a face whose file's frame ``placed`` leads to the canonical one.

    ``box`` are the corners of what is to be seen, canonical units.
    """
    camera = portrait_camera(TO_MILLIMETRES.apply(box), yaw, size, height=round(1.2 * size))
    shown = Mesh(TO_MILLIMETRES.apply(placed.apply(vertices)), mesh.faces)
    picture = shade(shown, camera, colours=colours, background=PAPER, occlusion=False)
    return picture[..., :3]
