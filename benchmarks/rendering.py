"""Images per second of the view renderer by image size.

    python benchmarks/rendering.py [faces/<person>.npz texture.jpg]

Without arguments it renders a made-up head of 20 480 triangles with a random texture. One core;
seconds are processor time, so that other work on the machine counts little.
"""

import sys
import time

import numpy as np

from facemill.data.packs import FacePack
from facemill.mesh.surface import Mesh
from facemill.render.mesh_view import MeshView
from facemill.render.png import png
from facemill.render.texture import read_texture
from facemill.render.views import ViewSettings, view_cameras


def made_up_head() -> tuple[Mesh, np.ndarray]:
    """An egg the size of a head, and noise for skin."""
    import trimesh

    ball = trimesh.creation.icosphere(subdivisions=5, radius=1.0)
    vertices = np.asarray(ball.vertices) * [80, 115, 100] + [0, 10, -70]
    uv = np.stack([0.5 + vertices[:, 0] / 200, 0.5 + vertices[:, 1] / 300], axis=1)
    faces = np.asarray(ball.faces, np.int32)
    texture = np.random.default_rng(0).integers(0, 256, (2048, 2048, 3), np.uint8)
    return Mesh(vertices.astype(np.float32), faces, uv.astype(np.float32), faces), texture


def main() -> None:
    if len(sys.argv) == 3:
        pack = FacePack(sys.argv[1])
        mesh, texture = pack.registered(pack.expressions[0]), read_texture(sys.argv[2])
    else:
        mesh, texture = made_up_head()
    print(f"{len(mesh.faces)} triangles, texture {texture.shape[1]} x {texture.shape[0]}\n")
    print("| pixels | set-up, once a scan (ms) | render (ms) | PNG (ms) | images/s |")
    print("|---|---|---|---|---|")
    for size in (128, 256, 512):
        ready, shoot, write = measure(mesh, texture, size)
        rate = 1e3 / (shoot + write)
        print(f"| {size} | {ready:.0f} | {shoot:.1f} | {write:.1f} | {rate:.1f} |")


def measure(mesh: Mesh, texture: np.ndarray, size: int) -> tuple[float, float, float]:
    """Milliseconds of processor time for set-up, and for each image to render and to pack."""
    cameras = list(view_cameras(ViewSettings(size=size)).values())[::8]
    marks = [time.process_time()]
    view = MeshView(mesh, texture, cameras[0])
    marks.append(time.process_time())
    shots = [view.render(camera) for camera in cameras]
    marks.append(time.process_time())
    for images in shots:
        for image in images:
            png(image)
    marks.append(time.process_time())
    ready, shoot, write = np.diff(marks) * 1e3
    return ready, shoot / len(cameras), write / len(cameras)


if __name__ == "__main__":
    main()
