"""A photo of somebody nobody trained on, made of a prepared head: off centre, tilted, unevenly lit.

It stands where a user's own photo would, with its landmarks beside it and no mask, so that the way
from a photo to a fitted face can be tried, and measured, without anybody's picture.
"""

import math
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8
from scipy.ndimage import gaussian_filter
from scipy.spatial.transform import Rotation

from facemill.data.expressions import NEUTRAL
from facemill.data.inputs import PHOTO_LANDMARKS
from facemill.data.packs import FacePack
from facemill.errors import DataError
from facemill.files import read_json, writing
from facemill.mesh.frames import HEAD_CENTRE
from facemill.mofanerf.lighting import Light, linear, srgb
from facemill.randomness import generator
from facemill.render.cameras import Camera, orbit, pinhole
from facemill.render.pixels import eight_bit

WIDTH, HEIGHT, FOCAL = 480, 360, 640.0
"""Pixels of the photo, and its focal length in them (36 mm on film: 48 mm)."""

YAW, PITCH, ROLL, DISTANCE = 14.0, 6.0, 12.0, 800.0
"""Degrees and mm: where the camera stands to the head."""

SHIFT = (45.0, 12.0)
"""mm that the head lies off the camera's axis."""

LIGHT = Light(math.sqrt(4 * math.pi) * np.array([0.85, 0.1, 0.2, 0.28, 0.03, 0, 0.03, -0.03, 0.02]))
"""Uneven light from the photo's right, over the skin's own colours."""

WALL = np.array([96.0, 128.0, 150.0])


def write_demo_photo(
    faces_pack: str | Path, manifest: str | Path, photo: str | Path, seed: int = 0
) -> None:
    """Write the photo, and ``<photo>.landmarks.txt`` beside it.

    ``faces_pack`` and ``manifest`` are a person's as mesh_prepare wrote them; the neutral scan and
    its texture are shown. Raises DataError where the person has neither.
    """
    from PIL import Image

    photo = Path(photo)
    colour, _, camera = demo_photo(faces_pack, manifest, seed)
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0xA405] = round(FOCAL / max(WIDTH, HEIGHT) * 36)
    with writing(photo) as part:
        Image.fromarray(colour).save(part, quality=92, exif=exif)
    marks = camera.project(FacePack(faces_pack).landmarks(NEUTRAL).astype(np.float64))[0] - 0.5
    with writing(photo.with_name(photo.stem + PHOTO_LANDMARKS[0])) as part:
        np.savetxt(part, marks, fmt="%.2f")


def demo_photo(
    faces_pack: str | Path, manifest: str | Path, seed: int = 0
) -> tuple[UInt8[np.ndarray, "h w 3"], UInt8[np.ndarray, "h w 4"], Camera]:
    """The photo, the same head without light (RGBA), and the camera (face frame, mm)."""
    from facemill.mesh.io import read_texture
    from facemill.render.mesh_view import MeshView

    pack = FacePack(faces_pack)
    texture = read_json(manifest)["scans"].get(NEUTRAL, {}).get("texture")
    if NEUTRAL not in pack.expressions or not texture:
        raise DataError(
            f"{faces_pack}: no textured scan of {NEUTRAL} to make a photo of. Name a photo of your "
            "own: --config photo=me.jpg"
        )
    mesh, camera = pack.registered(NEUTRAL), demo_camera()
    plain, _, packed = MeshView(mesh, read_texture(texture), camera).render(camera)
    head = plain[..., 3] > 0
    normals = packed[head] / 127.5 - 1.0
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-9)
    shading = np.maximum(LIGHT.shading(normals), 0.0)
    colour = _wall(seed)
    colour[head] = srgb(linear(plain[head][:, :3] / 255.0) * shading[:, None])
    return eight_bit(colour), plain, camera


def demo_camera() -> Camera:
    """Where the photo is taken from."""
    seen = orbit(YAW, PITCH, DISTANCE, FOCAL, WIDTH, HEIGHT, HEAD_CENTRE)
    extrinsics = Rotation.from_euler("z", ROLL, degrees=True).as_matrix() @ seen.extrinsics
    extrinsics[:2, 3] += SHIFT
    return Camera(pinhole(FOCAL, WIDTH, HEIGHT), extrinsics, WIDTH, HEIGHT)


def _wall(seed: int) -> Float[np.ndarray, "h w 3"]:
    """A background with a gradient, stripes and blotches, colours from 0 to 1."""
    rng = generator(seed, "mofanerf", "demo photo")
    stripes = 18 * np.sin(np.arange(WIDTH) / 30)[None, :, None]
    slope = np.linspace(12, -18, HEIGHT)[:, None, None]
    blotches = gaussian_filter(rng.normal(0, 50, (HEIGHT, WIDTH, 3)), (3, 3, 0))
    return np.clip(WALL + stripes + slope + blotches, 0, 255) / 255.0
