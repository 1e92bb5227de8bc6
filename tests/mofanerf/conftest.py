"""Views of two demo people, rendered once, and an index that knows them."""

from dataclasses import replace
from pathlib import Path

import pytest

from facemill.data.demo import head, topology
from facemill.data.demo import texture as demo_texture
from facemill.data.packs import PreparedScan, write_face_pack
from facemill.data.splits import Split, content_hash
from facemill.files import write_json
from facemill.mesh.frames import nose_tip_similarity
from facemill.mesh.surface import Mesh
from facemill.render.views import render_person

SIZE = 64


def demo_mesh(person: str, expression: str = "1_neutral") -> Mesh:
    """A demo head in the face frame, with its texture coordinates."""
    known = topology()
    vertices = head(person, expression, 0)
    vertices = nose_tip_similarity(vertices[known.landmarks[30]]).apply(vertices)
    return Mesh(vertices, known.faces, known.uv, known.faces_uv)


def render_views(folder: Path, person: str, size: int, pitches=(0,), yaws=4) -> Path:
    """View pack of one person's neutral face."""
    from PIL import Image

    mesh = demo_mesh(person)
    landmarks = mesh.vertices[topology().landmarks]
    scan = PreparedScan(mesh, landmarks, mesh, mesh, nose_tip_similarity(landmarks[30]))
    write_face_pack(folder / f"{person}.npz", {"1_neutral": scan})
    Image.fromarray(demo_texture(person, 0, 512)).save(folder / f"{person}.png")
    scans = {"1_neutral": {"status": "ok", "texture": str(folder / f"{person}.png")}}
    manifest = {"stage": "mesh_prepare", "person": person, "scans": scans, "settings": {}}
    write_json(folder / f"{person}.json", manifest)
    settings = {"size": size, "pitches": list(pitches), "yaws": yaws}
    pack = folder / f"{person}.zip"
    render_person(
        folder / f"{person}.npz", folder / f"{person}.json", settings, pack, folder / "m.json"
    )
    return pack


@pytest.fixture(scope="session")
def views(tmp_path_factory) -> dict[str, Path]:
    """View packs by person."""
    folder = tmp_path_factory.mktemp("Ansichten zweier")
    return {person: render_views(folder, person, SIZE) for person in ("d001", "d002")}


@pytest.fixture(scope="session")
def index(tmp_path_factory) -> Path:
    """An index in which d001 is trained on and d002 is not."""
    split = Split(("d001",), ("d002",), ("1_neutral",), (), seed=0, hash="")
    split = replace(split, hash=content_hash(split)).as_json()
    path = tmp_path_factory.mktemp("index") / "index.json"
    write_json(
        path, {"dataset": "demo", "expressions": ["1_neutral"], "people": {}, "split": split}
    )
    return path
