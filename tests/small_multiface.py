"""Made-up entities in Multiface's layout: takes of a mesh with poses that move the head."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Float
from scipy.spatial.transform import Rotation

from facemill.mesh.io import write_obj
from facemill.mesh.surface import Mesh

NEUTRAL_TAKE = "E001_Neutral_Eyes_Open"


def pose(rng: np.random.Generator) -> Float[np.ndarray, "3 4"]:
    """A head turned by some 15 degrees, a metre from the stage's origin."""
    turn = Rotation.from_rotvec(rng.normal(0.0, 0.2, 3)).as_matrix()
    away = np.array([0.0, 0.0, 1000.0]) + rng.normal(0.0, 30.0, 3)
    return np.column_stack([turn, away])


def entity(
    folder: Path,
    faces: np.ndarray,
    takes: Mapping[str, list[Float[np.ndarray, "v 3"]]],
    in_stage: bool = False,
    spare: int = 4,
) -> Path:
    """Write the takes of a person, whose frames are numbered by threes from 000102 on.

    Beside the first neutral frame lies its OBJ, in the stage's frame. ``spare`` vertices that no
    triangle uses, and that are no numbers, follow in the .bin files. ``in_stage`` has the head's
    pose in these too, as in copies that do not hold to the published layout.
    """
    rng = np.random.default_rng(0)
    for take, frames in takes.items():
        place = folder / "tracked_mesh" / take
        place.mkdir(parents=True)
        for number, vertices in enumerate(frames):
            name = f"{102 + 3 * number:06d}"
            matrix = pose(rng)
            staged = vertices @ matrix[:, :3].T + matrix[:, 3]
            stored = np.concatenate([staged if in_stage else vertices, np.full((spare, 3), np.nan)])
            stored.astype("<f4").tofile(place / f"{name}.bin")
            np.savetxt(place / f"{name}_transform.txt", matrix)
            if take == NEUTRAL_TAKE and number == 0:
                write_obj(place / f"{name}.obj", Mesh(staged, faces))
    return folder
