import numpy as np
import pytest
from synthetic_faces import EXPRESSIONS, UNSEEN, write_dataset

from facemill.data.packs import FacePack
from facemill.errors import DataError
from facemill.files import read_json
from facemill.mesh.distance import distance_to_mesh
from facemill.mesh.nearest_scan import fit_person, nearest_scans
from facemill.metrics.scores import read_fit

SEEN = [expression for expression in EXPRESSIONS if expression not in UNSEEN]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return write_dataset(tmp_path_factory.mktemp("nearest"), train=3, test=1, rows=2000)


def test_a_training_scan_finds_itself(dataset):
    split = read_json(dataset.index)["split"]
    points = {
        f"{person} {expression}": FacePack(dataset.faces(person)).sheet(expression).vertices
        for person in dataset.train
        for expression in SEEN
    }
    for name, (person, expression, distance) in nearest_scans(
        points, split, dataset.faces()
    ).items():
        assert name == f"{person} {expression}"
        assert distance < 1e-4


def test_it_is_the_nearest_of_all_and_a_training_scan_as_it_is(dataset, tmp_path):
    test = dataset.test[0]
    settings = {"nearest_points": 500}
    fit_person(dataset.index, dataset.faces(), dataset.samples(test), settings, tmp_path / "f.npz")
    meshes, arrays = read_fit(tmp_path / "f.npz"), np.load(tmp_path / "f.npz")
    assert set(meshes) == set(EXPRESSIONS)
    for expression, mesh in meshes.items():
        person, known = arrays[f"{expression}/nearest"]
        assert person in dataset.train and known in SEEN
        sheet = FacePack(dataset.faces(person)).sheet(known)
        np.testing.assert_array_equal(mesh.vertices, sheet.vertices)
        target = FacePack(dataset.faces(test)).sheet(expression).vertices
        distances = {
            (p, e): distance_to_mesh(target, FacePack(dataset.faces(p)).sheet(e))[0].mean()
            for p in dataset.train
            for e in SEEN
        }
        # Over the sheet's vertices instead of its samples, almost the same scan is nearest.
        assert distances[person, known] < 1.1 * min(distances.values()) + 0.05


def test_without_training_scans_there_is_an_error(dataset):
    split = {"train": list(dataset.train), "seen_expressions": []}
    with pytest.raises(DataError, match="no training scan with a seen expression"):
        nearest_scans({"a": np.zeros((1, 3))}, split, dataset.faces())
