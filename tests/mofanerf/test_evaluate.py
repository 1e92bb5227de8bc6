"""Scores, baselines, table and figure of a model trained for seconds."""

import csv

import numpy as np
import pytest
from PIL import Image

from facemill.errors import DataError
from facemill.files import sha256
from facemill.mofanerf import baselines
from facemill.mofanerf.config import EvaluateConfig
from facemill.mofanerf.evaluate import evaluate, items, published_macs_per_ray
from facemill.mofanerf.face_model import CodesFile
from facemill.mofanerf.figures import novel_views
from facemill.mofanerf.splits import read_view_split
from facemill.mofanerf.table import COST, PAIRS, REFERENCE, SEEN, UNSEEN, table
from facemill.render.view_pack import ViewPack

SETTINGS = {"people": 2, "views": 1, "reference_size": 16, "device": "cpu"}


@pytest.fixture(scope="module")
def scores(trained, rendered):
    out = trained.parent / "scores.csv"
    made = (rendered.codes, rendered.split, rendered.views)
    return evaluate(trained, *made, "fast", SETTINGS, out), out


def mean(rows, method, split, metric="psnr_masked"):
    found = [r.value for r in rows if (r.method, r.split, r.metric) == (method, split, metric)]
    assert found
    return float(np.mean(found))


def test_held_out_views_are_better_than_the_mean_face(scores):
    rows, _ = scores
    assert mean(rows, "fast", SEEN) > mean(rows, "mean_face", SEEN) + 1


def test_all_methods_meet_the_same_images(scores):
    rows, _ = scores
    of = {}
    for row in rows:
        if row.metric == "psnr":
            of.setdefault(row.method, set()).add((row.split, row.person, row.expression, row.view))
    assert set(of) == {"fast", "mean_face", "nearest_view", "textured_mesh"}
    known = {image for image in of["fast"] if image[0] == SEEN}
    assert of["textured_mesh"] == of["fast"] - known and known
    assert of["mean_face"] == of["nearest_view"] == of["fast"]


def test_a_textured_mesh_of_known_people_is_close(scores):
    """Texture and neutral mesh of training people are known: the expression is predicted."""
    assert mean(scores[0], "textured_mesh", PAIRS) > 20


def test_costs_and_reference_are_told(scores):
    rows, _ = scores
    values = {row.metric: row.value for row in rows if row.split in (COST, REFERENCE)}
    assert values["network_calls_per_ray"] == 24
    assert values["evaluations_saved"] > 15
    assert values["frame_seconds"] > 0 and values["peak_memory"] > 0


def test_the_published_cost_of_a_ray():
    assert published_macs_per_ray() == pytest.approx(3.62e9, rel=2e-3)


def test_items_hold_out_what_the_split_says(rendered):
    split = read_view_split(rendered.split)
    packs = {
        p: ViewPack(rendered.views / f"{p}.zip") for p in (*split.train_people, *split.test_people)
    }
    found = list(items(split, packs, EvaluateConfig(people=0)))
    assert {item.view for item in found} == set(split.test_views)
    assert {(i.person, i.expression) for i in found if i.split == PAIRS} == set(split.test_pairs)
    assert all(split.trains_on(i.person, i.expression) for i in found if i.split == SEEN)
    assert {i.person for i in found if i.split == UNSEEN} == set(split.test_people)


def test_the_nearest_training_view_is_one_of_training(rendered):
    split, codes = read_view_split(rendered.split), CodesFile(rendered.codes)
    people = (*split.train_people, *split.test_people)
    packs = {p: ViewPack(rendered.views / f"{p}.zip") for p in people}
    shapes = {p: codes.shape(p) for p in people}
    person, view = split.train_people[0], split.test_views[0]
    picture = baselines.nearest_training_view(packs, split, shapes, person, "1_neutral", view)
    known = [baselines.over_black(packs[person].image("1_neutral", v)) for v in split.train_views]
    assert any(np.array_equal(picture, k) for k in known)
    pair_person, pair_expression = split.test_pairs[0]
    picture = baselines.nearest_training_view(
        packs, split, shapes, pair_person, pair_expression, view
    )
    held = [
        baselines.over_black(packs[pair_person].image(pair_expression, v))
        for v in split.train_views
    ]
    assert not any(np.array_equal(picture, k) for k in held)


def test_the_table_is_tidy_and_lists_baselines_once(scores, tmp_path):
    _, out = scores
    rows = table([out, out], tmp_path / "table.csv")
    with open(tmp_path / "table.csv", newline="") as file:
        written = list(csv.DictReader(file))
    assert list(written[0]) == ["system", "method", "split", "metric", "unit", "value", "n"]
    assert len(written) == len(rows)
    keys = [(r.method, r.split, r.metric) for r in rows]
    assert len(keys) == len(set(keys))
    assert {SEEN, PAIRS, UNSEEN, COST, REFERENCE} == {r.split for r in rows}


def test_the_figure_is_a_picture(trained, rendered, tmp_path):
    out = tmp_path / "views.png"
    settings = {"rows": 1, "yaws": [0.0, 30.0], "size": 32}
    novel_views(trained, rendered.codes, rendered.split, rendered.views, settings, out)
    with Image.open(out) as picture:
        assert min(picture.size) > 200


def test_codes_of_another_run_are_refused(trained, rendered, tmp_path):
    other = tmp_path / "codes.npz"
    with np.load(rendered.codes) as arrays:
        np.savez(other, **{k: v for k, v in arrays.items()}, more=np.zeros(1))
    assert sha256(other) != sha256(rendered.codes)
    with pytest.raises(DataError, match="trained with codes of checksum"):
        evaluate(
            trained, other, rendered.split, rendered.views, "fast", SETTINGS, tmp_path / "s.csv"
        )
