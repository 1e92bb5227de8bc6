"""Weights to give away: smaller, whole, and nearly the same field."""

import json

import pytest
import torch

from facemill.errors import DataError
from facemill.files import sha256
from facemill.imface.model import load_model
from facemill.imface.release import release
from facemill.metrics.tables import Row, write_table


@pytest.fixture
def table(tmp_path):
    model = "tiny_imface"  # the variant is the name of the model's folder
    rows = [
        Row("imface", method, "unseen people, seen expressions", "f_score_1mm", "%", value, 3)
        for method, value in ((model, 70.0), ("pca", 80.0))
    ]
    write_table(tmp_path / "imface.csv", rows)
    return tmp_path / "imface.csv"


def test_released_weights_are_smaller_and_give_nearly_the_same_field(tiny_imface, table, tmp_path):
    weights, card = tmp_path / "imface.safetensors", tmp_path / "imface.json"
    source = tmp_path / "tiny_imface" / "model.safetensors"
    source.parent.mkdir()
    source.write_bytes(tiny_imface.model.read_bytes())
    release(source, table, "demo", weights, card)
    about = json.loads(card.read_text())
    assert weights.stat().st_size < 0.7 * source.stat().st_size
    assert (about["sha256"], about["bytes"]) == (sha256(weights), weights.stat().st_size)
    assert about["licence"] == "MIT"
    assert [(row["metric"], row["value"]) for row in about["scores"]] == [("f_score_1mm", 70.0)]
    assert 0 < about["rounding_mm"]["mean"] < 0.1

    (ours, mine), (theirs, read) = load_model(source), load_model(weights)
    assert (read["people"], read["config"]) == (mine["people"], mine["config"])
    assert all(p.dtype == torch.float32 for p in theirs.parameters())
    assert torch.equal(ours.identity_codes.weight, theirs.identity_codes.weight)


def test_without_a_table_there_is_no_release(tiny_imface, tmp_path):
    with pytest.raises(DataError, match=r"none\.csv.*imface_table"):
        release(
            tiny_imface.model, tmp_path / "none.csv", "demo",
            tmp_path / "w.safetensors", tmp_path / "c.json",
        )  # fmt: skip
    assert not (tmp_path / "c.json").exists()
