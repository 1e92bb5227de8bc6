"""Weights as tables: own names, a face-tracking app's, missing columns; units on a mesh."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from small_nfs import SMALL, made
from small_nfs_uses import face_of, ict_units, live_link_take, with_operators

from facemill.errors import DataError
from facemill.nfs.retarget import Clone
from facemill.nfs.rig import (
    Weights,
    codes_of,
    plain,
    read_weights,
    unit_offsets,
    weights_of,
    write_weights,
)


def table(folder, text: str):
    path = folder / "take.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_names_of_apps_and_of_the_model_are_one():
    assert plain("eyeBlink_L") == plain("EyeBlinkLeft") == plain("eyeBlinkLeft")
    assert plain("jawLeft") == plain("JawLeft") == "jawleft"


def test_an_app_s_table_is_read_with_single_units_on_both_sides(tmp_path, caplog):
    row = {
        "BrowInnerUp": 0.5,
        "CheekPuff": 0.6,
        "EyeBlinkLeft": 0.1,
        "TongueOut": 0.9,
        "HeadYaw": 1,
    }
    path = live_link_take(tmp_path / "take.csv", [row, {}])
    found = read_weights(path, ict_units())
    own = dict(zip(ict_units(), found.weights[0], strict=True))
    assert {unit: weight for unit, weight in own.items() if weight} == {
        "browInnerUp_L": 0.5, "browInnerUp_R": 0.5, "cheekPuff_L": 0.6, "cheekPuff_R": 0.6,
        "eyeBlink_L": 0.1,
    }  # fmt: skip
    assert found.frames == ("0000", "0001") and not found.weights[1].any()
    assert not caplog.records, "nothing that an app writes is worth a warning"


def test_an_app_s_columns_are_all_that_the_ict_model_needs(open_data):
    from facemill.data.blendshape_sources import ict_blendshapes

    assert set(ict_blendshapes(open_data / "ict").units) == set(ict_units())


def test_what_is_written_is_read(tmp_path):
    weights = Weights(("smile", "a b"), np.random.default_rng(0).uniform(size=(2, 3)))
    write_weights(tmp_path / "w.csv", ("a", "b", "c"), weights)
    found = read_weights(tmp_path / "w.csv", ("a", "b", "c"))
    assert found.frames == weights.frames
    np.testing.assert_allclose(found.weights, weights.weights, atol=1e-6)


def test_an_app_s_table_for_a_model_of_other_units_says_what_to_do(tmp_path):
    path = live_link_take(tmp_path / "take.csv", [{}])
    with pytest.raises(DataError, match="trained on other units: train on the ICT model"):
        read_weights(path, ("2_smile", "3_mouth_stretch"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n", "a header and no rows"),
        ("", "the file is empty"),
        ("a,b\n1,\n", "row 2, column b: found '', expected a number"),
        ("a,b\n1\n", "row 2, column b: found ''"),
        ("a,b\n0,0\n1,nan\n", "row 3, column b: found 'nan'"),
    ],
)
def test_tables_that_are_none_are_refused(tmp_path, text, message):
    with pytest.raises(DataError, match=message):
        read_weights(table(tmp_path, text), ("a", "b"))


def test_odd_columns_and_weights_are_told(tmp_path, caplog):
    read_weights(table(tmp_path, "a,b,hat\n0,7,1\n"), ("a", "b"))
    assert "passed over: hat" in caplog.text and "from 0.00 to 7.00" in caplog.text


def test_weights_to_codes_and_back_are_cut():
    weights = np.array([[0.25, 1.0]])
    codes = codes_of(made(SMALL), weights)
    assert codes.shape == (1, SMALL.code) and codes[:, 2:].abs().max() == 0
    np.testing.assert_allclose(weights_of(codes, ("a", "b")), weights)
    np.testing.assert_allclose(weights_of(torch.tensor([[-1.0, 3.0]]), ("a", "b")), [[0.0, 1.0]])


def test_units_on_a_mesh_are_relative_to_the_zero_code(demo_model):
    face = with_operators(face_of(demo_model))
    model = made(replace(SMALL, anchored=False))
    clone = Clone(model, face.operators)
    found = unit_offsets(clone, 3)
    codes = codes_of(model, np.array([[0.0, 0, 0], [0.0, 1, 0]]))
    zero, one = np.concatenate(list(clone.frames(codes, 8)))
    np.testing.assert_allclose(found[1], one - zero, atol=1e-6)
    assert np.abs(zero - face.operators.vertices).max() > 1e-3, "this network is not anchored"
