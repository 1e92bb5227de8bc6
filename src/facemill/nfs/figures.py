"""The picture of NFS: expressions of one person on others, drawn and real topologies."""

from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8

from facemill.figures.layout import grid
from facemill.figures.shading import portrait_camera, shade
from facemill.mesh.frames import FACE_TO_NFS
from facemill.mesh.operators import Operators, read_operators
from facemill.mesh.surface import Mesh
from facemill.nfs.model import load_model
from facemill.nfs.neutrals import whole_operators
from facemill.nfs.people import Labelled, partners, read_people
from facemill.nfs.retarget import Clone

ROWS, SIZE, YAW = 4, 230, 20
TO_MILLIMETRES = FACE_TO_NFS.inverse()
WHITE = (255, 255, 255)


def retarget_figure(
    model_path: str | Path,
    people: str | Path,
    targets: list[str | Path],
    out: str | Path,
    rows: int = ROWS,
    size: int = SIZE,
) -> None:
    """Rows of expression units: the source, then every target moved by the network.

    The source is the first test person. Targets are the source itself, the last other test person
    and the meshes whose operators are named; the topmost row shows the neutrals.
    """
    model, _ = load_model(model_path)
    labelled = read_people(Path(people) / "people.npz")
    region = labelled.regions[-1]
    drawn = labelled.people["test"]
    names = [drawn[0], *([drawn[-1]] if len(drawn) > 1 else [])]
    meshes = [whole(labelled, name, region) for name in names]
    source = meshes[0]
    for path in targets:
        names.append(Path(path).stem)
        meshes.append(read_operators(path))
    weights = strongest_units(labelled, rows)
    frames = labelled.frames(drawn[0], weights, source.source)
    clones = [Clone(model, mesh, name) for mesh, name in zip(meshes, names, strict=True)]
    codes = clones[0].codes(frames, len(frames))
    moved = [next(clone.frames(codes, len(codes))) for clone in clones]
    columns = [(source, frames), *zip(meshes, moved, strict=True)]
    pictures = [[_neutral(mesh, size) for mesh, _ in columns]]
    pictures += [
        [face_picture(mesh, of[row], size) for mesh, of in columns] for row in range(len(frames))
    ]
    grid(
        pictures,
        out,
        row_labels=["neutral", *(spoken(labelled, row) for row in weights)],
        column_labels=["source", *(f"onto {name}" for name in names)],
        title="NFS: expressions cloned to other meshes",
        subtitle="nobody here was trained on; drawn people and a person of the data set",
    )


def whole(labelled: Labelled, person: str, region: str) -> Operators:
    """A drawn person with all the model's vertices, however coarse the meshes of training were."""
    settings = labelled.settings.operators
    return whole_operators(labelled.model, labelled.identities[person], region, settings, person)


def strongest_units(labelled: Labelled, count: int) -> Float[np.ndarray, "n e"]:
    """Weights of units that move the mean face far and unlike each other, each with its other side.

    By QR with pivots: the next one is that of which the former ones explain least.
    """
    from scipy.linalg import qr

    model = labelled.model
    rows = np.eye(len(model.units))
    rows = np.unique(np.maximum(rows, rows[partners(model.units)]), axis=0)[::-1]
    alone = [unit not in NOT_ALONE for unit in model.units]
    rows = rows[(rows @ alone) > 0]
    offsets = np.tensordot(rows, model.expression, axes=1).reshape(len(rows), -1)
    _, order = qr(offsets.T, mode="r", pivoting=True)
    return rows[np.sort(order[:count])]


def spoken(labelled: Labelled, weights: Float[np.ndarray, " e"]) -> str:
    """The names of the units that are on."""
    return "\n".join(labelled.model.units[i] for i in np.flatnonzero(weights))


def _neutral(operators: Operators, size: int) -> UInt8[np.ndarray, "r c 3"]:
    return face_picture(operators, operators.mesh.vertices, size)


def face_picture(
    operators: Operators,
    vertices: Float[np.ndarray, "v 3"],
    size: int,
    colours: UInt8[np.ndarray, "v 3"] | None = None,
) -> UInt8[np.ndarray, "r c 3"]:
    """A drawn face from a little to one side, in plain clay or in colours of its vertices."""
    camera = portrait_camera(TO_MILLIMETRES.apply(BOX), YAW, size)
    mesh = Mesh(TO_MILLIMETRES.apply(vertices), operators.faces.astype(np.int64))
    contrast = 1.0 if colours is None else 0.35
    picture = shade(
        mesh, camera, colours=colours, background=WHITE, occlusion=False, contrast=contrast
    )
    return picture[..., :3]


NOT_ALONE = ("mouthClose",)
"""Units that are no expression by themselves: ICT's and ARKit's closes the lips of an open jaw."""

BOX = np.array([[-0.7, -0.95, 0.1], [0.7, 0.9, 0.8]])
"""What the pictures show, canonical units."""
