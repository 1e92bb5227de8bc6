"""The way from a trained model to the table, whole, at toy size."""

import math

import pytest

from facemill.errors import DataError
from facemill.files import write_json
from facemill.imface.evaluate import intervals, people, table
from facemill.imface.fit import fit_person
from facemill.mesh.linear_model import fit_person as fit_linear
from facemill.mesh.linear_model import train_linear_model
from facemill.metrics.scores import evaluate_person
from facemill.metrics.tables import FLOOR, read_table

FIT = {
    "fit": {
        "steps": 20,
        "points": 192,
        "learning_rate": 5e-2,
        "weights": {"identity_code": 1e3, "expression_code": 1e3},
    },
    "extraction": {"resolution": 40},
}
QUICK = {"points": 2000}


def test_from_model_to_table(tiny_imface, tmp_path):
    data, person = tiny_imface.data, tiny_imface.data.test[0]
    faces, samples = data.faces(person), data.samples(person)
    paths = []
    fit_person(tiny_imface.model, samples, FIT, tmp_path / "work", tmp_path / "fit.npz", threads=1)
    paths.append(tmp_path / "se3.csv")
    about = {"person": person, "settings": QUICK}
    evaluate_person(
        tmp_path / "fit.npz", faces, system="imface", method="se3", out=paths[-1], **about
    )
    settings = {"components": 16, "points": 1000, "iterations": 8}
    train_linear_model(data.index, data.faces(), settings, tmp_path / "linear.npz")
    for method in ("pca", "mean"):
        fit = tmp_path / f"{method}.npz"
        fit_linear(tmp_path / "linear.npz", samples, method=method, settings=settings, out=fit)
        paths.append(tmp_path / f"{method}.csv")
        evaluate_person(fit, faces, system="baselines", method=method, out=paths[-1], **about)

    rows = table(paths, data.index, tmp_path / "imface.csv")
    assert read_table(tmp_path / "imface.csv")[0].metric == rows[0].metric
    value = {(r.method, r.split, r.metric): r.value for r in rows}
    seen = "unseen people, seen expressions"
    error = {m: value[m, seen, "point_to_surface_mean"] for m in ("se3", "pca", "mean")}
    assert error["se3"] < error["mean"], "fitting must beat a face that nothing was fitted to"
    assert error["pca"] < error["mean"]
    # Sampled metrics cannot tell much below the floor that stands beside them.
    assert value[FLOOR, seen, "chamfer_sampled"] < 1.05 * value["pca", seen, "chamfer_sampled"]
    assert value[FLOOR, seen, "chamfer_sampled"] < value["mean", seen, "chamfer_sampled"]
    assert {r.split for r in rows} == {seen, "unseen people, unseen expressions"}
    assert {r.n for r in rows if r.split == seen} == {3}

    by_person = people(paths, data.index, tmp_path / "people.csv")
    assert {r.person for r in by_person} == {person}
    assert {(r.method, r.split, r.metric): r.value for r in by_person} == pytest.approx(value)
    spans = intervals(paths, data.index, tmp_path / "intervals.csv")
    difference = {(r.method, r.split, r.metric): r for r in spans}[
        "se3 - pca", seen, "point_to_surface_mean"
    ]
    assert difference.value == pytest.approx(error["se3"] - error["pca"])
    assert math.isnan(difference.low), "one person makes no interval"


def test_index_without_a_split_is_named(tmp_path):
    write_json(tmp_path / "index.json", {"people": {}})
    with pytest.raises(DataError, match=r"index\.json: no 'split' where an index has it"):
        table([], tmp_path / "index.json", tmp_path / "t.csv")
    split = {"split": {"test": [], "unseen_expressions": []}}
    write_json(tmp_path / "index.json", split)
    with pytest.raises(DataError, match="0 score files and no row"):
        table([], tmp_path / "index.json", tmp_path / "t.csv")
