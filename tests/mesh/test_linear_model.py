import numpy as np
import pytest
from synthetic_faces import EXPRESSIONS, UNSEEN, face, write_dataset

from facemill.data.packs import FacePack, SamplePack
from facemill.errors import ConfigError, DataError
from facemill.mesh.linear_model import (
    fit_person,
    fit_to_surface,
    load_linear_model,
    principal_components,
    train_linear_model,
)
from facemill.mesh.surface import Mesh
from facemill.mesh.surface_fit import BaselineConfig, surface_samples
from facemill.metrics.scores import evaluate_person, read_fit

QUICK = {"components": 12, "points": 2000, "iterations": 12}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return write_dataset(tmp_path_factory.mktemp("linear"))


@pytest.fixture(scope="module")
def trained(dataset):
    path = dataset.folder / "linear_model.npz"
    train_linear_model(dataset.index, dataset.faces(), QUICK, path)
    return path


def random_scans(n, modes, seed=0):
    """Scans that vary along ``modes`` directions only."""
    rng = np.random.default_rng(seed)
    mesh = face(np.zeros(4), "1_neutral")
    directions = rng.normal(size=(modes, *mesh.vertices.shape))
    scans = mesh.vertices + np.tensordot(rng.normal(size=(n, modes)), directions, 1)
    return scans, mesh.faces


def test_as_many_components_as_the_data_vary_in():
    scans, faces = random_scans(10, 3)
    model = principal_components(scans, faces, landmarks=np.arange(68), components=8, source="test")
    assert len(model.components) == 3
    few = principal_components(scans[:3], faces, landmarks=np.arange(68), components=8, source="")
    assert len(few.components) == 2


def test_training_scans_lie_in_the_model_and_have_coefficients_of_unit_variance():
    scans, faces = random_scans(10, 3)
    model = principal_components(scans, faces, landmarks=np.arange(68), components=8, source="test")
    basis = model.components.reshape(3, -1).T.astype(np.float64)
    offsets = (scans - model.mean).reshape(10, -1)
    coefficients, *_ = np.linalg.lstsq(basis, offsets.T)
    np.testing.assert_allclose(basis @ coefficients, offsets.T, atol=1e-3)
    np.testing.assert_allclose(coefficients.std(axis=1, ddof=1), 1.0, rtol=1e-4)
    assert (np.diff(model.std) <= 0).all()


def test_model_is_of_training_people_and_seen_expressions_only(dataset, trained):
    model = load_linear_model(trained)
    scans = len(dataset.train) * (len(EXPRESSIONS) - len(UNSEEN))
    assert model.source.startswith(f"{scans} scans")
    packs = [FacePack(dataset.faces(person)) for person in dataset.train]
    mean = np.mean(
        [p.registered(e).vertices for p in packs for e in EXPRESSIONS if e not in UNSEEN], axis=0
    )
    # The nose tip is a landmark and the same spot in every scan.
    np.testing.assert_allclose(model.mean[model.landmarks[30]], mean[0], atol=1e-4)


def test_fit_without_correspondence_finds_a_face_of_the_model(trained):
    model = load_linear_model(trained)
    rng = np.random.default_rng(1)
    truth = rng.normal(size=len(model.components)) * 0.7
    target = Mesh(model.vertices(truth), model.faces)
    from facemill.mesh.sampling import sample_surface

    samples = sample_surface(target, 3000, rng)
    config = BaselineConfig(**QUICK)
    found = fit_to_surface(model, samples.points, samples.normals, config)
    error = np.linalg.norm(model.vertices(found) - target.vertices, axis=1)
    before = np.linalg.norm(model.mean - target.vertices, axis=1)
    assert error.mean() < 0.1 * before.mean()


def test_outliers_and_turned_normals_do_not_pull(dataset, trained):
    model = load_linear_model(trained)
    pack = SamplePack(dataset.samples(dataset.test[0]))
    points, normals = surface_samples(pack, "1_neutral", 2000, np.random.default_rng(0))
    config = BaselineConfig(**QUICK)
    clean = fit_to_surface(model, points, normals, config)
    far = points[:200] + np.array([0, 0, 30.0])
    turned = normals[:200] @ np.diag([1.0, 1.0, -1.0])
    with_rubbish = fit_to_surface(
        model,
        np.concatenate([points, far, points[:200] + 0.5]),
        np.concatenate([normals, normals[:200], turned]),
        config,
    )
    change = np.linalg.norm(model.vertices(with_rubbish) - model.vertices(clean), axis=1)
    assert change.mean() < 0.15


def test_pca_beats_the_mean_face_on_unseen_people(dataset, trained):
    person = dataset.test[0]
    errors = {}
    for method in ("pca", "mean"):
        out = dataset.folder / method / f"{person}.npz"
        fit_person(trained, dataset.samples(person), method=method, settings=QUICK, out=out)
        scores = evaluate_person(
            out, dataset.faces(person), system="baselines", method=method, person=person,
            settings={"points": 3000}, out=out.with_suffix(".csv"),
        )  # fmt: skip
        errors[method] = np.mean([s.value for s in scores if s.metric == "point_to_surface_mean"])
        assert set(read_fit(out)) == set(EXPRESSIONS)
    assert errors["pca"] < 0.5 * errors["mean"]
    means = read_fit(dataset.folder / "mean" / f"{person}.npz")
    np.testing.assert_array_equal(means["1_neutral"].vertices, means["2_smile"].vertices)


def test_same_seed_same_bytes(dataset, trained, tmp_path):
    for name in ("a.npz", "b.npz"):
        fit_person(
            trained, dataset.samples(dataset.test[0]), method="pca", settings=QUICK,
            out=tmp_path / name,
        )  # fmt: skip
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_what_cannot_be_done_is_named(dataset, trained, tmp_path):
    with pytest.raises(ConfigError, match="method: found median"):
        fit_person(trained, dataset.samples(dataset.test[0]), method="median", settings={}, out="x")
    with pytest.raises(ConfigError, match=r"baselines\.component: unknown key; did you mean"):
        train_linear_model(dataset.index, dataset.faces(), {"component": 3}, tmp_path / "m.npz")
    cut = tmp_path / "cut.npz"
    cut.write_bytes(trained.read_bytes()[:5000])
    with pytest.raises(DataError, match=r"cut\.npz"):
        load_linear_model(cut)
