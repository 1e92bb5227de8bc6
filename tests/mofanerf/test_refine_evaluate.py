"""Scores of a refiner: pictures and views by scan, neighbours, what is refused."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from facemill.errors import DataError
from facemill.files import write_json
from facemill.metrics.images import psnr
from facemill.mofanerf.pairs import DegradedViews, PairKey, PairPack, write_pairs
from facemill.mofanerf.refine import Refiner, enlarged, save_refiner
from facemill.mofanerf.refine_config import RefinerConfig
from facemill.mofanerf.refine_evaluate import evaluate_refiner, neighbours, scan_scores
from facemill.mofanerf.splits import ViewSplit, content_hash
from facemill.mofanerf.table import SEEN, UNSEEN, table
from facemill.render.cameras import orbit
from facemill.render.view_pack import ViewPack

GRID = 45.0
"""Degrees between the views of the fixture ``views``."""


@pytest.fixture
def unchanging():
    """A refiner that begins as the identity and was not trained."""
    torch.manual_seed(0)
    return Refiner(RefinerConfig(4, 1, 1, surface=True, residual=True)).eval()


@pytest.fixture
def split(tmp_path):
    """In which d001 is trained on and d002 is not."""
    made = ViewSplit(("d001",), ("d002",), ("1_neutral",), ("0_0", "0_3"), ("0_1", "0_2"), (), 0)
    made = replace(made, hash=content_hash(made))
    write_json(tmp_path / "split.json", vars(made))
    return tmp_path / "split.json"


def test_neighbours_are_a_turn_of_yaw_apart_at_one_pitch():
    cameras = {
        f"{pitch}_{yaw}": orbit(yaw, pitch, 800, 300, 64, 64)
        for pitch in (-15, 0)
        for yaw in (-9, 0, 9, 27)
    }
    assert neighbours(cameras, 9.0) == [
        ("-15_-9", "-15_0"), ("-15_0", "-15_9"), ("0_-9", "0_0"), ("0_0", "0_9"),
    ]  # fmt: skip
    assert neighbours(cameras, 18.0) == [
        ("-15_-9", "-15_9"), ("-15_9", "-15_27"), ("0_-9", "0_9"), ("0_9", "0_27"),
    ]  # fmt: skip


def test_a_refiner_that_changes_nothing_scores_as_the_coarse_picture(views, unchanging):
    source = DegradedViews(views, seed=0)
    keys = [key for key in source.keys if key.person == "d002"]
    rows = scan_scores(unchanging, source, keys, GRID)
    by: dict = {}
    for method, _, metric, value in rows:
        by.setdefault((method, metric), []).append(value)
    for metric in ("psnr_masked", "ssim", "gradient_similarity_masked", "reprojection_error"):
        assert by["half_size", metric] == pytest.approx(by["refined", metric], abs=1e-9)
    assert len(by["half_size", "psnr"]) == 4 and len(by["truth", "reprojection_error"]) == 3
    means = {key: np.mean(values) for key, values in by.items()}
    assert means["truth", "reprojection_error"] < means["half_size", "reprojection_error"]
    assert ("truth", "psnr") not in by
    pair = source.read(keys[0])
    plain = (enlarged(pair.coarse, 64, 64).permute(1, 2, 0).numpy() + 1) / 2
    plain = np.round(plain * 255) / 255
    expected = psnr(plain, pair.truth[..., :3] / 255, pair.mask)
    assert by["half_size", "psnr_masked"][0] == pytest.approx(expected, abs=1e-3)


def test_a_view_beside_is_compared_with_its_neighbour_alone(views, unchanging):
    class Beside:
        """The view 0_2 under the name of the one beside 0_1."""

        keys = tuple(PairKey("d001", "1_neutral", view) for view in ("0_1", "0_1+45"))

        def read(self, key):
            name = key.view.replace("0_1+45", "0_2")
            return DegradedViews(views, seed=0).read(PairKey(*key[:2], name))

    rows = scan_scores(unchanging, Beside(), Beside.keys, GRID)
    assert {view for _, view, _, _ in rows} == {"0_1"}
    assert sum(metric == "psnr" for _, _, metric, _ in rows) == 2
    assert sum(metric == "reprojection_error" for _, _, metric, _ in rows) == 3


def test_rows_name_split_and_method_and_reach_the_table(views, split, unchanging, tmp_path):
    source = DegradedViews(views, seed=0)
    write_pairs(tmp_path / "pack", source, source.keys)
    save_refiner(tmp_path / "same.safetensors", unchanging, {})
    paths = (tmp_path / "same.safetensors", tmp_path / "pack", split)
    evaluate_refiner(*paths, "fast", {"turn": GRID}, tmp_path / "scores.csv")
    rows = table([tmp_path / "scores.csv"], tmp_path / "table.csv")
    found = {(row.method, row.split) for row in rows if row.metric == "reprojection_error"}
    methods = ("fast_half_size", "fast_refined", "truth")
    assert found == {(method, where) for method in methods for where in (SEEN, UNSEEN)}
    assert next(row for row in rows if row.metric == "psnr").unit == "dB"


def test_pairs_without_the_surface_that_a_refiner_looks_at_are_refused(
    views, split, unchanging, tmp_path
):
    class Bare:
        keys = DegradedViews(views, seed=0).keys[:2]

        def read(self, key):
            return replace(DegradedViews(views, seed=0).read(key), surface=None)

    write_pairs(tmp_path / "bare", Bare(), Bare.keys)
    assert not PairPack(tmp_path / "bare").has_surface
    save_refiner(tmp_path / "r.safetensors", unchanging, {})
    with pytest.raises(DataError, match=r"bare: no depth and normals .*r\.safetensors looks at"):
        evaluate_refiner(
            tmp_path / "r.safetensors", tmp_path / "bare", split, "fast", {}, tmp_path / "s.csv"
        )
    assert not (tmp_path / "s.csv").exists()
    assert len(ViewPack(views["d001"]).names) == 4
