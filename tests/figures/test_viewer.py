"""The interactive page: whole, without a network, and its data as they were."""

import base64
import json
import re
import zlib

import numpy as np
import pytest

from facemill.data.packs import PreparedScan, write_face_pack
from facemill.errors import DataError, GeometryError
from facemill.figures.reconstructions import coarser, method_name, reconstruction_items
from facemill.figures.viewer import EMBEDDABLE, write_viewer
from facemill.files import write_npz
from facemill.mesh.frames import Similarity
from facemill.mesh.surface import Mesh


def unpacked(page: str, name: str) -> bytes:
    (text,) = re.findall(rf'id="{name}">(.*?)</script>', page, re.S)
    return zlib.decompress(base64.b64decode(text))


def numbers(data: bytes, place: dict) -> np.ndarray:
    """What the page's own program does, in Python."""
    count, offset, stride = place["count"], place["offset"], place["stride"]
    code = np.zeros(count, np.int64)
    for plane in range(place["planes"]):
        start = offset + plane * count
        code |= np.frombuffer(data[start : start + count], np.uint8).astype(np.int64) << 8 * plane
    steps = (code >> 1) ^ -(code & 1)
    return np.cumsum(steps.reshape(-1, stride), axis=0).ravel()


@pytest.fixture
def items(egg):
    colours = np.random.default_rng(0).integers(0, 256, egg.vertices.shape, dtype=np.uint8)
    values = np.linspace(0, 3, len(egg.vertices))
    values[:10] = np.nan
    shape = {"vertices": egg.vertices, "faces": egg.faces}
    return [
        {"name": "scan", "group": "d001 </script>", "colours": colours, "values": None, **shape},
        {"name": "fit", "group": "d001 </script>", "colours": None, "values": values, **shape},
        {"name": "scan", "group": "d002", "colours": colours, "values": None, **shape},
    ]


def test_the_page_holds_its_meshes(tmp_path, egg, items):
    write_viewer(tmp_path / "viewer.html", items, "Köpfe & <more>")
    page = (tmp_path / "viewer.html").read_text(encoding="utf-8")
    assert "<title>Köpfe &amp; &lt;more&gt;</title>" in page
    scene = json.loads(re.search(r'id="scene">(.*?)</script>', page, re.S)[1])
    data = unpacked(page, "data")
    assert [group["name"] for group in scene["groups"]] == ["d001 </script>", "d002"]
    assert scene["modes"] == ["colours", "clay", "values"]
    assert len(scene["faces"]) == 1  # shared by all three
    scan, fit = scene["groups"][0]["items"]
    positions = numbers(data, scan["positions"]).reshape(-1, 3) * scan["step"] + scan["low"]
    assert np.abs(positions - egg.vertices).max() < 0.01
    np.testing.assert_array_equal(
        numbers(data, scene["faces"][scan["faces"]]).reshape(-1, 3), egg.faces
    )
    np.testing.assert_array_equal(
        numbers(data, scan["colours"]).reshape(-1, 3), items[0]["colours"]
    )
    values = numbers(data, fit["values"])
    assert (values[:10] == -1).all()
    np.testing.assert_allclose(values[10:] * fit["valueStep"], items[1]["values"][10:], atol=1e-3)


def test_the_page_fetches_nothing(tmp_path, items):
    write_viewer(tmp_path / "viewer.html", items)
    page = (tmp_path / "viewer.html").read_text(encoding="utf-8")
    # The browser is told to refuse all fetching, and there is nothing to refuse.
    assert "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'" in page
    assert not re.findall(r"""(?:src|href|srcset|action)\s*=|@import|url\(""", page)
    program = unpacked(page, "program").decode()
    assert set(re.findall(r"https?://[^\"'` )]+", program)) <= {"http://www.w3.org/1999/xhtml"}
    assert "Three.js Authors" in program
    assert "SPDX-License-Identifier: MIT" in program


def test_the_program_alone_leaves_room_for_meshes_inside_a_report(tmp_path, items):
    write_viewer(tmp_path / "viewer.html", items)
    size = (tmp_path / "viewer.html").stat().st_size
    assert size < EMBEDDABLE / 4
    assert -(-EMBEDDABLE // 3) * 4 + 40 < 2 * 1024 * 1024


def test_a_page_too_large_for_a_report_is_written_with_a_warning(tmp_path, caplog):
    rng = np.random.default_rng(0)
    vertices = rng.uniform(-100, 100, (120_000, 3))
    faces = rng.integers(0, 120_000, (90_000, 3))
    item = {"name": "noise", "group": "g", "vertices": vertices, "faces": faces}
    write_viewer(tmp_path / "viewer.html", [item])
    assert "inside another page" in caplog.text
    assert (tmp_path / "viewer.html").stat().st_size > EMBEDDABLE


def test_nothing_to_show_is_refused(tmp_path, items):
    with pytest.raises(GeometryError, match="no mesh to show"):
        write_viewer(tmp_path / "viewer.html", [])
    items[1]["vertices"] = np.full((3, 3), np.nan)
    with pytest.raises(GeometryError, match="d001 </script>, fit"):
        write_viewer(tmp_path / "viewer.html", items)
    assert not (tmp_path / "viewer.html").exists()


def test_reconstructions_stand_beside_their_scans(tmp_path, egg):
    scan = PreparedScan(egg, np.zeros((68, 3), np.float32), egg, egg, Similarity())
    names = ["1_neutral", "2_smile"]
    for person in ("d001", "d002"):
        write_face_pack(tmp_path / "faces" / f"{person}.npz", dict.fromkeys(names, scan))
        for method, shift in (("imface/se3", 0.5), ("baselines/pca", 2.0)):
            moved = (egg.vertices + np.array([0, 0, shift])).astype(np.float32)
            arrays = {f"{e}/{k}": v for e in names for k, v in
                      (("vertices", moved), ("faces", egg.faces))}  # fmt: skip
            write_npz(tmp_path / method / "fit" / f"{person}.npz", arrays)
    fits = sorted(tmp_path.glob("*/*/fit/*.npz"))
    faces = sorted((tmp_path / "faces").glob("*.npz"))
    items = reconstruction_items(fits, faces, most_groups=3)
    groups = {item["group"] for item in items}
    assert len(groups) == 3
    assert {group.split(",")[0] for group in groups} == {"d001", "d002"}
    assert [item["name"] for item in items[:3]] == ["scan", "pca", "imface se3"]
    fit = items[2]
    inside = np.linalg.norm(fit["vertices"], axis=1) <= 100
    assert np.isnan(fit["values"][~inside]).all()
    assert np.nanmax(fit["values"]) == pytest.approx(0.5, abs=1e-3)
    with pytest.raises(DataError, match="none of the 4 fit files"):
        reconstruction_items(fits, [], most_groups=3)


def test_a_coarser_mesh_stays_close_and_knows_where_it_came_from(egg):
    small, origin = coarser(egg, 1000)
    assert len(small.faces) <= 1000
    assert np.linalg.norm(egg.vertices[origin] - small.vertices, axis=1).max() < 5
    same, everyone = coarser(egg, 10_000)
    assert same is egg
    assert len(everyone) == len(egg.vertices)
    # Three triangles on one edge are not manifold: shown as they are.
    fan = Mesh(np.eye(5, 3), np.array([[0, 1, 2], [0, 1, 3], [0, 1, 4]], np.int32))
    assert coarser(fan, 1)[0] is fan


def test_methods_are_named_after_their_place():
    from pathlib import Path

    assert method_name(Path("results/demo/imface/se3/fit/d007.npz")) == "imface se3"
    assert method_name(Path("results/demo/baselines/pca/fit/d007.npz")) == "pca"
