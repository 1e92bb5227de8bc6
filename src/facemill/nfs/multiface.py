"""A person of Multiface as an unlabelled one: frames of their takes in the face frame."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from facemill.data.blendshapes import read_blendshapes
from facemill.data.canonical import to_canonical
from facemill.data.expressions import NEUTRAL
from facemill.data.multiface import MultifaceSettings, read_tracked
from facemill.data.packs import write_scan_pack
from facemill.mesh.frames import FACE_TO_NFS
from facemill.mesh.surface import Mesh
from facemill.nfs.operators import mean_face
from facemill.training.settings import from_settings


def nfs_multiface(
    person: str | Path,
    people: str | Path,
    settings: Mapping[str, Any],
    max_residual: float,
    out: str | Path,
) -> None:
    """Write a person's frames in the form of a face pack, without landmarks.

    ``person`` is the entity's folder, ``people`` the file that holds the mean face. No landmarks
    are published for this topology: the mean face is looked for in the neutral, whose size is known
    (mm), and all frames move with it. GeometryError where the neutral then lies more than
    ``max_residual`` mm (rms) from it.
    """
    tracked = read_tracked(person, from_settings(MultifaceSettings, settings, "multiface"))
    name = Path(person).name
    placed, _ = to_canonical(
        Mesh(tracked.frames[NEUTRAL], tracked.faces),
        {},
        mean_face(read_blendshapes(people)),
        max_residual,
        name,
        with_scale=False,
        way_out="Raise it for an unusual head, or leave this person out of 'people'.",
    )
    to_face = FACE_TO_NFS.inverse().after(placed)
    frames = {
        frame: (Mesh(to_face.apply(vertices), tracked.faces), to_face)
        for frame, vertices in tracked.frames.items()
    }
    write_scan_pack(out, frames)
