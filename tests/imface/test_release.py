"""Weights to give away: smaller, whole, and nearly the same field."""

import json

import pytest
import torch

from facemill.data.packs import SamplePack
from facemill.errors import DataError
from facemill.files import sha256
from facemill.imface.config import FitConfig, ModelConfig
from facemill.imface.fetch import fetch
from facemill.imface.fit import fit_scans
from facemill.imface.model import ImFace, load_model, save_model
from facemill.imface.release import halve, release
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


@pytest.fixture
def given_away(tiny_imface, table, tmp_path):
    """The model, its weights to give away, and their card."""
    weights, card = tmp_path / "imface.safetensors", tmp_path / "imface.json"
    source = tmp_path / "tiny_imface" / "model.safetensors"
    source.parent.mkdir()
    source.write_bytes(tiny_imface.model.read_bytes())
    release(source, table, "demo", weights, card)
    return source, weights, json.loads(card.read_text())


def test_released_weights_are_smaller_and_give_nearly_the_same_field(given_away):
    source, weights, about = given_away
    assert weights.stat().st_size < 0.7 * source.stat().st_size
    assert (about["sha256"], about["bytes"]) == (sha256(weights), weights.stat().st_size)
    assert about["licence"] == "MIT"
    assert [(row["metric"], row["value"]) for row in about["scores"]] == [("f_score_1mm", 70.0)]
    assert 0 < about["rounding_mm"]["mean"] < 0.1

    (ours, mine), (theirs, read) = load_model(source), load_model(weights)
    assert (read["people"], read["config"]) == (mine["people"], mine["config"])
    assert all(p.dtype == torch.float32 for p in theirs.parameters())
    assert torch.equal(ours.identity_codes.weight, theirs.identity_codes.weight)


def test_the_published_model_is_given_away_in_less_than_40_megabytes(tmp_path):
    model = ImFace(ModelConfig(), 355, 17)  # training people and seen expressions of FaceScape
    halve(model)
    path = tmp_path / "published.safetensors"
    save_model(path, model, [f"f{i:03}" for i in range(355)], [f"{i}_e" for i in range(17)])
    assert path.stat().st_size < 40e6


@pytest.mark.parametrize("address", [True, False], ids=["https", "file"])
def test_weights_given_away_are_fetched_by_their_sum_and_fit_as_the_model_does(
    given_away, tiny_imface, tmp_path, address
):
    source, weights, about = given_away
    served = {"https://example.org/imface.safetensors": weights.read_bytes()}
    model = next(iter(served)) if address else str(weights)
    got = tmp_path / "got" / "weights.safetensors"
    fetch(model, about["sha256"].upper(), got, served.__getitem__)
    assert got.read_bytes() == weights.read_bytes()
    pack = SamplePack(tiny_imface.data.samples(tiny_imface.data.test[0]))
    config = FitConfig(steps=20, points=256, learning_rate=5e-2)
    ours, theirs = (
        fit_scans(load_model(path)[0], pack, ["2_smile"], config).losses["sdf"]
        for path in (source, got)
    )
    assert theirs == pytest.approx(ours, rel=0.05)


def test_weights_of_another_sum_are_not_brought(given_away, tmp_path):
    _, weights, about = given_away
    got = tmp_path / "got.safetensors"
    cut = weights.read_bytes()[:-1]
    served = {"https://example.org/w": cut}
    with pytest.raises(DataError, match=r"https://example\.org/w: its SHA-256 is .*, expected"):
        fetch("https://example.org/w", about["sha256"], got, served.__getitem__)
    with pytest.raises(DataError, match=r"absent\.safetensors: no such file"):
        fetch("absent.safetensors", about["sha256"], got)
    assert not got.exists()


def test_an_address_that_does_not_answer_says_the_way_out(tmp_path):
    with pytest.raises(DataError, match=r"cannot be fetched .*Without a network, download it"):
        fetch("https://127.0.0.1:9/w", "0" * 64, tmp_path / "got.safetensors")


def test_without_a_table_there_is_no_release(tiny_imface, tmp_path):
    with pytest.raises(DataError, match=r"none\.csv.*imface_table"):
        release(
            tiny_imface.model, tmp_path / "none.csv", "demo",
            tmp_path / "w.safetensors", tmp_path / "c.json",
        )  # fmt: skip
    assert not (tmp_path / "c.json").exists()
