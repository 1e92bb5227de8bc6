"""Scores of a refiner: means over views by person and expression, neighbours, what is refused."""

import numpy as np
import pytest
import torch

from facemill.errors import DataError
from facemill.metrics.images import psnr
from facemill.metrics.scores import read_scores
from facemill.mofanerf.pairs import DegradedViews
from facemill.mofanerf.refine import Refiner, enlarged, save_refiner
from facemill.mofanerf.refine_config import RefinerConfig
from facemill.mofanerf.refine_evaluate import evaluate_refiner, neighbours


def test_views_of_one_pitch_side_by_side():
    names = ["-15_0", "-15_1", "-15_3", "0_1", "0_2", "0_3"]
    assert neighbours(names) == [("-15_0", "-15_1"), ("0_1", "0_2"), ("0_2", "0_3")]


def test_a_refiner_that_changes_nothing_scores_as_the_coarse_picture(views, tmp_path):
    torch.manual_seed(0)
    refiner = Refiner(RefinerConfig(4, 1, 1, surface=True, residual=True))
    save_refiner(tmp_path / "same.safetensors", refiner, {})
    source = DegradedViews(views, seed=0)
    keys = [key for key in source.keys if key.person == "d002"]
    scores = evaluate_refiner(
        tmp_path / "same.safetensors", source, views, keys, tmp_path / "scores.csv"
    )
    assert read_scores(tmp_path / "scores.csv")[0].metric == "psnr"
    by = {(s.method, s.metric): s for s in scores}
    assert {s.person for s in scores} == {"d002"} and {s.system for s in scores} == {"mofanerf"}
    for metric in ("psnr_masked", "ssim", "gradient_similarity_masked", "reprojection_error"):
        a, b = by["coarse", metric].value, by["refined", metric].value
        assert a == pytest.approx(b, abs=1e-9)
    assert by["truth", "reprojection_error"].value < by["coarse", "reprojection_error"].value
    assert ("truth", "psnr") not in by
    assert by["coarse", "psnr"].unit == "dB"
    expected = []
    for key in keys:
        pair = source.read(key)
        plain = (enlarged(pair.coarse, 64, 64).permute(1, 2, 0).numpy() + 1) / 2
        plain = np.round(plain * 255) / 255
        expected.append(psnr(plain, pair.truth[..., :3] / 255, pair.mask))
    assert by["coarse", "psnr_masked"].value == pytest.approx(np.mean(expected), abs=1e-3)


def test_people_without_views_are_named(views, tmp_path):
    refiner = Refiner(RefinerConfig(4, 1, 1, surface=True))
    save_refiner(tmp_path / "r.safetensors", refiner, {})
    source = DegradedViews(views, seed=0)
    with pytest.raises(DataError, match="d002: pairs to evaluate, but no view pack"):
        evaluate_refiner(
            tmp_path / "r.safetensors", source, {"d001": views["d001"]}, source.keys,
            tmp_path / "scores.csv",
        )  # fmt: skip
    assert not (tmp_path / "scores.csv").exists()
