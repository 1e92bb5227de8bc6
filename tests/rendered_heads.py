"""Demo heads in the face frame and their views, for tests of the systems that look at pictures."""

from pathlib import Path

from PIL import Image

from facemill.data.demo import head, topology
from facemill.data.demo import texture as demo_texture
from facemill.data.packs import PreparedScan, write_face_pack
from facemill.files import write_json
from facemill.mesh.frames import nose_tip_similarity
from facemill.mesh.surface import Mesh
from facemill.render.views import render_person


def demo_mesh(person: str, expression: str = "1_neutral") -> Mesh:
    """A demo head in the face frame, with its texture coordinates."""
    known = topology()
    vertices = head(person, expression, 0)
    vertices = nose_tip_similarity(vertices[known.landmarks[30]]).apply(vertices)
    return Mesh(vertices, known.faces, known.uv, known.faces_uv)


def render_views(folder: Path, person: str, size: int, pitches=(0,), yaws=4) -> Path:
    """View pack of one person's neutral face."""
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
