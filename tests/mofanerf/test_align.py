"""Raw multi-view scans: the dictionary, what stands in for it, and what is refused."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image
from rendered_heads import demo_mesh
from scipy.spatial.transform import Rotation

from facemill.data import multiview
from facemill.data.demo import texture as demo_texture
from facemill.data.demo import topology
from facemill.data.packs import FacePack, PreparedScan, write_face_pack
from facemill.errors import ConfigError, DataError
from facemill.files import write_json
from facemill.mesh.frames import Similarity
from facemill.mesh.io import write_obj
from facemill.mesh.surface import Mesh
from facemill.metrics.images import psnr
from facemill.mofanerf.align import align_person
from facemill.render.view_pack import ViewPack
from facemill.render.views import render_person

EXPRESSIONS = ("1_neutral", "2_smile", "16_grin")
TO_FACE = Similarity(1.0, np.eye(3), np.array([1.0, -3.0, 20.0]))  # registered file to face frame
OWN = Similarity(
    2.4, Rotation.from_euler("xyz", [25, -30, 12], degrees=True).as_matrix(), np.array([9.0, 40, 2])
)  # raw scan's frame to the registered file's


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Registered meshes of d001, and raw scans of the same heads under the number 17."""
    folder = tmp_path_factory.mktemp("Rohdaten von früher")
    scans, raw = {}, folder / "raw" / "17"
    rng = np.random.default_rng(0)
    known = topology()
    for expression in EXPRESSIONS:
        mesh = demo_mesh("d001", expression)
        marks = mesh.vertices[known.landmarks]
        scans[expression] = PreparedScan(mesh, marks, mesh, mesh, TO_FACE)
        noisy = mesh.vertices + 0.2 * rng.normal(size=mesh.vertices.shape)
        back = OWN.inverse().after(TO_FACE.inverse())
        scan = Mesh(back.apply(noisy), mesh.faces, mesh.uv, mesh.faces_uv)
        write_obj(raw / expression / f"{expression}.obj", scan, "skin.jpg")
        Image.fromarray(demo_texture("d001", 0, 256)).save(raw / expression / "skin.jpg")
        near = back.apply(marks + rng.normal(size=marks.shape))
        np.savetxt(raw / expression / f"{expression}.landmarks.txt", near)
    write_face_pack(folder / "d001.npz", scans)
    entries = {e: {"status": "ok", "texture": None} for e in EXPRESSIONS}
    entries["3_mouth_stretch"] = {"status": "missing", "reason": "no such scan"}
    write_json(
        folder / "d001.json",
        {"stage": "mesh_prepare", "person": "d001", "scans": entries, "settings": {}},
    )
    entry = [OWN.scale, np.column_stack([OWN.rotation, OWN.translation]).tolist()]
    write_json(folder / "Rt_scale_dict.json", {"d001": {"1": entry, "2_smile": entry}})
    return folder


def align(made, out, raw=None, dictionary="Rt_scale_dict.json", **settings):
    align_person(
        "d001", raw or made / "raw" / "17", made / "d001.npz", made / "d001.json", settings,
        out / "d001.npz", out / "d001.json", made / dictionary if dictionary else None,
    )  # fmt: skip
    return json.loads((out / "d001.json").read_text())["scans"]


@pytest.fixture(scope="module")
def aligned(made, tmp_path_factory):
    out = tmp_path_factory.mktemp("aligned")
    return out, align(made, out)


def test_the_dictionary_is_used_where_it_has_an_entry_and_measured(aligned):
    _, scans = aligned
    assert {e: scans[e].get("how") for e in scans} == {
        "1_neutral": "dictionary",
        "2_smile": "dictionary",
        "16_grin": "landmarks",
        "3_mouth_stretch": None,
    }
    assert scans["3_mouth_stretch"]["status"] == "missing"
    for expression in EXPRESSIONS:
        entry = scans[expression]
        assert 0.05 < entry["median_residual"] < 0.4  # the noise
        scale, matrix = entry["source_to_registered"]
        assert scale == pytest.approx(OWN.scale, rel=2e-3)
        np.testing.assert_allclose(np.array(matrix)[:, :3], OWN.rotation, atol=3e-3)
        np.testing.assert_allclose(np.array(matrix)[:, 3], OWN.translation, atol=0.5)


def test_what_is_written_has_the_dictionary_s_form(aligned, tmp_path):
    _, scans = aligned
    table = {"d001": {e: scans[e]["source_to_registered"] for e in EXPRESSIONS}}
    write_json(tmp_path / "own.json", table)
    assert multiview.alignment(multiview.read_alignments(tmp_path / "own.json"), "d001", "16_grin")


def test_aligned_scans_are_rendered_as_registered_ones_are(made, aligned, tmp_path):
    out, scans = aligned
    settings = {"size": 64, "pitches": [0], "yaws": 3, "expressions": ["1_neutral"]}
    render_person(out / "d001.npz", out / "d001.json", settings, tmp_path / "a.zip", out / "m.json")
    pack = FacePack(made / "d001.npz")
    assert len(FacePack(out / "d001.npz").registered("1_neutral").vertices) <= len(
        pack.registered("1_neutral").vertices
    )
    manifest = json.loads((made / "d001.json").read_text())
    manifest["scans"] = {"1_neutral": {"status": "ok", "texture": scans["1_neutral"]["texture"]}}
    write_json(tmp_path / "d001.json", manifest)
    render_person(
        made / "d001.npz", tmp_path / "d001.json", settings, tmp_path / "b.zip", out / "m.json"
    )
    with ViewPack(tmp_path / "a.zip") as raw, ViewPack(tmp_path / "b.zip") as registered:
        for view in raw.names:
            one, other = (p.image("1_neutral", view) / 255.0 for p in (raw, registered))
            assert psnr(one[..., :3], other[..., :3], (one[..., 3] > 0) & (other[..., 3] > 0)) > 28
            near = raw.depth("1_neutral", view) - registered.depth("1_neutral", view)
            assert np.median(np.abs(near)) < 0.5


def test_a_scan_without_landmarks_is_searched(made, tmp_path, monkeypatch):
    monkeypatch.setattr("facemill.data.place.UNKNOWN_SIZES", (300.0,))  # all five take long
    raw = shutil.copytree(made / "raw" / "17", tmp_path / "17")
    for expression in EXPRESSIONS[1:]:
        shutil.rmtree(raw / expression)
    (raw / "1_neutral" / "1_neutral.landmarks.txt").unlink()
    scans = align(made, tmp_path, raw, dictionary=None)
    assert scans["1_neutral"]["how"] == "search"
    assert scans["1_neutral"]["median_residual"] < 0.4
    assert scans["1_neutral"]["source_to_registered"][0] == pytest.approx(OWN.scale, rel=2e-3)
    assert scans["2_smile"]["status"] == "missing" and "17" in scans["2_smile"]["reason"]


def refused(made, tmp_path, message, **more):
    with pytest.raises(DataError, match=message):
        align(made, tmp_path / "out", **more)
    assert not (tmp_path / "out" / "d001.npz").exists()


def test_another_scan_s_dictionary_entry_is_refused(made, tmp_path):
    off = OWN.translation + np.array([0, 0, 12.0])
    entry = [OWN.scale, np.column_stack([OWN.rotation, off]).tolist()]
    write_json(made / "off.json", {"d001": {"1": entry}})
    message = r"1_neutral\.obj: the median distance .* at most 2 mm.*numbering"
    refused(made, tmp_path, message, dictionary="off.json")


def test_exchanged_landmarks_and_a_scan_without_texture_are_refused(made, tmp_path):
    raw = shutil.copytree(made / "raw" / "17", tmp_path / "17")
    marks = raw / "16_grin" / "16_grin.landmarks.txt"
    np.savetxt(marks, np.loadtxt(marks) * [-1, 1, 1])
    refused(made, tmp_path, r"16_grin\.landmarks\.txt: the mirror image", raw=raw)
    shutil.copy(made / "raw" / "17" / "16_grin" / marks.name, marks)
    (raw / "16_grin" / "skin.jpg").unlink()
    refused(made, tmp_path, r"16_grin\.obj: no texture", raw=raw)


def test_a_person_without_any_raw_scan_is_named(made, tmp_path):
    (tmp_path / "empty").mkdir()
    refused(made, tmp_path, r"empty: no raw scan of d001", raw=tmp_path / "empty")


@pytest.mark.parametrize(
    "content",
    [
        "{",
        '{"1": [1, 2]}',
        '{"1": {"1": [0, [[1,0,0,0],[0,1,0,0],[0,0,1,0]]]}}',
        '{"1": {"1": [1, [[1,0,0,0],[0,1,0,0],[0,0,-1,0]]]}}',
        '{"1": {"1": [1, [[2,0,0,0],[0,1,0,0],[0,0,1,0]]]}}',
        '{"1": {"1": [1, [[1,0,0],[0,1,0],[0,0,1]]]}}',
    ],
)
def test_a_damaged_dictionary_is_named(tmp_path, content):
    path = tmp_path / "Rt_scale_dict.json"
    path.write_text(content)
    with pytest.raises(DataError, match=r"Rt_scale_dict\.json: .* Expected FaceScape's"):
        multiview.read_alignments(path)


# -- whose scans they are --------------------------------------------------------------------------


def test_people_are_found_by_the_numbering_and_never_by_order(made, tmp_path):
    settings = {"folder": str(made / "raw"), "numbering": None, "dictionary": None}
    assert multiview.scan_folders(None, ["d001"]) == {}
    with pytest.raises(ConfigError, match=r"holds no folder d001 for person d001.*numbering"):
        multiview.scan_folders(settings, ["d001"])
    table = tmp_path / "numbers.csv"
    table.write_text("person,scans\nd001,17\n")
    found = multiview.scan_folders(settings | {"numbering": str(table)}, ["d001"])
    assert found == {"d001": made / "raw" / "17"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n", "the columns are"),
        ("person,scans\n1,2\n1,3\n", "person 1 in several rows"),
        ("person,scans\n1,2\n3,2\n", "scans 2 in several rows"),
        ("person,scans\n1,\n", "scans is empty"),
    ],
)
def test_a_numbering_that_is_not_one_to_one_is_refused(tmp_path, text, message):
    (tmp_path / "numbers.csv").write_text(text)
    with pytest.raises(DataError, match=message):
        multiview.read_numbering(tmp_path / "numbers.csv")


def test_folders_and_files_that_are_not_there_are_named(made, tmp_path):
    with pytest.raises(ConfigError, match=r"raw_scans\.folder: .* is no folder"):
        multiview.scan_folders({"folder": str(tmp_path / "none")}, ["1"])
    settings = {"folder": str(made / "raw"), "dictionary": str(tmp_path / "none.json")}
    with pytest.raises(ConfigError, match=r"raw_scans\.dictionary: .* is not there"):
        multiview.scan_folders(settings, ["17"])
