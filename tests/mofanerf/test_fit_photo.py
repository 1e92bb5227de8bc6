"""From a photo to a fitted face: everything is written, the light goes, and what is refused."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rendered_heads import demo_mesh, render_views

from facemill.data import inputs
from facemill.data.demo import topology
from facemill.errors import ConfigError, DataError
from facemill.files import write_json
from facemill.mesh.surface import Mesh
from facemill.metrics.images import psnr
from facemill.mofanerf.demo_photo import LIGHT, demo_photo, write_demo_photo
from facemill.mofanerf.fit_files import read_fit
from facemill.mofanerf.fit_photo import MADE, cut_off, fit_photo, neutral_landmarks
from facemill.mofanerf.lighting import linear, srgb
from facemill.mofanerf.photo import prepare_photo
from facemill.mofanerf.photo_files import read_landmarks, read_photo
from facemill.mofanerf.photo_mask import hull_mask
from facemill.render.png import read_png

SETTINGS = {
    "photo": {"size": 64, "rounds": 1, "views_size": 32, "yaws": [0.0, 30.0], "device": "cpu"},
    "fit": {
        "steps": 12,
        "starts": 1,
        "start_steps": 2,
        "rays": 96,
        "sampling": {"samples": 8},
    },
}


@pytest.fixture(scope="module")
def photo(rendered, tmp_path_factory) -> Path:
    """A made-up photo of somebody held out, with landmarks and mask beside it."""
    person = rendered.data.test[0]
    faces = rendered.data.faces(person)
    path = tmp_path_factory.mktemp("Fotos von früher") / "ich.jpg"
    write_demo_photo(faces, faces.with_suffix(".json"), path)
    _, plain, _ = demo_photo(faces, faces.with_suffix(".json"))
    Image.fromarray(plain[..., 3]).save(path.with_name("ich.mask.png"))
    return path


def test_the_made_up_photo_is_what_its_camera_sees(rendered, photo):
    faces = rendered.data.faces(rendered.data.test[0])
    colour, plain, camera = demo_photo(faces, faces.with_suffix(".json"))
    read = read_photo(photo)
    assert read.colour.shape == colour.shape and read.focal_known
    assert read.focal == pytest.approx(camera.intrinsics[0, 0], rel=0.01)
    assert psnr(read.colour / 255, colour / 255) > 30
    marks = read_landmarks(photo.with_name("ich.landmarks.txt"), 480, 360)
    inside = plain[..., 3][tuple(np.floor(marks[:, ::-1]).astype(int).T)]
    assert (inside > 0).mean() > 0.9
    head = plain[..., 3] > 0
    assert abs(np.nonzero(head)[1].mean() - 240) > 15, "off the middle"
    sides = [colour[head & (np.arange(480) // 240 == side)].mean() for side in (0, 1)]
    assert max(sides) > 1.1 * min(sides), "unevenly lit"


def test_a_photo_is_fitted_and_everything_is_written(rendered, trained, photo, tmp_path):
    figure = tmp_path / "figure.png"
    given = (trained, rendered.codes, photo, SETTINGS, tmp_path / "out")
    fit_photo(*given, figure=figure)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(MADE)
    report = json.loads((tmp_path / "out/codes.json").read_text())
    assert report["photo"]["mask_from"] == "file" and len(report["light"]) == 9
    assert report["steps"] == 12 and report["name"] == "ich"
    fitted = read_fit(tmp_path / "out/codes.npz", trained)
    np.testing.assert_allclose(fitted.codes.shape, report["shape_code"], rtol=1e-6)
    for name in ("relit.png", "fitted.png"):
        picture = read_png((tmp_path / "out" / name).read_bytes(), name)
        assert picture.shape == (64, 64, 4) and 0.05 < (picture[..., 3] > 127).mean() < 0.9
    for path in (figure, tmp_path / "out/views.png", tmp_path / "out/before_after.png"):
        with Image.open(path) as image:
            assert np.ptp(np.asarray(image.convert("L"))) > 200


def test_a_photo_whose_fit_was_killed_ends_with_the_same_file(
    rendered, trained, photo, tmp_path, killed_at
):
    """In the second of two rounds."""
    fit = SETTINGS["fit"] | {"surface_every": 2, "steps": 8}
    settings = {"photo": SETTINGS["photo"] | {"rounds": 2}, "fit": fit}
    given, work = (trained, rendered.codes, photo, settings), tmp_path / "work"
    fit_photo(*given, tmp_path / "whole")
    killed_at(2 * (2 + 4 + 2 + 1) + 8 + 5)
    with pytest.raises(KeyboardInterrupt):
        fit_photo(*given, tmp_path / "killed", work=work)
    assert {path.name for path in work.iterdir()} == {"round 1", "round 2"}
    fit_photo(*given, tmp_path / "killed", work=work)
    assert not work.exists()
    whole, resumed = ((tmp_path / n / "codes.npz").read_bytes() for n in ("whole", "killed"))
    assert resumed == whole


def test_the_light_goes_by_the_normals_of_a_mean_face(tmp_path):
    """On a head of the embedded model, with the mean of three others."""
    render_views(tmp_path, "d004", 32, yaws=1)
    files = tmp_path / "d004.npz", tmp_path / "d004.json"
    write_demo_photo(*files, tmp_path / "photo.jpg")
    _, plain, camera = demo_photo(*files)
    Image.fromarray(plain[..., 3]).save(tmp_path / "photo.mask.png")
    Image.fromarray(plain[..., :3]).save(tmp_path / "plain.png")
    heads = [demo_mesh(person) for person in ("d001", "d002", "d003")]
    mean = Mesh(np.mean([head.vertices for head in heads], axis=0), heads[0].faces)
    marks = mean.vertices[topology().landmarks]
    lit, flat = (prepare_photo(tmp_path / "photo.jpg", marks, 128, mesh=m) for m in (None, mean))
    truth = prepare_photo(
        tmp_path / "plain.png",
        marks,
        128,
        float(camera.intrinsics[0, 0]),
        landmarks=tmp_path / "photo.landmarks.txt",
        mask=tmp_path / "photo.mask.png",
    )
    assert np.degrees(np.arccos(flat.light.direction @ LIGHT.direction)) < 30
    skin = lit.mask & truth.mask & hull_mask(truth.landmarks, (128, 128))
    quality = []
    for picture in (lit.colour / 255.0, flat.colour / 255.0):
        gain = linear(truth.colour[skin] / 255.0).mean() / linear(picture[skin]).mean()
        quality.append(psnr(srgb(linear(picture) * gain), truth.colour / 255.0, skin))
    assert quality[1] > quality[0] + 2


def test_a_head_cut_off_by_the_border_is_noticed(faces, photo):
    prepared = prepare_photo(photo, neutral_landmarks(faces), 64)
    assert not cut_off(prepared)
    narrow = np.zeros_like(prepared.inside)
    middle = int(prepared.landmarks[:, 0].mean())
    narrow[:, :middle] = True
    assert cut_off(replace(prepared, inside=narrow, mask=prepared.mask & narrow))


def test_a_detector_is_asked_only_where_no_file_is(faces, photo, tmp_path):
    marks = neutral_landmarks(faces)
    asked = []
    points = read_landmarks(photo.with_name("ich.landmarks.txt"), 480, 360)

    def detect(colour):
        asked.append(colour.shape)
        return points

    beside = prepare_photo(photo, marks, 64, detect=detect)
    assert not asked
    alone = tmp_path / "alone.jpg"
    alone.write_bytes(photo.read_bytes())
    mask = photo.with_name("ich.mask.png")
    found = prepare_photo(alone, marks, 64, mask=mask, detect=detect)
    assert asked == [(360, 480, 3)]
    np.testing.assert_allclose(found.camera.extrinsics, beside.camera.extrinsics)


# -- what cannot be used ---------------------------------------------------------------------------


def test_files_are_refused_before_anything_is_fitted(rendered, trained, photo, tmp_path):
    def refused(message, photo=photo, codes=rendered.codes, **more):
        with pytest.raises(DataError, match=message):
            fit_photo(trained, codes, photo, SETTINGS, tmp_path / "out", **more)
        assert not (tmp_path / "out").exists()

    alone = tmp_path / "alone.jpg"
    alone.write_bytes(photo.read_bytes())
    refused(r"alone\.jpg: no landmarks beside it", alone)
    refused(r"none\.onnx: no such file", alone, detector=tmp_path / "none.onnx")
    outside = tmp_path / "outside.txt"
    np.savetxt(outside, np.loadtxt(photo.with_name("ich.landmarks.txt")) + np.array([400, 0]))
    refused(r"outside\.txt: landmark \d+ .* lies outside the photo", landmarks=outside)
    arrays = dict(np.load(rendered.codes))
    arrays["shape/" + rendered.data.train[0]] += 1
    np.savez(tmp_path / "other.npz", **arrays)
    refused(r"other\.npz|model\.safetensors", codes=tmp_path / "other.npz")


def test_a_setting_out_of_range_is_named(rendered, trained, photo, tmp_path):
    with pytest.raises(ConfigError, match=r"mofanerf\.photo\.size: found 8, expected 32"):
        fit_photo(trained, rendered.codes, photo, {"photo": {"size": 8}}, tmp_path)


def test_a_person_without_a_texture_makes_no_photo(rendered, tmp_path):
    faces = rendered.data.faces(rendered.data.test[0])
    write_json(tmp_path / "m.json", {"scans": {"1_neutral": {"status": "ok", "texture": None}}})
    with pytest.raises(DataError, match=r"no textured scan of 1_neutral.*photo=me"):
        write_demo_photo(faces, tmp_path / "m.json", tmp_path / "photo.jpg")
    assert not (tmp_path / "photo.jpg").exists()


def config(photo=None, landmarks=None, mask=None, detector=None) -> dict:
    named = {"photo": photo, "photo_landmarks": landmarks, "photo_mask": mask}
    named = {key: None if value is None else str(value) for key, value in named.items()}
    return named | {"mofanerf": {"photo": {"detector": detector}}}


def test_files_beside_a_photo_are_found_when_the_workflow_is_loaded(photo, tmp_path):
    assert inputs.photo(config()) is None
    marks, mask = photo.with_name("ich.landmarks.txt"), photo.with_name("ich.mask.png")
    assert inputs.photo(config(photo)) == inputs.Photo("ich", photo, marks, mask)
    alone = tmp_path / "alone.jpg"
    alone.write_bytes(photo.read_bytes())
    assert inputs.photo(config(alone, marks)) == inputs.Photo("alone", alone, marks, None)
    (tmp_path / "68.pt").write_bytes(b"x")
    found = inputs.photo(config(alone, detector=str(tmp_path / "68.pt")))
    assert found == inputs.Photo("alone", alone, None, None)


def test_files_that_are_not_there_are_named_when_the_workflow_is_loaded(photo, tmp_path):
    alone = tmp_path / "alone.jpg"
    alone.write_bytes(photo.read_bytes())
    for named, message in (
        (config(tmp_path / "no.jpg"), r"photo: .*no\.jpg is not there"),
        (config(photo, tmp_path / "no.txt"), r"photo_landmarks: .*no\.txt is not there"),
        (config(photo, detector=str(tmp_path / "no.pt")), r"detector: .*no\.pt is not there"),
        (config(None, tmp_path / "no.txt"), "photo_landmarks is given without photo"),
        (config(alone), r"alone\.jpg has no landmarks; expected alone\.landmarks\.txt"),
    ):
        with pytest.raises(ConfigError, match=message):
            inputs.photo(named)
