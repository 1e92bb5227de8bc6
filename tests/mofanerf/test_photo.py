"""Photos made ready: any file mode, exact cameras, masks, light, and one clear error otherwise."""

import json
import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rendered_heads import demo_mesh
from scipy.ndimage import gaussian_filter
from scipy.spatial.transform import Rotation

from facemill.data.demo import texture as demo_texture
from facemill.data.demo import topology
from facemill.errors import DataError, GeometryError
from facemill.metrics.images import psnr
from facemill.mofanerf.lighting import Light, linear, srgb
from facemill.mofanerf.photo import canonical, prepare_photo, write_prepared
from facemill.mofanerf.photo_files import read_landmarks, read_photo
from facemill.mofanerf.photo_mask import estimate_mask
from facemill.render.cameras import Camera, orbit, pinhole
from facemill.render.mesh_view import MeshView
from facemill.render.views import HEAD_CENTRE

LIGHT = Light(math.sqrt(4 * math.pi) * np.array([0.8, 0.1, 0.2, 0.25, 0.02, 0, 0.03, -0.02, 0.02]))


@dataclass(frozen=True)
class Scene:
    """A head before a wall, as a camera in the face frame sees it; landmarks as image points."""

    colour: np.ndarray
    mask: np.ndarray
    camera: Camera
    landmarks: np.ndarray
    normals: np.ndarray
    view: MeshView
    mesh: object

    def write(self, path: Path, noise: float = 0.0, mask: bool = True) -> Path:
        Image.fromarray(self.colour).save(path, quality=95)
        marks = self.landmarks - 0.5 + noise * np.random.default_rng(0).normal(size=(68, 2))
        np.savetxt(path.with_name(path.stem + ".landmarks.txt"), marks, fmt="%.3f")
        if mask:
            Image.fromarray(self.mask).save(path.with_name(path.stem + ".mask.png"))
        return path


@pytest.fixture(scope="module")
def scene() -> Scene:
    """A photo of 400 x 300 with the head off the middle, turned, nodding and tilted."""
    mesh = demo_mesh("d004")
    seen = orbit(20, 8, 900, 620, 400, 300, HEAD_CENTRE)
    tilt = Rotation.from_euler("z", 17, degrees=True).as_matrix()
    extrinsics = tilt @ seen.extrinsics
    extrinsics[:, 3] += [60, 15, 0]
    camera = Camera(pinhole(620, 400, 300), extrinsics, 400, 300)
    view = MeshView(mesh, demo_texture("d004", 0, 1024), camera)
    image, depth, packed = view.render(camera)
    mask = depth > 0
    normals = packed / 127.5 - 1.0
    normals /= np.linalg.norm(normals, axis=2, keepdims=True)
    normals[~mask] = 0
    rng = np.random.default_rng(1)
    wall = np.array([95, 125, 150]) + 25 * np.sin(np.arange(400) / 40)[None, :, None]
    wall = np.clip(wall + gaussian_filter(rng.normal(0, 60, (300, 400, 3)), (2, 2, 0)), 0, 255)
    colour = np.where(mask[..., None], image[..., :3], wall.astype(np.uint8))
    landmarks = camera.project(mesh.vertices[topology().landmarks])[0]
    return Scene(colour, mask, camera, landmarks, normals, view, mesh)


@pytest.fixture(scope="module")
def model(scene):
    return scene.mesh.vertices[topology().landmarks]


def test_the_camera_and_the_picture_belong_together(scene, model, tmp_path):
    """The prepared photo is what the returned camera sees of the head, pixel for pixel."""
    path = scene.write(tmp_path / "Foto 1.png")
    prepared = prepare_photo(path, model, size=256, focal=620.0)
    assert prepared.colour.shape == (256, 256, 3) and prepared.mask_from == "file"
    image, depth, _ = scene.view.render(prepared.camera)
    agree = prepared.mask == (depth > 0)
    assert agree[prepared.inside].mean() > 0.99
    both = prepared.mask & (depth > 0)
    assert psnr(prepared.colour / 255, image[..., :3] / 255, both) > 30
    np.testing.assert_allclose(prepared.camera.project(model)[0], prepared.landmarks, atol=0.02)
    # Canonical: the head's centre in the middle, upright, 1.5 pixels a mm at 512.
    middle, z = prepared.camera.project(HEAD_CENTRE[None])
    np.testing.assert_allclose(middle[0], [128, 128], atol=1e-6)
    assert prepared.camera.intrinsics[0, 0] / z[0] == pytest.approx(0.75, rel=1e-9)
    top, _ = prepared.camera.project(HEAD_CENTRE[None] + [[0, 20.0, 0]])
    assert top[0, 0] == pytest.approx(128, abs=1e-6) and top[0, 1] < 128
    prepared.camera.check("prepared")


def test_a_pixel_of_noise_moves_the_camera_little(scene, model, tmp_path):
    path = scene.write(tmp_path / "photo.jpg", noise=1.0)
    prepared = prepare_photo(path, model, size=256, focal=620.0)
    true = canonical(scene.camera, 256)[1]
    turn = prepared.camera.extrinsics[:, :3] @ true.extrinsics[:, :3].T
    assert np.degrees(Rotation.from_matrix(turn).magnitude()) < 1.0
    moved = prepared.camera.project(model)[0] - true.project(model)[0]
    assert np.linalg.norm(moved, axis=1).mean() * (1 / 0.75) < 2.0  # mm at the head
    assert 0.5 < prepared.pose.residual < 2.5


def test_the_light_is_found_and_taken_out(scene, model, tmp_path):
    shading = np.maximum(LIGHT.shading(scene.normals[scene.mask]), 0)
    colour = scene.colour / 255.0
    colour[scene.mask] = srgb(linear(colour[scene.mask]) * shading[:, None])
    lit = replace(scene, colour=np.round(255 * colour).astype(np.uint8))
    path = lit.write(tmp_path / "lit.png")
    plain = prepare_photo(path, model, 256, focal=620.0)
    flat = prepare_photo(path, model, 256, focal=620.0, mesh=scene.mesh)
    assert plain.light is None
    angle = np.degrees(np.arccos(flat.light.direction @ LIGHT.direction))
    assert angle < 25
    unlit = scene.view.render(flat.camera)[0][..., :3] / 255
    skin = flat.mask & (np.hypot(*(np.indices((256, 256)) - 128)) < 55)
    errors = []
    for prepared in (plain, flat):
        picture = prepared.colour / 255
        gain = linear(unlit[skin]).mean() / linear(picture[skin]).mean()
        errors.append(psnr(srgb(linear(picture) * gain), unlit, skin))
    assert errors[1] > errors[0] + 3


def test_the_estimated_mask_is_near_the_true_one(scene, model, tmp_path):
    found = estimate_mask(scene.colour, scene.landmarks)
    overlap = (found & scene.mask).sum() / (found | scene.mask).sum()
    assert overlap > 0.85
    path = scene.write(tmp_path / "bare.png", mask=False)
    assert prepare_photo(path, model, 128, focal=620.0).mask_from == "estimate"


def test_alpha_serves_as_mask(scene, model, tmp_path):
    path = scene.write(tmp_path / "cut.png", mask=False)
    alpha = np.where(scene.mask, 255, 0).astype(np.uint8)
    Image.fromarray(np.concatenate([scene.colour, alpha[..., None]], axis=2)).save(path)
    assert prepare_photo(path, model, 128, focal=620.0).mask_from == "alpha"


MODES = {
    "grey": lambda image: (image.convert("L"), "png", {}),
    "palette": lambda image: (image.quantize(256), "png", {}),
    "cmyk": lambda image: (image.convert("CMYK"), "jpg", {"quality": 95}),
    "grey and alpha": lambda image: (image.convert("LA"), "png", {}),
    "jpeg": lambda image: (image, "jpg", {"quality": 95}),
    "webp": lambda image: (image, "webp", {"lossless": True}),
}


@pytest.mark.parametrize("mode", MODES)
def test_photos_of_every_mode_give_the_same_camera(scene, model, tmp_path, mode):
    image, suffix, options = MODES[mode](Image.fromarray(scene.colour))
    path = scene.write(tmp_path / "photo.png")
    expected = prepare_photo(path, model, 128, focal=620.0)
    path.unlink()
    path = path.with_suffix(f".{suffix}")
    image.save(path, **options)
    prepared = prepare_photo(path, model, 128, focal=620.0)
    np.testing.assert_allclose(prepared.camera.extrinsics, expected.camera.extrinsics)
    truth = expected.colour / 255
    if "grey" in mode:
        assert np.ptp(prepared.colour, axis=2).max() == 0
        truth = np.repeat(truth @ [[0.299], [0.587], [0.114]], 3, axis=2)
    assert psnr(prepared.colour / 255, truth) > 30


@pytest.mark.parametrize("orientation", [2, 3, 5, 6, 8])
def test_exif_rotation_is_applied_first(scene, model, tmp_path, orientation):
    """The stored picture lies on its side; landmarks and mask are of the upright one."""
    path = scene.write(tmp_path / "photo.png")
    expected = prepare_photo(path, model, 128, focal=620.0)
    image = Image.fromarray(scene.colour)
    back = {2: 0, 3: 3, 5: 5, 6: 2, 8: 4}[orientation]  # the transposition that undoes EXIF's
    stored = image.transpose(Image.Transpose(back))
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored.save(path, exif=exif)
    photo = read_photo(path)
    assert np.array_equal(photo.colour, scene.colour)
    assert np.array_equal(prepare_photo(path, model, 128, focal=620.0).colour, expected.colour)


def test_focal_length_from_the_file_or_a_guess(scene, tmp_path):
    path = tmp_path / "photo.jpg"
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0xA405] = 50
    Image.fromarray(scene.colour).save(path, exif=exif)
    photo = read_photo(path)
    assert photo.focal_known and photo.focal == pytest.approx(400 * 50 / 36)
    Image.fromarray(scene.colour).save(path)
    photo = read_photo(path)
    assert not photo.focal_known and photo.focal == pytest.approx(480)


def test_sixteen_bit_grey(tmp_path):
    values = np.linspace(0, 65535, 80 * 80).astype(np.uint16).reshape(80, 80)
    Image.fromarray(values).save(tmp_path / "deep.png")
    colour = read_photo(tmp_path / "deep.png").colour
    assert colour[0, 0, 0] == 0 and colour[-1, -1, 2] == 255
    assert np.abs(colour[..., 0] - values / 257.0).max() <= 0.51


def test_what_is_written(scene, model, tmp_path):
    path = scene.write(tmp_path / "photo.png")
    prepared = prepare_photo(path, model, 128, focal=620.0, mesh=scene.mesh)
    write_prepared(prepared, tmp_path / "out.png", tmp_path / "out.json")
    with Image.open(tmp_path / "out.png") as image:
        pixels = np.array(image)
    assert np.array_equal(pixels[..., 3] > 0, prepared.mask)
    assert np.array_equal(pixels[..., :3], prepared.colour)
    about = json.loads((tmp_path / "out.json").read_text())
    assert about["mask_from"] == "file" and about["focal_known"] is True
    assert len(about["light"]) == 9 and len(about["landmarks"]) == 68
    np.testing.assert_allclose(about["camera"]["extrinsics"], prepared.camera.extrinsics)
    assert about["landmark_residual_pixels"] < 0.1


# -- what cannot be used ---------------------------------------------------------------------------


def test_photos_that_are_refused(scene, model, tmp_path):
    path = scene.write(tmp_path / "photo.png")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"photo\.png: not a whole picture"):
        prepare_photo(path, model)
    path.write_text("<html>not found</html>")
    with pytest.raises(DataError, match="not a whole picture"):
        prepare_photo(path, model)
    path.write_bytes(b"")
    with pytest.raises(DataError, match="empty"):
        prepare_photo(path, model)
    Image.fromarray(scene.colour[:40, :60]).save(path)
    with pytest.raises(DataError, match="60 x 40 pixels; expected at least 64"):
        prepare_photo(path, model)
    with pytest.raises(DataError, match="no such file"):
        prepare_photo(tmp_path / "none.jpg", model)


def test_a_photo_without_landmarks_says_what_is_missing(scene, model, tmp_path):
    path = tmp_path / "photo.png"
    Image.fromarray(scene.colour).save(path)
    with pytest.raises(DataError, match=r"no landmarks beside it; expected photo\.landmarks\.txt"):
        prepare_photo(path, model)


def test_landmark_files_that_are_refused(scene, tmp_path):
    path = tmp_path / "photo.landmarks.txt"

    def attempt(points, message):
        np.savetxt(path, points)
        with pytest.raises(DataError, match=message):
            read_landmarks(path, 400, 300)

    points = scene.landmarks
    attempt(points[17:], r"\(51, 2\) \(the 68 without the jaw line\)")
    attempt(points[:67], r"\(67, 2\)")
    attempt(np.column_stack([points, points[:, 0]]), r"\(68, 3\)")
    attempt(points + np.array([300, 0]), "outside the photo of 400 x 300")
    attempt(points * np.array([-1, 1]), "lies outside")
    attempt(np.where(points > 200, np.nan, points), "not finite")
    path.write_text("x y\n1 2\n")
    with pytest.raises(DataError, match="not a table of numbers"):
        read_landmarks(path, 400, 300)
    path.write_text("\n".join("1 2 3"[: 3 + 2 * (i % 2)] for i in range(68)))
    with pytest.raises(DataError, match="not a table"):
        read_landmarks(path, 400, 300)


def test_landmarks_as_npy_and_with_commas_are_the_same(scene, tmp_path):
    text, array = tmp_path / "a.txt", tmp_path / "a.npy"
    np.savetxt(text, scene.landmarks - 0.5, delimiter=", ", fmt="%.9f")
    np.save(array, scene.landmarks - 0.5)
    first, second = (read_landmarks(path, 400, 300) for path in (text, array))
    np.testing.assert_allclose(first, second, atol=1e-8)
    np.testing.assert_allclose(first, scene.landmarks, atol=1e-8)
    array.write_bytes(array.read_bytes()[:100])
    with pytest.raises(DataError, match="not a table of numbers"):
        read_landmarks(array, 400, 300)


def test_masks_that_are_refused(scene, model, tmp_path):
    path = scene.write(tmp_path / "photo.png")
    mask = tmp_path / "photo.mask.png"
    for pixels, message in (
        (scene.mask[:-1], "400 x 299 pixels, the upright photo has 400 x 300"),
        (~scene.mask, "covers 0 % of the face"),
        (np.zeros_like(scene.mask), "nothing is lighter than half"),
    ):
        Image.fromarray(pixels).save(mask)
        with pytest.raises(DataError, match=message):
            prepare_photo(path, model, focal=620.0)


def test_a_mirrored_photo_s_landmarks_are_refused(scene, model, tmp_path):
    path = scene.write(tmp_path / "photo.png")
    flipped = scene.landmarks[:, ::-1] - 0.5
    flipped[:, 1] = np.minimum(flipped[:, 1], 299)
    np.savetxt(tmp_path / "photo.landmarks.txt", flipped)
    with pytest.raises(GeometryError, match=r"photo\.landmarks\.txt"):
        prepare_photo(path, model, focal=620.0)


def test_a_face_of_a_few_pixels_is_refused(scene, model, tmp_path):
    path = scene.write(tmp_path / "photo.png")
    np.savetxt(tmp_path / "photo.landmarks.txt", scene.landmarks / 12)
    with pytest.raises(DataError, match="pixels large"):
        prepare_photo(path, model, focal=620.0)
