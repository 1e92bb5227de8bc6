"""Driving faces by weights: the linear map, its tables, and what stays as it was."""

import json

import numpy as np
import pytest
import torch

from facemill.errors import DataError
from facemill.mesh.frames import FACE_TO_MOFANERF, HEAD_CENTRE
from facemill.mofanerf.app_figures import rigging
from facemill.mofanerf.config import SamplingConfig
from facemill.mofanerf.landmark_model import LandmarkModel, landmark_vertices
from facemill.mofanerf.rigging import expression_rig, fitted_rig, read_rows
from facemill.render.cameras import orbit

SAMPLING = SamplingConfig(samples=10)
CAMERA = orbit(0, 0, 800, 112.5, 48, 48, HEAD_CENTRE)


def described(faces, names: int = 6) -> dict:
    """The trained expressions in made-up blendshape weights."""
    rng = np.random.default_rng(5)
    return {
        e: {f"shape_{i}": float(w) for i, w in enumerate(rng.random(names))}
        for e in faces.expressions
    }


def test_an_expression_s_own_weight_is_its_trained_code(faces):
    rig, codes = expression_rig(faces), faces.codes_of(faces.train_people[0], faces.expressions[0])
    for row, name in enumerate(faces.expressions[1:], start=1):
        driven = rig.drive(faces, codes, {name: 1.0})
        np.testing.assert_allclose(driven.expression, faces.expression_codes()[row], atol=1e-5)
        np.testing.assert_allclose(driven.mix, np.eye(len(faces.expressions))[row], atol=1e-5)
    neutral = rig.drive(faces, codes, {})
    np.testing.assert_allclose(neutral.expression, faces.expression_codes()[0], atol=1e-5)
    half = rig.drive(faces, codes, {faces.expressions[1]: 0.5})
    np.testing.assert_allclose(
        half.expression, faces.expression_codes()[:2].mean(axis=0), atol=1e-5
    )


def test_the_map_from_blendshapes_is_ridge_regression(faces):
    """From weights to codes, both less neutral: the plain formula, in the other form."""
    given, ridge = described(faces), 0.3
    rig = fitted_rig(faces, given, ridge)
    table = np.array([list(given[e].values()) for e in faces.expressions])
    codes = faces.expression_codes().astype(np.float64)
    x, y = table[1:] - table[0], codes[1:] - codes[0]
    slope = np.linalg.solve(x.T @ x + ridge * np.eye(x.shape[1]), x.T @ y)
    weights = {f"shape_{i}": 0.1 * i for i in range(6)}
    expected = codes[0] + (np.array(list(weights.values())) - table[0]) @ slope
    person = faces.codes_of(faces.train_people[0], faces.expressions[0])
    driven = rig.drive(faces, person, weights)
    np.testing.assert_allclose(driven.expression, expected, atol=1e-4)
    assert driven.mix.sum() == pytest.approx(1.0, abs=1e-5)


def test_without_ridge_the_described_expressions_come_back(faces):
    given = described(faces)
    rig = fitted_rig(faces, given, 0.0)
    for row, expression in enumerate(faces.expressions):
        expected = np.eye(len(faces.expressions))[row]
        np.testing.assert_allclose(rig.mix(given[expression]), expected, atol=1e-4)


def test_the_map_is_linear(faces):
    rig = fitted_rig(faces, described(faces), 0.1)
    a, b = {"shape_0": 1.0}, {"shape_3": 0.5}
    together = rig.mix(a | b) - rig.neutral
    np.testing.assert_allclose(together, rig.mix(a) + rig.mix(b) - 2 * rig.neutral, atol=1e-6)


def test_only_the_expression_moves(faces):
    codes = faces.codes_of(faces.train_people[0], faces.expressions[0])
    driven = expression_rig(faces).drive(faces, codes, {faces.expressions[1]: 1.0})
    np.testing.assert_array_equal(driven.shape, codes.shape)
    np.testing.assert_array_equal(driven.appearance, codes.appearance)
    before, after = (faces.draw(c, CAMERA, SAMPLING) for c in (codes, driven))
    assert np.abs(after.colour - before.colour).max() > 0.01


def field_landmarks(faces, codes) -> np.ndarray:
    """Where the field itself has the landmarks (mm): what it leads to theirs on the mean face."""
    rows, _ = landmark_vertices(faces.codes, faces.surfaces)
    goal = torch.from_numpy(
        FACE_TO_MOFANERF.apply(faces.surfaces.canonical[rows]).astype(np.float32)
    )[None]
    place, ready = goal.clone(), faces.ready(codes)
    with torch.no_grad():
        for _ in range(30):
            place = place + goal - faces.model.fine.to_mean_face(place, ready)
    return FACE_TO_MOFANERF.inverse().apply(place[0].numpy())


def test_the_expression_s_landmarks_move_as_the_linear_model_s_and_others_rest(faces):
    person = faces.train_people[0]
    rest = faces.codes_of(person, faces.expressions[0])
    marks = LandmarkModel(faces.codes, faces.surfaces, faces.device)
    expected, moved = [], []
    for name in faces.expressions[1:]:
        driven = expression_rig(faces).drive(faces, rest, {name: 1.0})
        linear = [marks(torch.from_numpy(c.shape), torch.from_numpy(c.mix)) for c in (rest, driven)]
        expected.append((linear[1] - linear[0]).numpy())
        moved.append(field_landmarks(faces, driven) - field_landmarks(faces, rest))
    expected, moved = np.concatenate(expected), np.concatenate(moved)
    size = np.linalg.norm(expected, axis=1)
    assert np.median(np.linalg.norm(moved, axis=1)[size < 0.3]) < 1.5
    # Seconds of training: 0.7 here, docs/mofanerf.md has the demo's.
    assert np.corrcoef(expected[size > 1].ravel(), moved[size > 1].ravel())[0, 1] > 0.6


def test_appearance_alone_leaves_the_depth_as_it_was(faces):
    first, other = (faces.codes_of(p, faces.expressions[1]) for p in faces.train_people[:2])
    repainted = type(first)(first.shape, first.expression, other.appearance, first.mix)
    before, after = (faces.draw(c, CAMERA, SAMPLING) for c in (first, repainted))
    assert np.abs(after.depth - before.depth).max() < 1e-5
    assert np.abs(after.colour - before.colour).max() > 0.01


def test_tables_are_read_from_csv_and_json(tmp_path):
    table = {"a": {"x": 0.5, "y": 0.0}, "b": {"x": -1.0, "y": 2.0}}
    (tmp_path / "t.json").write_text(json.dumps(table))
    (tmp_path / "t.csv").write_text("row,x,y\na,0.5,\n\nb, -1 ,2\n")
    assert read_rows(tmp_path / "t.json") == table == read_rows(tmp_path / "t.csv")


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("t.csv", "row,x\n", "a row below it"),
        ("t.csv", "row,x\na,1,2\n", "line 2 has 3 cells, the header 2"),
        ("t.csv", "row,x\na,much\n", "row a, x: found 'much', expected a number"),
        ("t.csv", "row,x\na,nan\n", "expected a number"),
        ("t.csv", "row,x\na,1\na,2\n", "two rows are named a"),
        ("t.json", '{"a": 3}', "row a is no table"),
        ("t.json", "[]", "expected"),
        ("t.txt", "x", "not from this ending"),
    ],
)
def test_a_broken_table_is_told(tmp_path, name, text, words):
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match=words):
        read_rows(tmp_path / name)


def test_an_expression_that_is_not_described_is_told(faces):
    given = described(faces)
    del given[faces.expressions[-1]]
    with pytest.raises(DataError, match=f"no weights for {faces.expressions[-1]}"):
        fitted_rig(faces, given, 0.1)


def test_an_unknown_weight_is_told(faces):
    with pytest.raises(DataError, match="weight wink: not in the rig, which has"):
        expression_rig(faces).mix({"wink": 1.0})


def test_weights_from_files_draw_a_matrix_and_each_image(trained, rendered, faces, tmp_path):
    given = described(faces)
    (tmp_path / "rig.json").write_text(json.dumps(given))
    (tmp_path / "w.json").write_text(json.dumps({"one": {"shape_0": 1.0}, "two / b": {}}))
    settings = {"size": 32, "people": 2}
    made = (trained, rendered.codes, [], settings)
    rigging(
        *made, tmp_path / "m.png", tmp_path / "frames", tmp_path / "w.json", tmp_path / "rig.json"
    )
    assert (tmp_path / "m.png").stat().st_size > 1000
    people = faces.train_people[:2]
    names = sorted(path.name for path in (tmp_path / "frames").iterdir())
    assert names == sorted(f"{p}_{c}.png" for p in people for c in ("one", "two___b"))
    (tmp_path / "w.json").write_text(json.dumps({"one": {"wink": 1.0}}))
    with pytest.raises(DataError, match=r"w\.json: weight wink"):
        rigging(*made, tmp_path / "m.png", tmp_path / "f", tmp_path / "w.json")
