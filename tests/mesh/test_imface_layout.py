"""ImFace's file layout: names, shapes, types and units as published, and the way back."""

import numpy as np
import pytest
from synthetic_faces import EXPRESSIONS, write_dataset

from facemill.data.packs import FacePack, SamplePack
from facemill.errors import DataError
from facemill.mesh.imface_layout import export_person, read_person, write_template
from facemill.mesh.io import read_mesh


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_dataset(tmp_path_factory.mktemp("data"), train=2, test=0, rows=1000)


@pytest.fixture(scope="module")
def folder(data, tmp_path_factory):
    out = tmp_path_factory.mktemp("Facescape") / "s001"
    export_person(data.faces("s001"), data.samples("s001"), "s001", out)
    return out


def test_files_are_named_shaped_and_typed_as_published(folder):
    arrays = {
        "surf_pcl": ((900, 3), np.float32),
        "surf_nor": ((900, 3), np.float64),
        "free_pcl": ((100, 3), np.float32),
        "free_sdf": ((100,), np.float32),
        "free_grd": ((100, 3), np.float64),
    }
    for k in (1, 2, 3, 19):
        for name, (shape, dtype) in arrays.items():
            values = np.load(folder / f"{k}_{name}.npy")
            assert values.shape == shape and values.dtype == dtype
        assert len((folder / f"{k}.bnd").read_text().splitlines()) == 68
    assert len(list(folder.iterdir())) == 4 * 7


def test_lengths_are_in_units_of_a_hundred_millimetres(folder, data):
    landmarks = np.loadtxt(folder / "1.bnd")
    np.testing.assert_allclose(landmarks[30], [0, 0, 0.4], atol=1e-6)
    assert np.linalg.norm(np.load(folder / "1_free_pcl.npy"), axis=1).max() <= 1 + 1e-6
    sheet = read_mesh(folder / "1.obj")
    np.testing.assert_allclose(
        sheet.vertices * 100, FacePack(data.faces("s001")).sheet("1_neutral").vertices, atol=1e-4
    )
    assert np.linalg.norm(np.load(folder / "1_surf_nor.npy"), axis=1) == pytest.approx(1.0)


def test_what_is_written_is_read_back(folder, data):
    pack, faces = SamplePack(data.samples("s001")), FacePack(data.faces("s001"))
    scans = read_person(folder)
    assert list(scans) == [int(name.split("_")[0]) for name in EXPRESSIONS]
    for expression in EXPRESSIONS:
        scan, rows = scans[int(expression.split("_")[0])], pack.scan(expression)
        on = rows[:, 6] == 0
        for got, wanted in (
            (scan.surface_points, rows[on, :3]),
            (scan.surface_normals, rows[on, 3:6]),
            (scan.free_points, rows[~on, :3]),
            (scan.free_sdf, rows[~on, 6]),
            (scan.free_gradients, rows[~on, 3:6]),
            (scan.landmarks, faces.landmarks(expression)),
            (scan.sheet.vertices, faces.sheet(expression).vertices),
        ):
            np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-4)
        np.testing.assert_array_equal(scan.sheet.faces, faces.sheet(expression).faces)


def test_the_template_is_the_mean_of_the_neutrals(data, tmp_path):
    people = [data.faces(person) for person in data.train]
    write_template(tmp_path / "FacescapeNormal.bnd", people)
    mean = np.mean([FacePack(path).landmarks("1_neutral") for path in people], axis=0)
    np.testing.assert_allclose(np.loadtxt(tmp_path / "FacescapeNormal.bnd") * 100, mean, atol=1e-4)
    with pytest.raises(DataError, match="no face pack with 1_neutral"):
        write_template(tmp_path / "none.bnd", [])


def test_damaged_folders_are_named(folder, tmp_path):
    with pytest.raises(DataError, match="no person of ImFace's layout"):
        read_person(tmp_path)
    for path in folder.glob("1*"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    np.save(tmp_path / "1_free_sdf.npy", np.zeros(99, np.float32))
    for path in tmp_path.glob("19*"):
        path.unlink()
    with pytest.raises(DataError, match="not equally long"):
        read_person(tmp_path)
    np.save(tmp_path / "1_free_sdf.npy", np.zeros((100, 1), np.float32))
    with pytest.raises(DataError, match="1_free_sdf"):
        read_person(tmp_path)
    (tmp_path / "1_surf_pcl.npy").unlink()
    with pytest.raises(DataError, match=r"1_surf_pcl\.npy: no such file"):
        read_person(tmp_path)


def test_packs_of_two_runs_are_refused_and_nothing_is_left(data, tmp_path):
    other = write_dataset(tmp_path / "other", train=1, test=0, rows=500)
    faces = FacePack(other.faces("s001"))
    assert faces.expressions == EXPRESSIONS
    from facemill.data.packs import PreparedScan, write_face_pack

    one = PreparedScan(
        faces.registered("1_neutral"),
        faces.landmarks("1_neutral"),
        faces.sheet("1_neutral"),
        faces.closed("1_neutral"),
        faces.source_to_face("1_neutral"),
    )
    write_face_pack(tmp_path / "few.npz", {"1_neutral": one})
    with pytest.raises(DataError, match="not of one run"):
        export_person(tmp_path / "few.npz", data.samples("s001"), "s001", tmp_path / "out")
    assert not (tmp_path / "out").exists()
