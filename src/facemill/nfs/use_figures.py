"""Pictures of what NFS is used for: all units one by one, and the segments that it sees."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int, UInt8

from facemill.errors import ConfigError
from facemill.figures.layout import grid
from facemill.figures.shading import CLAY
from facemill.mesh.frames import FACE_TO_NFS, Similarity
from facemill.mesh.operators import Operators, read_operators
from facemill.nfs.export import portrait
from facemill.nfs.figures import whole
from facemill.nfs.people import read_people
from facemill.nfs.retarget import Clone
from facemill.nfs.rig import unit_offsets
from facemill.nfs.segments import SEGMENTS
from facemill.nfs.uses import trained
from facemill.render.pixels import eight_bit

LARGEST = np.array([[-0.9, -1.05, -0.3], [0.9, 1.05, 0.9]])
"""What is shown of a mesh at most, canonical units."""
MILLIMETRES = 1.0 / FACE_TO_NFS.scale
MOVED = np.array([196, 74, 50], np.float64)
"""The colour of what a unit moves most (sRGB)."""
FULL = 8.0
"""mm at which a vertex has that colour whole."""
COLUMNS = 8
YAWS = (-35.0, 15.0)
HUES = {
    "eye_right": 0, "eye_left": 1, "temple_right": 8, "temple_left": 9, "levator_right": 4,
    "levator_left": 5, "masseter_right": 10, "masseter_left": 11, "ear_right": 12, "ear_left": 13,
    "forehead": 3, "nose": 2, "procerus": 18, "lips": 6, "mouth_ring": 7, "jaw": 16,
    "platysma": 17, "back_of_head": 14, "back_neck": 15, "clavicle": 19,
}  # fmt: skip
"""Numbers of matplotlib's tab20."""


def rig_sheet(model_path: str | Path, people: str | Path, out: str | Path, size: int = 220) -> None:
    """Every unit alone at weight 1 on a drawn person nobody trained on, named.

    Redder skin has moved further. The first picture is the neutral.
    """
    model, units = trained(model_path)
    labelled = read_people(Path(people) / "people.npz")
    person = whole(labelled, labelled.people["test"][0], labelled.regions[-1])
    clone = Clone(model, person, labelled.people["test"][0])
    still = person.vertices.astype(np.float64)
    offsets = unit_offsets(clone, len(units))
    box = box_of(still, offsets)
    pictures, captions = [_face(person, still, size, box=box)], ["neutral"]
    for unit, offset in zip(units, offsets, strict=True):
        colours = moved_colours(offset)
        pictures.append(_face(person, still + offset, size, colours, box=box))
        captions.append(unit)
    rows = range(0, len(pictures), COLUMNS)
    grid(
        [pictures[n : n + COLUMNS] for n in rows],
        out,
        captions=[captions[n : n + COLUMNS] for n in rows],
        title=f"NFS: {len(units)} units, one at a time",
        subtitle=f"weight 1 on a person nobody trained on; red skin moves {FULL:g} mm and more",
    )


def moved_colours(offset: Float[np.ndarray, "v 3"]) -> UInt8[np.ndarray, "v 3"]:
    """Clay where nothing moves, red from :data:`FULL` mm on."""
    share = np.minimum(MILLIMETRES * np.linalg.norm(offset, axis=1) / FULL, 1.0)[:, None]
    return np.round((1 - share) * CLAY + share * MOVED).astype(np.uint8)


def segments_figure(
    model_path: str | Path,
    people: str | Path,
    meshes: Sequence[str | Path],
    out: str | Path,
    size: int = 260,
) -> None:
    """Segments that the skinning encoder tells apart on meshes nobody trained on.

    Columns: the segments as derived on a drawn person, what the network says of that person, of
    the coarser mesh of the same person if there is one, and of meshes whose operators are named.
    Raises ConfigError for the design nfr, which has no skinning.
    """
    model, _ = trained(model_path)
    if not model.config.has_skinning:
        raise ConfigError(
            f"{model_path}: design nfr has no skinning features to show; put a variant of another "
            "design first in nfs.variants."
        )
    labelled = read_people(Path(people) / "people.npz")
    name, region = labelled.people["test"][0], labelled.regions[-1]
    person = whole(labelled, name, region)
    true = labelled.labels[person.source]
    columns: list[tuple[Operators, Int[np.ndarray, " v"], str, str]] = [
        (person, true, "derived", "by geodesics")
    ]
    drawn = [(person, name)]
    if labelled.settings.data.vertices is not None:
        coarse = read_operators(Path(people) / f"{name}-{region}.npz")
        drawn.append((coarse, f"{name}, {len(coarse.vertices)} vertices"))
    for operators, title in drawn:
        found = predicted_segments(Clone(model, operators, title))
        right = float((found == labelled.labels[operators.source]).mean())
        columns.append((operators, found, title, f"{right:.0%} as derived"))
    for path in meshes:
        operators = read_operators(path)
        found = predicted_segments(Clone(model, operators, str(path)))
        columns.append((operators, found, Path(path).stem, f"{len(found)} vertices"))
    colours = segment_colours()
    grid(
        [
            [
                _face(operators, operators.vertices.astype(np.float64), size, colours[label], yaw)
                for operators, label, _, _ in columns
            ]
            for yaw in YAWS
        ],
        out,
        column_labels=[title for _, _, title, _ in columns],
        captions=[[""] * len(columns)] * (len(YAWS) - 1) + [[about for *_, about in columns]],
        title="NFS: skinning segments on meshes nobody trained on",
        subtitle="the strongest of a vertex's skinning features; colours are the 20 segments",
    )


def predicted_segments(clone: Clone) -> Int[np.ndarray, " v"]:
    """The strongest skinning feature of every vertex of a mesh, as a number in SEGMENTS."""
    logits = clone.target.logits
    if logits is None:
        raise ConfigError("design nfr has no skinning features")
    return logits[:, : len(SEGMENTS)].argmax(dim=1).numpy()


def segment_colours() -> UInt8[np.ndarray, "20 3"]:
    """One colour for each segment; both sides of a pair have one hue, the left one is lighter."""
    from matplotlib import colormaps

    table = np.array(colormaps["tab20"].colors)
    return eight_bit(table[[HUES[name] for name in SEGMENTS]])


def box_of(
    still: Float[np.ndarray, "v 3"], offsets: Float[np.ndarray, "e v 3"]
) -> Float[np.ndarray, "2 3"]:
    """Two corners within which the face stays, whatever moves it; canonical units.

    What lies outside :data:`LARGEST` at rest is not looked after.
    """
    inside = ((still >= LARGEST[0]) & (still <= LARGEST[1])).all(axis=1)
    reached = np.concatenate([still[None], still + offsets])[:, inside]
    return np.stack([reached.min(axis=(0, 1)), reached.max(axis=(0, 1))])


def _face(
    operators: Operators,
    vertices: Float[np.ndarray, "v 3"],
    size: int,
    colours: UInt8[np.ndarray, "v 3"] | None = None,
    yaw: float = 15.0,
    box: Float[np.ndarray, "2 3"] | None = None,
) -> UInt8[np.ndarray, "r c 3"]:
    still = operators.vertices.astype(np.float64)
    if box is None:
        box = np.clip([still.min(axis=0), still.max(axis=0)], *LARGEST)
    return portrait(operators.mesh, Similarity(), vertices, size, colours, yaw, box)
