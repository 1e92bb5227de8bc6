"""The refiner's training: schedule, losses, record, resuming bit for bit, what is refused."""

import csv
import json
import signal
import subprocess
import sys

import pytest
import torch

from facemill.errors import ConfigError, DataError
from facemill.files import sha256
from facemill.mofanerf import refine_train
from facemill.mofanerf.pairs import DegradedViews, PairPack, write_pairs
from facemill.mofanerf.refine import load_refiner
from facemill.mofanerf.refine_config import RefineSettings, RefineTrainConfig
from facemill.mofanerf.refine_train import multi_scale_l1, rate_factor, train
from facemill.randomness import generator
from facemill.training.settings import from_settings

SETTINGS = {
    "model": {"channels": 4, "halvings": 1, "blocks": 1, "surface": True, "residual": True},
    "train": {
        "steps": 12,
        "learning_rate": 1e-3,
        "discriminator": {"channels": 4, "layers": 2},
        "log_every": 3,
        "checkpoint_steps": 3,
        "device": "cpu",
    },
}


def changed(**settings):
    return {**SETTINGS, "train": {**SETTINGS["train"], **settings}}


@pytest.fixture(scope="module")
def pack(views, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pairs") / "train"
    source = DegradedViews({"d001": views["d001"]}, seed=0)
    write_pairs(folder, source, source.keys)
    return folder


def run(index, pack, folder, settings=SETTINGS, name="refiner"):
    paths = [folder / f"{name}.{end}" for end in ("safetensors", "csv", "json")]
    train(index, pack, settings, folder / f"work_{name}", *paths, threads=1)
    return paths


def test_the_published_schedule():
    config = RefineTrainConfig()
    assert rate_factor(config, 0, 2000) == rate_factor(config, 1900, 2000) == 1
    assert rate_factor(config, 1950, 2000) == pytest.approx(0.5)
    assert rate_factor(config, 1999, 2000) == pytest.approx(0.01)
    assert (config.learning_rate, config.beta1, config.batch, config.epochs) == (1e-4, 0.5, 1, 20)


def test_multi_scale_l1_in_closed_form():
    truth = torch.zeros(1, 3, 8, 8)
    checks = (torch.arange(8)[:, None] + torch.arange(8)) % 2 * 2.0 - 1
    assert multi_scale_l1(truth + 0.5, truth).item() == pytest.approx(0.5)
    # Checks of +-1 have mean 0 at half size: only the finest of three scales sees them.
    assert multi_scale_l1(truth + checks, truth).item() == pytest.approx(1 / 3)


def test_training_leaves_its_record_and_says_that_the_perceptual_term_is_missing(
    index, pack, tmp_path
):
    model, history, record = run(index, pack, tmp_path, changed(steps=60))
    rows = list(csv.DictReader(history.open()))
    assert [int(row["step"]) for row in rows] == list(range(3, 61, 3))
    assert float(rows[-1]["pixel"]) < float(rows[0]["pixel"])
    assert float(rows[-1]["discriminator"]) < float(rows[0]["discriminator"])
    assert all(float(row["perceptual"]) == 0 for row in rows)
    total = sum(float(rows[0][n]) for n in ("adversarial", "feature_matching", "pixel"))
    assert total == pytest.approx(float(rows[0]["total"]), rel=1e-4)
    about = json.loads(record.read_text())
    assert about["perceptual_term"] is False
    assert about["pairs"] == 4 and about["people"] == ["d001"] and about["steps"] == 60
    refiner, metadata = load_refiner(model)
    assert metadata["perceptual_term"] is False and refiner.config.channels == 4
    assert not (tmp_path / "work_refiner").exists()


def test_same_seed_same_bytes_and_another_seed_another_network(index, pack, tmp_path):
    a, b = (run(index, pack, tmp_path, name=name)[0].read_bytes() for name in "ab")
    assert a == b
    c = run(index, pack, tmp_path, changed(seed=1), "c")[0].read_bytes()
    assert a != c


KILLED_RUN = """
import json, os, signal, sys
from pathlib import Path
import torch
from facemill.mofanerf import refine_train

index, pack, work, out, settings, kill_at, where = sys.argv[1:]
done = 0

def die():
    os.kill(os.getpid(), signal.SIGKILL)

original_step, original_save = refine_train.Steps.update, torch.save

def step(self, *args):
    global done
    done += 1
    if where == "step" and done > int(kill_at):
        die()
    return original_step(self, *args)

def save(state, path):
    original_save(state, path)
    if where == "checkpoint" and done >= int(kill_at):
        os.truncate(path, os.path.getsize(path) // 2)
        die()

refine_train.Steps.update, torch.save = step, save
out = Path(out)
refine_train.train(index, pack, json.loads(settings), work, *(out.with_suffix(s) for s in
                   (".safetensors", ".csv", ".json")), threads=1)
"""


def test_killed_four_times_the_final_weights_are_those_of_an_undisturbed_run(index, pack, tmp_path):
    whole, history, _ = run(index, pack, tmp_path, name="whole")
    out = tmp_path / "killed"
    command = [sys.executable, "-c", KILLED_RUN, str(index), str(pack), str(tmp_path / "work")]
    command += [str(out), json.dumps(SETTINGS)]
    # steps done in each life: before any checkpoint, after one, while one is written, ...
    for steps, where in [(2, "step"), (4, "step"), (3, "checkpoint"), (4, "step")]:
        killed = subprocess.run([*command, str(steps), where], capture_output=True, text=True)
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        assert not out.with_suffix(".safetensors").exists()
    last = subprocess.run([*command, "1000", "step"], capture_output=True, text=True)
    assert last.returncode == 0, last.stderr
    assert out.with_suffix(".safetensors").read_bytes() == whole.read_bytes()
    assert json.loads(out.with_suffix(".json").read_text())["times_resumed"] >= 2
    rows = [list(csv.DictReader(p.open())) for p in (history, out.with_suffix(".csv"))]
    for side in rows:
        for row in side:
            row.pop("seconds")
    assert rows[0] == rows[1]


def test_test_people_and_missing_surfaces_are_refused(index, views, pack, tmp_path):
    source = DegradedViews(views, seed=0)
    write_pairs(tmp_path / "both", source, source.keys)
    with pytest.raises(DataError, match="d002 is a test person"):
        run(index, tmp_path / "both", tmp_path)

    class Bare:
        keys = PairPack(pack).keys

        def read(self, key):
            from dataclasses import replace

            return replace(PairPack(pack).read(key), surface=None)

    write_pairs(tmp_path / "bare", Bare(), Bare.keys)
    with pytest.raises(DataError, match=r"model\.surface"):
        run(index, tmp_path / "bare", tmp_path)
    plain = {**SETTINGS, "model": {**SETTINGS["model"], "surface": False}}
    assert run(index, tmp_path / "bare", tmp_path, plain)[0].is_file()


def test_settings_that_are_refused(index, pack, tmp_path):
    for key, value in (("batch", 0), ("decay_from", 1.0), ("perceptual_weights", "vgg19.pth")):
        with pytest.raises(ConfigError, match=rf"refine\.train\.{key[:10]}"):
            run(index, pack, tmp_path, changed(**{key: value}))
    weights = tmp_path / "vgg19.pth"
    weights.write_bytes(b"<html>")
    wrong = changed(perceptual_weights=str(weights), perceptual_sha256="0" * 64)
    with pytest.raises(DataError, match="SHA-256"):
        run(index, pack, tmp_path, wrong)
    damaged = changed(perceptual_weights=str(weights), perceptual_sha256=sha256(weights))
    with pytest.raises(DataError, match="not a file of weights"):
        run(index, pack, tmp_path, damaged)


def test_every_epoch_goes_through_all_pairs_in_an_order_drawn_once(index, pack, monkeypatch):
    drawn = []

    def counted(*names):
        drawn.append(names)
        return generator(*names)

    monkeypatch.setattr(refine_train, "generator", counted)
    refine_train.epoch_order.cache_clear()
    settings = from_settings(RefineSettings, changed(batch=3), "mofanerf.refine")
    data = PairPack(pack)
    steps = refine_train.Steps(data, settings, 4, torch.device("cpu"))
    read, original = [], PairPack.read
    with monkeypatch.context() as patch:
        patch.setattr(PairPack, "read", lambda self, key: read.append(key) or original(self, key))
        for step in range(4):
            inputs, truths = steps.batch(step)
            assert inputs.shape == (3, 7, 64, 64) and truths.shape == (3, 3, 64, 64)
    assert drawn == [(0, "refine", "epoch", str(epoch)) for epoch in range(3)]
    epochs = [read[first : first + 4] for first in (0, 4, 8)]
    assert all(set(epoch) == set(data.keys) for epoch in epochs)
    assert epochs[0] != epochs[1] or epochs[1] != epochs[2]
