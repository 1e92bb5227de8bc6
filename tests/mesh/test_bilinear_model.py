import numpy as np
import pytest
from synthetic_faces import EXPRESSIONS, UNSEEN, face, write_dataset

from facemill.data.packs import FacePack
from facemill.errors import ConfigError, DataError
from facemill.mesh.bilinear_model import (
    BilinearModel,
    completed,
    fit_person,
    fit_to_surface,
    linearised,
    load_bilinear_model,
    train_bilinear_model,
    tucker_core,
)
from facemill.mesh.sampling import sample_surface
from facemill.mesh.surface import Mesh
from facemill.mesh.surface_fit import BaselineConfig
from facemill.metrics.scores import evaluate_person, read_fit

QUICK = {"identity_components": 8, "expression_components": 8, "points": 2000, "iterations": 12}
ALL = {"identity_components": 99, "expression_components": 99}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return write_dataset(tmp_path_factory.mktemp("bilinear"))


@pytest.fixture(scope="module")
def trained(dataset):
    path = dataset.folder / "bilinear_model.npz"
    train_bilinear_model(dataset.index, dataset.faces(), QUICK, path)
    return path


def made_tensor(people=7, expressions=5, identity=3, expression=2, seed=0):
    """Scans of a bilinear world of the given ranks: tensor, factors with their ones, faces."""
    rng = np.random.default_rng(seed)
    mesh = face(np.zeros(4), "1_neutral")
    core = rng.normal(size=(identity + 1, expression + 1, *mesh.vertices.shape))
    core[0, 0] += mesh.vertices
    of_people = np.column_stack([np.ones(people), rng.normal(size=(people, identity))])
    of_expressions = np.column_stack(
        [np.ones(expressions), rng.normal(size=(expressions, expression))]
    )
    tensor = np.einsum("np,mq,pqvx->nmvx", of_people, of_expressions, core)
    return tensor, mesh.faces


def as_model(core):
    return BilinearModel(core, np.arange(68), face(np.zeros(4), "1_neutral").faces, "test")


def test_as_many_components_as_the_data_vary_in():
    tensor, faces = made_tensor()
    core = tucker_core(tensor, faces, identity_components=99, expression_components=99)
    assert core.shape[:2] == (1 + 3, 1 + 2)
    few = tucker_core(tensor, faces, identity_components=2, expression_components=1)
    assert few.shape[:2] == (3, 2)
    np.testing.assert_allclose(few, core[:3, :2])


def test_all_training_scans_lie_in_the_model_and_their_codes_have_unit_variance():
    tensor, faces = made_tensor()
    core = tucker_core(tensor, faces, identity_components=99, expression_components=99)
    np.testing.assert_allclose(core[0, 0], tensor.mean(axis=(0, 1)), atol=1e-9)
    # The mean person has zeros for a code, so that expressions are a least-squares problem of
    # their own; with these known, so are people.
    flat = tensor.mean(axis=0).reshape(tensor.shape[1], -1)
    expressions = np.linalg.lstsq(core[0].reshape(core.shape[1], -1).T, flat.T)[0].T
    model = as_model(core)
    basis = np.stack([model.of_expression(code[1:]) for code in expressions], axis=1)
    flat = basis.reshape(len(basis), -1).T
    people = np.linalg.lstsq(flat, tensor.reshape(len(tensor), -1).T)[0].T
    rebuilt = np.einsum("np,mq,pqvx->nmvx", people, expressions, core)
    np.testing.assert_allclose(rebuilt, tensor, atol=1e-8)
    for codes in (people, expressions):
        np.testing.assert_allclose(codes[:, 0], 1.0)
        np.testing.assert_allclose(codes[:, 1:].mean(axis=0), 0.0, atol=1e-9)
        np.testing.assert_allclose(codes[:, 1:].std(axis=0, ddof=1), 1.0)


def test_a_missing_scan_is_filled_in_as_person_plus_expression():
    rng = np.random.default_rng(1)
    people, expressions = rng.normal(size=(4, 1, 9, 3)), rng.normal(size=(1, 3, 9, 3))
    tensor = people + expressions
    cells = [(i, j) for i in range(4) for j in range(3)]
    kept = [cell for cell in cells if cell not in ((1, 2), (3, 0))]
    filled = completed(
        np.stack([tensor[cell] for cell in kept]), [f"p{i}" for i, _ in kept],
        [f"e{j}" for _, j in kept],
    )  # fmt: skip
    np.testing.assert_allclose(filled, tensor, atol=1e-12)


def test_nothing_that_is_there_is_changed_by_what_is_not():
    rng = np.random.default_rng(2)
    scans = rng.normal(size=(5, 4, 3))
    filled = completed(scans, list("aabbb"), ["x", "y", "x", "y", "z"])
    np.testing.assert_array_equal(filled.reshape(6, 4, 3)[[0, 1, 3, 4, 5]], scans)


def test_people_with_half_of_the_expressions_or_fewer_are_left_out_with_a_line(caplog):
    scans = np.zeros((9, 4, 3))
    people, names = list("aaaabbbbc"), [*"wxyz", *"wxyz", "w"]
    assert completed(scans, people, names).shape == (2, 4, 4, 3)
    assert "left out c (half of the 4 expressions or fewer)" in caplog.text
    with pytest.raises(DataError, match="1 training people have more than half of the expressions"):
        completed(scans[:5], list("aaaac"), [*"wxyz", "w"])


def test_the_linearised_model_touches_the_model():
    tensor, faces = made_tensor()
    model = as_model(tucker_core(tensor, faces, identity_components=3, expression_components=2))
    rng = np.random.default_rng(3)
    a, b = rng.normal(size=3), rng.normal(size=2)
    base, components = linearised(model, a, b)

    def tangent(a, b):
        return base + np.tensordot(np.concatenate([a, b]), components, 1)

    np.testing.assert_allclose(tangent(a, b), model.vertices(a, b), atol=1e-9)
    step = 1e-4
    for i in range(3):
        d = step * np.eye(3)[i]
        np.testing.assert_allclose(tangent(a + d, b), model.vertices(a + d, b), atol=1e-9)
    for j in range(2):
        d = step * np.eye(2)[j]
        np.testing.assert_allclose(tangent(a, b + d), model.vertices(a, b + d), atol=1e-9)


def test_fit_without_correspondence_finds_a_face_of_the_model(trained):
    model = load_bilinear_model(trained)
    rng = np.random.default_rng(1)
    identity, expression = (0.7 * rng.normal(size=size - 1) for size in model.core.shape[:2])
    target = Mesh(model.vertices(identity, expression), model.faces)
    samples = sample_surface(target, 3000, rng)
    config = BaselineConfig(**QUICK)
    found = model.vertices(*fit_to_surface(model, samples.points, samples.normals, config))
    error = np.linalg.norm(found - target.vertices, axis=1)
    before = np.linalg.norm(model.core[0, 0] - target.vertices, axis=1)
    assert error.mean() < 0.15 * before.mean()


def test_landmarks_alone_bring_the_codes_near(trained):
    model = load_bilinear_model(trained)
    identity, expression = np.zeros(model.core.shape[0] - 1), np.zeros(model.core.shape[1] - 1)
    identity[0], expression[0] = 1.5, 1.0
    target = model.vertices(identity, expression)
    nowhere = np.array([[0.0, 0.0, 500.0]]), np.array([[0.0, 0.0, -1.0]])
    found = model.vertices(
        *fit_to_surface(model, *nowhere, BaselineConfig(**QUICK), target[model.landmarks])
    )
    before = np.linalg.norm(model.core[0, 0] - target, axis=1).mean()
    assert np.linalg.norm(found - target, axis=1).mean() < 0.5 * before


def test_model_is_of_training_people_and_seen_expressions_only(dataset, trained):
    model = load_bilinear_model(trained)
    seen = [e for e in EXPRESSIONS if e not in UNSEEN]
    assert model.source.startswith(f"{len(dataset.train)} people x {len(seen)} expressions")
    assert model.core.shape[:2] == (len(dataset.train), len(seen))
    packs = [FacePack(dataset.faces(person)) for person in dataset.train]
    mean = np.mean([p.registered(e).vertices[0] for p in packs for e in seen], axis=0)
    # The nose tip is a landmark and the same spot in every scan.
    np.testing.assert_allclose(model.core[0, 0, model.landmarks[30]], mean, atol=1e-3)


def test_a_training_set_with_a_gap_still_makes_a_model(dataset, tmp_path):
    person = dataset.train[0]
    for path in dataset.faces().glob("*.npz"):
        arrays = dict(np.load(path))
        if path.stem == person:
            arrays = {k: v for k, v in arrays.items() if not k.startswith("2_smile/")}
        np.savez(tmp_path / path.name, **arrays)
    model = train_bilinear_model(dataset.index, tmp_path, QUICK | ALL, tmp_path / "m.npz")
    assert model.core.shape[:2] == (len(dataset.train), len(EXPRESSIONS) - len(UNSEEN))
    assert np.isfinite(model.core).all()


def test_bilinear_beats_the_mean_face_on_unseen_people(dataset, trained, tmp_path):
    person = dataset.test[0]
    model = load_bilinear_model(trained)
    np.savez(tmp_path / "rigid.npz", **vars(model) | {"core": model.core[:1, :1]})
    errors = {}
    for name, used in (("bilinear", trained), ("mean", tmp_path / "rigid.npz")):
        out = tmp_path / f"{name}_fit.npz"
        fit_person(used, dataset.samples(person), QUICK, out)
        scores = evaluate_person(
            out, dataset.faces(person), system="baselines", method=name, person=person,
            settings={"points": 3000}, out=out.with_suffix(".csv"),
        )  # fmt: skip
        seen = [s for s in scores if s.expression not in UNSEEN]
        errors[name] = np.mean([s.value for s in seen if s.metric == "point_to_surface_mean"])
    assert errors["bilinear"] < 0.5 * errors["mean"]
    assert set(read_fit(tmp_path / "bilinear_fit.npz")) == set(EXPRESSIONS)


def test_same_seed_same_bytes(dataset, trained, tmp_path):
    for name in ("a.npz", "b.npz"):
        fit_person(trained, dataset.samples(dataset.test[0]), QUICK, tmp_path / name)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_what_cannot_be_done_is_named(dataset, trained, tmp_path):
    with pytest.raises(ConfigError, match=r"baselines\.identity_component: unknown key; did you"):
        settings = {"identity_component": 3}
        train_bilinear_model(dataset.index, dataset.faces(), settings, tmp_path / "m.npz")
    with pytest.raises(ConfigError, match=r"baselines\.expression_components: found 0"):
        settings = {"expression_components": 0}
        train_bilinear_model(dataset.index, dataset.faces(), settings, tmp_path / "m.npz")
    cut = tmp_path / "cut.npz"
    cut.write_bytes(trained.read_bytes()[:5000])
    with pytest.raises(DataError, match=r"cut\.npz"):
        load_bilinear_model(cut)
