"""Face packs and sample packs: what is written is read back; damage is named."""

import json

import numpy as np
import pytest

from facemill.data.packs import (
    FacePack,
    PreparedScan,
    SamplePack,
    write_face_pack,
    write_sample_pack,
)
from facemill.errors import DataError
from facemill.mesh.frames import Similarity
from facemill.mesh.surface import Mesh


def scan(seed, faces=((0, 1, 2), (0, 2, 3)), uv=True):
    rng = np.random.default_rng(seed)
    textured = (
        {"uv": np.array([[0, 0], [1, 0], [1, 1.0]]), "faces_uv": np.array([[0, 1, 2], [0, 2, 1]])}
        if uv
        else {}
    )
    mesh = Mesh(rng.normal(size=(4, 3)), np.array(faces), **textured)
    sheet = Mesh(rng.normal(size=(3, 3)), np.array([[0, 1, 2]]))
    closed = Mesh(rng.normal(size=(5, 3)), np.array([[0, 1, 2], [2, 3, 4]]))
    return PreparedScan(
        mesh,
        rng.normal(size=(68, 3)),
        sheet,
        closed,
        Similarity(10.0, np.eye(3), rng.normal(size=3)),
    )


def same(a, b):
    np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6)


def test_a_face_pack_gives_back_every_scan(tmp_path):
    scans = {"10_dimpler": scan(0), "2_smile": scan(1), "1_neutral": scan(2)}
    write_face_pack(tmp_path / "p é 1.npz", scans)
    pack = FacePack(tmp_path / "p é 1.npz")
    assert pack.expressions == ("1_neutral", "2_smile", "10_dimpler")
    for name, expected in scans.items():
        for got, wanted in (
            (pack.registered(name), expected.mesh),
            (pack.sheet(name), expected.sheet),
            (pack.closed(name), expected.closed),
        ):
            same(got.vertices, wanted.vertices)
            assert np.array_equal(got.faces, wanted.faces)
        same(pack.registered(name).uv, expected.mesh.uv)
        assert np.array_equal(pack.registered(name).faces_uv, expected.mesh.faces_uv)
        same(pack.landmarks(name), expected.landmarks)
        same(pack.source_to_face(name).matrix, expected.source_to_face.matrix)


def test_a_scan_of_another_connectivity_keeps_its_own(tmp_path):
    scans = {"1_neutral": scan(0), "2_smile": scan(1, faces=((0, 1, 3), (1, 2, 3)), uv=False)}
    write_face_pack(tmp_path / "p.npz", scans)
    pack = FacePack(tmp_path / "p.npz")
    assert pack.registered("1_neutral").uv is not None
    assert pack.registered("2_smile").uv is None
    assert np.array_equal(pack.registered("2_smile").faces, scans["2_smile"].mesh.faces)


def test_the_same_scans_make_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        write_face_pack(tmp_path / f"{name}.npz", {"1_neutral": scan(0), "2_smile": scan(1)})
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_damaged_and_foreign_face_packs_are_named(tmp_path):
    path = tmp_path / "p.npz"
    with pytest.raises(DataError, match=r"p\.npz: no such file"):
        FacePack(path)
    np.savez(path, something=np.zeros(3))
    with pytest.raises(DataError, match="no face pack"):
        FacePack(path)
    write_face_pack(path, {"1_neutral": scan(0)})
    with pytest.raises(DataError, match="no expression 2_smile; it holds 1_neutral"):
        FacePack(path).sheet("2_smile")
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match="not a whole"):
        FacePack(path)


def sample_pack(tmp_path, rows=10):
    samples = np.random.default_rng(0).normal(size=(2, rows, 7)).astype(np.float32)
    landmarks = np.random.default_rng(1).normal(size=(2, 68, 3))
    manifest = {
        "expressions": ["2_smile", "1_neutral"],
        "surface_points": rows - 3,
        "free_points": 3,
        "landmarks": {"2_smile": landmarks[0].tolist(), "1_neutral": landmarks[1].tolist()},
    }
    path = tmp_path / "p.npy"
    write_sample_pack(path, manifest, iter(samples))
    return path, samples, landmarks


def test_a_sample_pack_gives_back_scans_and_blocks(tmp_path):
    path, samples, landmarks = sample_pack(tmp_path)
    pack = SamplePack(path)
    assert pack.expressions == ("2_smile", "1_neutral") and pack.rows == 10
    assert np.array_equal(pack.scan("1_neutral"), samples[1])
    same(pack.landmarks("2_smile"), landmarks[0])
    assert np.array_equal(pack.block("2_smile", 2, 5), samples[0, 2:7])


@pytest.mark.parametrize(("start", "count"), [(0, 10), (7, 5), (9, 23), (13, 4), (0, 0)])
def test_a_block_goes_round_at_the_end(tmp_path, start, count):
    path, samples, _ = sample_pack(tmp_path)
    wrapped = samples[1][(start + np.arange(count)) % 10]
    assert np.array_equal(SamplePack(path).block("1_neutral", start, count), wrapped)


def test_a_truncated_sample_pack_is_named(tmp_path):
    path, _, _ = sample_pack(tmp_path)
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(DataError, match=r"p\.npy: not a whole \.npy file"):
        SamplePack(path)


def test_a_pack_and_a_manifest_of_two_runs_are_refused(tmp_path):
    path, _, _ = sample_pack(tmp_path)
    manifest = json.loads(path.with_suffix(".json").read_text())
    for change in (
        {"expressions": ["1_neutral"]},
        {"free_points": 4},
        {"landmarks": {name: [[0, 0, 0]] * 67 for name in manifest["expressions"]}},
        {"landmarks": {}},
        {"expressions": None},
    ):
        path.with_suffix(".json").write_text(json.dumps(manifest | change))
        with pytest.raises(DataError, match=r"p\.(npy|json)"):
            SamplePack(path)


def test_too_few_scans_leave_no_file(tmp_path):
    manifest = {"expressions": ["a", "b"], "surface_points": 2, "free_points": 1, "landmarks": {}}
    with pytest.raises(DataError, match="1 scans for 2 expressions"):
        write_sample_pack(tmp_path / "p.npy", manifest, iter([np.zeros((3, 7), np.float32)]))
    assert list(tmp_path.iterdir()) == []
