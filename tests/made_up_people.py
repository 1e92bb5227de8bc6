"""Small made-up people with textures and views of them: what MoFaNeRF's tests train on."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from synthetic_faces import EXPRESSIONS, UNSEEN, Dataset, disc

from facemill.data.packs import FacePack, PreparedScan, write_face_pack
from facemill.files import write_json
from facemill.mesh.surface import Mesh
from facemill.render.views import render_person

VIEWS = {"size": 32, "pitches": [0], "yaws": 6, "expressions": list(EXPRESSIONS)}
SEEN = tuple(e for e in EXPRESSIONS if e not in UNSEEN)
CODES = {"held_out_views": 1, "held_out_pairs": 2, "correspondence_points": 200}

MODEL = {
    "texture_size": 16,
    "map_height": 16,
    "map_width": 24,
    "appearance_maps": 4,
    "appearance_channels": 4,
    "geometry_channels": 4,
    "width": 16,
    "warp_width": 16,
}
TRAIN = {
    "steps": 20,
    "images": 4,
    "rays": 32,
    "landmark_share": 0.3,
    "background_share": 0.3,
    "learning_rate": 3e-3,
    "map_learning_rate": 1e-2,
    "decay_steps": None,
    "ema": 0.9,
    "correspondence_points": 32,
    "sampling": {"samples": 8},
    "log_every": 5,
    "checkpoint_steps": 4,
    "preview_every": 0,
    "device": "cpu",
}


@dataclass(frozen=True)
class Rendered:
    """Where :func:`rendered` put things."""

    data: Dataset
    folder: Path

    @property
    def views(self) -> Path:
        return self.folder / "views"

    @property
    def codes(self) -> Path:
        return self.folder / "codes.npz"

    @property
    def split(self) -> Path:
        return self.folder / "split.json"


def write_texture(path: Path, seed: int, size: int = 64) -> None:
    """Skin of one colour with dark eyes and a red mouth, in the disc's own coordinates."""
    rng = np.random.default_rng(seed)
    axis = (np.arange(size) + 0.5) / size * 2 - 1
    x, y = np.meshgrid(axis, -axis)
    image = np.ones((size, size, 3)) * rng.uniform(90, 230, 3)
    image *= 1 + 0.1 * np.sin(7 * x + rng.uniform(0, 6))[..., None]
    for side in (-1, 1):
        image[(x - side * 0.35) ** 2 + (y - 0.35) ** 2 < 0.01] = rng.uniform(0, 90, 3)
    image[(x / 0.27) ** 2 + ((y + 0.43) / 0.1) ** 2 < 1] = (190, 60, 70)
    Image.fromarray(image.clip(0, 255).astype(np.uint8)).save(path)


def add_textures(data: Dataset) -> None:
    """Give every scan texture coordinates and every person a texture and a manifest."""
    points, _ = disc()
    uv = (points / (2 * 92.0) + 0.5).astype(np.float32)
    for number, person in enumerate((*data.train, *data.test)):
        pack = FacePack(data.faces(person))
        scans = {}
        for expression in pack.expressions:
            mesh = pack.registered(expression)
            scans[expression] = PreparedScan(
                Mesh(mesh.vertices, mesh.faces, uv, mesh.faces),
                pack.landmarks(expression),
                pack.sheet(expression),
                pack.closed(expression),
                pack.source_to_face(expression),
            )
        write_face_pack(data.faces(person), scans)
        texture = data.folder / f"{person}.png"
        write_texture(texture, number)
        entries = {e: {"status": "ok", "texture": str(texture)} for e in scans}
        write_json(data.faces(person).with_suffix(".json"), {"person": person, "scans": entries})


def write_views(data: Dataset, views: Path, settings: dict = VIEWS) -> None:
    for person in (*data.train, *data.test):
        faces = data.faces(person)
        out = views / f"{person}.zip"
        render_person(faces, faces.with_suffix(".json"), settings, out, out.with_suffix(".json"))
