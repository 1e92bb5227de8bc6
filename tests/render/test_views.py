"""Views of one person: grid, names, files, exactness of depth, bad textures."""

import io
import json
import pickle
import zipfile

import numpy as np
import pytest
from PIL import Image

from facemill.data.packs import PreparedScan, write_face_pack
from facemill.errors import ConfigError, DataError
from facemill.files import write_json
from facemill.mesh.frames import Similarity
from facemill.mesh.surface import Mesh
from facemill.render.camera_files import read_transforms
from facemill.render.view_pack import ViewPack
from facemill.render.views import ViewSettings, render_person, view_cameras

SETTINGS = {"size": 64, "pitches": [-30, 0], "yaws": 3, "expressions": "all", "people": 2}


def head_like() -> Mesh:
    """An egg in the face frame; uv by position, the subject's left is u > 0.5."""
    import trimesh

    ball = trimesh.creation.icosphere(subdivisions=4, radius=1.0)
    vertices = np.asarray(ball.vertices) * [80, 110, 100] + [0, 10, -70]
    uv = np.stack([0.5 + vertices[:, 0] / 200, 0.5 + vertices[:, 1] / 300], axis=1)
    faces = np.asarray(ball.faces, np.int32)
    return Mesh(vertices.astype(np.float32), faces, uv.astype(np.float32), faces)


@pytest.fixture(scope="module")
def rendered(tmp_path_factory):
    """Paths of one person's views: one good scan, one without texture, one broken, one missing."""
    folder = tmp_path_factory.mktemp("ansichten mit Köpfen")
    mesh = head_like()
    scan = PreparedScan(mesh, np.zeros((68, 3), np.float32), mesh, mesh, Similarity())
    names = ["1_neutral", "2_smile", "4_anger"]
    write_face_pack(folder / "d001.npz", dict.fromkeys(names, scan))
    texture = np.zeros((64, 64, 3), np.uint8)
    texture[:, 32:, 0] = 255
    texture[:, :32, 1] = 255
    Image.fromarray(texture).save(folder / "good.png")
    (folder / "broken.jpg").write_bytes(b"this is no image")
    scans = {
        "1_neutral": {"status": "ok", "texture": str(folder / "good.png")},
        "2_smile": {"status": "ok", "texture": None},
        "4_anger": {"status": "ok", "texture": str(folder / "broken.jpg")},
        "5_jaw_left": {"status": "missing", "reason": "no such file"},
    }
    write_json(
        folder / "d001.json",
        {"stage": "mesh_prepare", "person": "d001", "scans": scans}
        | {"settings": {"max_failed_scans": 1}},
    )
    pack, manifest = folder / "views.zip", folder / "views.json"
    render_person(folder / "d001.npz", folder / "d001.json", SETTINGS, pack, manifest)
    return pack, json.loads(manifest.read_text()), mesh


def test_the_grid_is_mofanerfs():
    cameras = view_cameras(ViewSettings(size=512))
    assert len(cameras) == 120
    assert next(iter(cameras)) == "-30_0"
    assert list(cameras)[-1] == "45_19"
    np.testing.assert_allclose(
        cameras["0_10"].intrinsics, [[1200, 0, 256], [0, 1200, 256], [0, 0, 1]]
    )
    np.testing.assert_allclose(cameras["0_0"].centre, [-800, 0, -70], atol=1e-9)


def test_members_and_manifest(rendered):
    pack, manifest, _ = rendered
    with zipfile.ZipFile(pack) as archive:
        names = archive.namelist()
        assert all(info.compress_type == zipfile.ZIP_STORED for info in archive.infolist())
        assert archive.testzip() is None
        image = Image.open(io.BytesIO(archive.read("1_neutral/-30_0_depth.png")))
        assert np.array(image).dtype == np.uint16
    assert len(names) == 2 * 6 * 3 + 2
    assert "1_neutral/-30_0.png" in names
    assert "2_smile/0_2_normal.png" in names
    assert manifest["stage"] == "views_render"
    scans = manifest["scans"]
    assert scans["1_neutral"]["status"] == "ok"
    assert "plain colour" in scans["2_smile"]["note"]
    assert scans["4_anger"]["status"] == "failed"
    assert "broken.jpg" in scans["4_anger"]["reason"]
    assert scans["5_jaw_left"] == {"status": "missing", "reason": "no such file"}


def test_depth_leads_back_to_the_surface(rendered):
    pack, _, _ = rendered
    with ViewPack(pack) as views:
        for name in views.names:
            camera, depth = views.camera(name), views.depth("1_neutral", name)
            seen = depth.ravel() > 0
            points = camera.unproject(camera.pixel_centres[seen], depth.ravel()[seen].astype(float))
            level = (((points - [0, 10, -70]) / [80, 110, 100]) ** 2).sum(axis=1)
            # Within 0.1 % of the depth: 0.8 mm of an egg of about 90 mm, twice in the square.
            assert np.abs(level - 1).max() < 0.02
            assert np.array_equal(views.image("1_neutral", name)[..., 3] == 255, depth > 0)
            normals = views.normals("1_neutral", name)
            outward = (points - [0, 10, -70]) / np.array([80.0, 110, 100]) ** 2
            outward /= np.linalg.norm(outward, axis=1, keepdims=True)
            cosine = (normals.reshape(-1, 3)[seen] * outward).sum(axis=1)
            assert np.degrees(np.arccos(np.clip(cosine, -1, 1))).max() < 3
            assert not normals[depth == 0].any()


def test_more_failures_than_tolerated_end_the_job(rendered, tmp_path):
    pack, _, _ = rendered
    strict = json.loads((pack.parent / "d001.json").read_text()) | {"settings": {}}
    write_json(tmp_path / "d001.json", strict)
    with pytest.raises(DataError, match=r"broken\.jpg"):
        render_person(
            pack.parent / "d001.npz", tmp_path / "d001.json", SETTINGS,
            tmp_path / "v.zip", tmp_path / "v.json",
        )  # fmt: skip
    assert sorted(path.name for path in tmp_path.iterdir()) == ["d001.json"]


def test_negative_yaw_shows_the_subjects_right(rendered):
    """The subject's left half is red, the right half green."""
    pack, _, _ = rendered
    views = ViewPack(pack)
    right, left = views.image("1_neutral", "0_0"), views.image("1_neutral", "0_2")
    assert right[32, 32].tolist() == [0, 255, 0, 255]
    assert left[32, 32].tolist() == [255, 0, 0, 255]
    front = views.image("1_neutral", "0_1")
    assert front[32, 40].tolist() == [0, 255, 0, 255]
    assert not front[0, 0].any()


def test_transforms_in_the_pack_are_the_packs_cameras(rendered, tmp_path):
    pack, _, _ = rendered
    views = ViewPack(pack)
    with zipfile.ZipFile(pack) as archive:
        path = archive.extract("transforms_all_d001.json", tmp_path)
    scene = read_transforms(path, 64, 64)
    assert set(scene) == {f"/d001/{e}/{n}" for e in ("neutral", "smile") for n in views.names}
    for name in views.names:
        ours, theirs = views.camera(name), scene[f"/d001/smile/{name}"]
        np.testing.assert_allclose(theirs.extrinsics, ours.extrinsics, atol=1e-9)
        np.testing.assert_allclose(theirs.intrinsics, ours.intrinsics, atol=1e-9)


def test_rendering_again_makes_the_same_bytes(rendered, tmp_path):
    pack, manifest, _ = rendered
    folder = pack.parent
    again = tmp_path / "again.zip"
    render_person(
        folder / "d001.npz", folder / "d001.json", SETTINGS, again, tmp_path / "again.json"
    )
    assert (
        json.loads((tmp_path / "again.json").read_text())["pack_sha256"]
        == (manifest["pack_sha256"])
    )


def test_a_pack_travels_to_other_processes_and_names_what_it_lacks(rendered):
    pack, _, _ = rendered
    views = pickle.loads(pickle.dumps(ViewPack(pack)))
    assert views.expressions == ("1_neutral", "2_smile")
    with pytest.raises(DataError, match="3_mouth_stretch/0_0"):
        views.image("3_mouth_stretch", "0_0")


def test_a_truncated_pack_is_refused_by_name(rendered, tmp_path):
    pack, _, _ = rendered
    cut = tmp_path / "cut.zip"
    cut.write_bytes(pack.read_bytes()[:-200])
    with pytest.raises(DataError, match=r"cut\.zip"):
        ViewPack(cut)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"yaws": 0}, r"views\.yaws: 0"),
        ({"pitches": [90]}, r"views\.pitches: 90"),
        ({"pitches": []}, r"views\.pitches: an empty list"),
        ({"size": 4}, r"views\.size: 4"),
        ({"expressions": ["smile"]}, r"views\.expressions: smile"),
        ({"width": 64}, "unknown key width"),
    ],
)
def test_settings_off_the_grid_are_refused_by_key(settings, message):
    with pytest.raises(ConfigError, match=message):
        ViewSettings.from_dict(settings)
