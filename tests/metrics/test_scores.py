"""From fit and faces files to rows, and from rows to a table."""

import numpy as np
import pytest
from synthetic_faces import EXPRESSIONS, write_dataset

from facemill.data.packs import FacePack
from facemill.errors import ConfigError, DataError, GeometryError
from facemill.files import read_json, write_npz
from facemill.metrics.scores import Score, evaluate_person, read_scores, write_scores
from facemill.metrics.tables import (
    FLOOR,
    Row,
    as_markdown,
    compare_tables,
    read_table,
    summarise,
    write_table,
)

SPLIT = {"test": {"t1", "t2"}, "unseen_expressions": {"6_jaw_right"}}


def score(method="se3", person="t1", expression="2_smile", metric="f_score_1mm", value=1.0):
    return Score("imface", method, person, expression, metric, "%", value)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return write_dataset(tmp_path_factory.mktemp("scores"), train=1, test=1, rows=100)


def perfect_fit(dataset, folder, shift=0.0):
    person = dataset.test[0]
    pack = FacePack(dataset.faces(person))
    arrays = {}
    for expression in EXPRESSIONS:
        sheet = pack.sheet(expression)
        arrays[f"{expression}/vertices"] = (sheet.vertices + np.array([0, 0, shift])).astype(
            np.float32
        )
        arrays[f"{expression}/faces"] = sheet.faces
    write_npz(folder / "fit.npz", arrays)
    return folder / "fit.npz"


def evaluated(dataset, fit, method="se3", **settings):
    person = dataset.test[0]
    return evaluate_person(
        fit, dataset.faces(person), system="imface", method=method, person=person,
        settings={"points": 3000} | settings, out=fit.with_suffix(".csv"),
    )  # fmt: skip


def test_rows_are_written_and_read_back(dataset, tmp_path):
    fit = perfect_fit(dataset, tmp_path)
    scores = evaluated(dataset, fit)
    assert {s.expression for s in scores} == set(EXPRESSIONS)
    assert all(s.value < 1e-5 for s in scores if s.metric == "point_to_surface_mean")
    again = read_scores(fit.with_suffix(".csv"))
    assert [s.metric for s in again] == [s.metric for s in scores]
    np.testing.assert_allclose([s.value for s in again], [s.value for s in scores], atol=1e-6)


def test_same_seed_same_bytes_and_the_same_floor_for_every_method(dataset, tmp_path):
    fit = perfect_fit(dataset, tmp_path)
    evaluated(dataset, fit)
    first = fit.with_suffix(".csv").read_bytes()
    evaluated(dataset, fit)
    assert fit.with_suffix(".csv").read_bytes() == first
    other = evaluated(dataset, perfect_fit(dataset, tmp_path, shift=1.0), method="pca")
    floors = {s.metric: s.value for s in read_scores(fit.with_suffix(".csv"))}
    for s in other:
        if s.metric.endswith("_floor") and s.expression == EXPRESSIONS[-1]:
            assert s.value == pytest.approx(floors[s.metric], abs=1e-6)


def test_fit_of_another_person_or_with_broken_mesh_is_refused(dataset, tmp_path):
    fit = perfect_fit(dataset, tmp_path)
    with pytest.raises(ConfigError, match=r"evaluate\.point: unknown key; did you mean 'points'"):
        evaluated(dataset, fit, point=3)
    write_npz(
        fit,
        {"7_jaw_forward/vertices": np.zeros((3, 3)), "7_jaw_forward/faces": np.eye(3, dtype=int)},
    )
    with pytest.raises(DataError, match=r"fit\.npz: holds 7_jaw_forward, which"):
        evaluated(dataset, fit)
    nothing = {"1_neutral/vertices": np.zeros((0, 3)), "1_neutral/faces": np.zeros((0, 3), int)}
    write_npz(fit, nothing)
    with pytest.raises(GeometryError, match="1_neutral: 0 vertices"):
        evaluated(dataset, fit)
    write_npz(fit, {"codes": np.zeros(3)})
    with pytest.raises(DataError, match="holds no reconstructed scan"):
        evaluated(dataset, fit)


def test_means_run_over_scans_by_split_and_the_floor_is_a_method_of_its_own():
    scores = [
        score(value=1.0),
        score(person="t2", value=3.0),
        score(expression="6_jaw_right", value=7.0),
        score(metric="f_score_1mm_floor", value=99.0),
        score(method="pca", metric="f_score_1mm_floor", value=99.0),
        score(person="a training person", value=50.0),
    ]
    rows = {(r.method, r.split): r for r in summarise(scores, SPLIT)}
    assert rows["se3", "unseen people, seen expressions"].value == 2.0
    assert rows["se3", "unseen people, seen expressions"].n == 2
    assert rows["se3", "unseen people, unseen expressions"].value == 7.0
    floor = rows[FLOOR, "unseen people, seen expressions"]
    assert (floor.metric, floor.value, floor.n, floor.system) == ("f_score_1mm", 99.0, 1, "data")
    assert rows["se3", "training people, seen expressions"].n == 1


def test_tables_are_written_read_and_laid_side_by_side(tmp_path):
    one = [
        Row("imface", "se3", "a", "m", "mm", 0.5, 3),
        Row("imface", "se3", "a", "k", "mm", 1.0, 3),
    ]
    two = [Row("nfs", "full", "a", "m", "mm", 0.25, 2)]
    write_table(tmp_path / "one.csv", one)
    write_table(tmp_path / "two.csv", two)
    assert read_table(tmp_path / "one.csv") == one
    rows = compare_tables([tmp_path / "one.csv", tmp_path / "two.csv"], tmp_path / "all.csv")
    assert [(r.metric, r.system) for r in rows] == [("m", "imface"), ("m", "nfs"), ("k", "imface")]
    assert read_table(tmp_path / "all.csv") == rows


def test_markdown_marks_the_best_method_but_not_the_floor():
    rows = [
        Row("imface", "se3", "s", "chamfer_sampled", "mm", 0.6, 4),
        Row("baselines", "pca", "s", "chamfer_sampled", "mm", 0.7, 4),
        Row("data", FLOOR, "s", "chamfer_sampled", "mm", 0.3, 4),
        Row("imface", "se3", "s", "f_score_1mm", "%", 80.0, 4),
        Row("baselines", "pca", "s", "f_score_1mm", "%", 90.0, 4),
    ]
    text = as_markdown(rows)
    assert "**0.600**" in text and "**90.00**" in text
    assert "**0.300**" not in text and "**80.00**" not in text
    assert text.splitlines()[-1].startswith("| data ")
    assert len({len(line) for line in text.splitlines()[2:]}) == 1


def test_foreign_and_damaged_files_are_named(tmp_path):
    write_scores(tmp_path / "s.csv", [score()])
    with pytest.raises(DataError, match=r"s\.csv: columns"):
        read_table(tmp_path / "s.csv")
    text = (tmp_path / "s.csv").read_text()
    (tmp_path / "cut.csv").write_text(text[:-12])
    with pytest.raises(DataError, match=r"cut\.csv: line 2 is damaged"):
        read_scores(tmp_path / "cut.csv")
    with pytest.raises(DataError, match=r"none\.csv: no such file"):
        read_scores(tmp_path / "none.csv")


def test_index_of_the_dataset_names_the_split(dataset):
    split = read_json(dataset.index)["split"]
    person, unseen = dataset.test[0], split["unseen_expressions"][0]
    rows = summarise([score(person=person, expression=unseen)], split)
    assert rows[0].split == "unseen people, unseen expressions"
