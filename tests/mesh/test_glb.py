"""GLB files with morph targets: read back by our reader and by a library, animated, refused."""

import json
import struct

import numpy as np
import pytest

from facemill.errors import DataError
from facemill.mesh.glb import read_glb_morphs, write_glb
from facemill.mesh.io import read_mesh
from facemill.mesh.surface import Mesh

SQUARE = Mesh(
    np.array([[0.0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]]), np.array([[0, 1, 2], [0, 2, 3]])
)
LIFT = {"lift": np.array([[0.0, 0, 0], [0, 0, 1], [0, 0, 1], [0, 0, 0]]), "rest": np.zeros((4, 3))}


def content(path) -> dict:
    raw = path.read_bytes()
    return json.loads(raw[20 : 20 + struct.unpack("<I", raw[12:16])[0]])


def test_what_is_written_comes_back(tmp_path):
    weights = np.array([[0.0, 1.0], [0.5, 0.0], [1.0, 0.25]])
    write_glb(tmp_path / "square.glb", SQUARE, LIFT, weights, fps=10.0)
    found = read_glb_morphs(tmp_path / "square.glb")
    np.testing.assert_array_equal(found.vertices, SQUARE.vertices)
    np.testing.assert_array_equal(found.faces, SQUARE.faces)
    assert list(found.targets) == ["lift", "rest"]
    np.testing.assert_array_equal(found.targets["lift"], LIFT["lift"])
    np.testing.assert_allclose(found.times, [0.0, 0.1, 0.2], atol=1e-7)
    np.testing.assert_array_equal(found.weights, weights)


def test_a_library_reads_the_mesh(tmp_path):
    write_glb(tmp_path / "square.glb", SQUARE, LIFT)
    found = read_mesh(tmp_path / "square.glb")
    np.testing.assert_array_equal(found.vertices, SQUARE.vertices)
    np.testing.assert_array_equal(found.faces, SQUARE.faces)


def test_accessors_lie_in_the_buffer_aligned_and_with_their_range(tmp_path):
    write_glb(tmp_path / "square.glb", SQUARE, LIFT, np.eye(2))
    found = content(tmp_path / "square.glb")
    size = found["buffers"][0]["byteLength"]
    assert (tmp_path / "square.glb").stat().st_size % 4 == 0
    for view in found["bufferViews"]:
        assert view["byteOffset"] % 4 == 0 and view["byteOffset"] + view["byteLength"] <= size
    primitive = found["meshes"][0]["primitives"][0]
    for shape in (primitive["attributes"], *primitive["targets"]):
        accessor = found["accessors"][shape["POSITION"]]
        assert len(accessor["min"]) == len(accessor["max"]) == 3, "demanded of positions"
        assert accessor["count"] == 4
    times = found["accessors"][found["animations"][0]["samplers"][0]["input"]]
    assert times["min"] == [0.0] and times["max"] == [np.float32(1 / 30)]


def test_normals_of_a_target_lead_from_those_at_rest_to_those_moved(tmp_path):
    tilt = {"tilt": np.array([[0.0, 0, 0], [0, 0, 1], [0, 0, 1], [0, 0, 0]])}
    write_glb(tmp_path / "square.glb", SQUARE, tilt)
    found = content(tmp_path / "square.glb")
    raw = (tmp_path / "square.glb").read_bytes()
    start = 28 + struct.unpack("<I", raw[12:16])[0]
    accessor = found["meshes"][0]["primitives"][0]["targets"][0]["NORMAL"]
    view = found["bufferViews"][found["accessors"][accessor]["bufferView"]]
    moved = np.frombuffer(raw, np.float32, 12, start + view["byteOffset"]).reshape(4, 3)
    expected = np.array([-1.0, 0.0, 1.0]) / np.sqrt(2) - [0.0, 0.0, 1.0]
    np.testing.assert_allclose(moved, np.tile(expected, (4, 1)), atol=1e-6)


def test_half_a_file_is_refused(tmp_path):
    write_glb(tmp_path / "square.glb", SQUARE, LIFT)
    raw = (tmp_path / "square.glb").read_bytes()
    (tmp_path / "half.glb").write_bytes(raw[: len(raw) // 2])
    with pytest.raises(DataError, match=r"not a whole .glb file"):
        read_glb_morphs(tmp_path / "half.glb")
