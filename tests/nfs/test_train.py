"""Training: learns, on any batch size, leaves its record, ends alike however often it is killed."""

import csv
import json
import os
import signal
import subprocess
import sys
from dataclasses import asdict
from itertools import combinations

import pytest
from safetensors.torch import load_file
from small_nfs import SMALL

from facemill.errors import ConfigError
from facemill.nfs.config import TrainConfig
from facemill.nfs.model import load_model
from facemill.nfs.train import train

TRAIN = {
    "steps": 12, "batch": 3, "learning_rate": 3e-3, "validate_every": 4, "log_every": 4,
    "checkpoint_steps": 3,
}  # fmt: skip
SETTINGS = {"model": asdict(SMALL), "train": TRAIN}


def changed(**train_settings) -> dict:
    return {**SETTINGS, "train": {**TRAIN, **train_settings}}


def run(people, folder, settings=SETTINGS, name="model"):
    paths = [folder / f"{name}.{end}" for end in ("safetensors", "csv", "json")]
    train(people, settings, folder / f"work_{name}", *paths, threads=1)
    return paths


def test_training_learns_and_leaves_its_record(people, tmp_path):
    model_path, history, record = run(people, tmp_path, changed(steps=60, log_every=10))
    rows = list(csv.DictReader(history.open()))
    assert float(rows[-1]["total"]) < 0.7 * float(rows[0]["total"])
    assert float(rows[0]["blendshapes"]) > 0 and float(rows[0]["generic"]) > 0
    about = json.loads(record.read_text())
    assert about["labelled_people"] == 3 and about["best_validation"] > 0
    assert about["best_validation"] <= float(rows[-1]["validation"]) * 1.001
    _, metadata = load_model(model_path)
    assert metadata["units"][0] == "2_smile" and not (tmp_path / "work_model").exists()


@pytest.mark.parametrize("batch", [1, 8])
def test_any_batch_size_trains(people, tmp_path, batch):
    settings = changed(steps=2, batch=batch, validate_every=0)
    model_path, history, _ = run(people, tmp_path, settings)
    assert model_path.is_file() and len(history.read_text().splitlines()) == 2


def test_the_settings_change_the_run(people, tmp_path):
    plain = run(people, tmp_path, changed(steps=2), "plain")[0].read_bytes()
    for name, value in (("seed", 1), ("batch", 2), ("weights", {"generic": 0.0})):
        other = run(people, tmp_path, changed(steps=2, **{name: value}), name)[0].read_bytes()
        assert other != plain, name
    fewer = changed(steps=2)
    fewer["model"] = {**fewer["model"], "eigenfunctions": 8}
    weights = [load_file(run(people, tmp_path, s, n)[0]) for s, n in ((changed(steps=2), "again"),
               (fewer, "fewer"))]  # fmt: skip
    assert any((weights[0][name] != weights[1][name]).any() for name in weights[0])


def test_bp_and_br_are_two_terms_and_each_changes_the_decoder(people, tmp_path):
    without = {"generic": 0.0, "blendshapes": 0.0}
    ablations = {"none": without, "br": without | {"generic": 1.0}, "both": {}}
    columns, decoders = {}, []
    for name, weights in ablations.items():
        settings = changed(steps=4, log_every=4, validate_every=0, weights=weights)
        path, history, _ = run(people, tmp_path, settings, name)
        (row,) = csv.DictReader(history.open())
        columns[name] = [float(row[column]) > 0 for column in ("generic", "blendshapes")]
        decoders.append(load_model(path)[0].decoder.last.weight)
    assert columns == {"none": [False, False], "br": [True, False], "both": [True, True]}
    assert all((one != other).any() for one, other in combinations(decoders, 2))


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("units", 5, r"nfs.model.units: found 5, but .* demo has 19"),
        ("picture_size", 32, r"nfs.model.picture_size: found 32, but .* 16 pixels"),
        ("eigenfunctions", 64, r"nfs.model.eigenfunctions: found 64, .* 16"),
    ],
)
def test_networks_that_do_not_fit_the_people_are_refused(people, tmp_path, key, value, message):
    settings = {**SETTINGS, "model": {**SETTINGS["model"], key: value}}
    with pytest.raises(ConfigError, match=message):
        run(people, tmp_path, settings)


KILLED_RUN = """
import json, os, signal, sys
from pathlib import Path
from facemill.nfs import losses
from facemill.nfs.train import train

people, out, settings, kill_at = sys.argv[1:]
steps, original = 0, losses.terms

def terms(*args):
    global steps
    steps += 1
    if steps > int(kill_at):
        os.kill(os.getpid(), signal.SIGKILL)
    return original(*args)

losses.terms = terms
out = Path(out)
paths = [out / f"killed.{end}" for end in ("safetensors", "csv", "json")]
train(people, json.loads(settings), out / "work_killed", *paths, threads=1)
"""


def test_a_killed_run_ends_with_the_bytes_of_one_never_killed(people, tmp_path):
    settings = changed(steps=10)
    settings["model"] = {**settings["model"], "dropout": 0.3}
    whole = run(people, tmp_path, settings)
    argv = [sys.executable, "-c", KILLED_RUN, str(people), str(tmp_path), json.dumps(settings)]
    killed = subprocess.run([*argv, "7"], env=os.environ, capture_output=True)
    assert killed.returncode == -signal.SIGKILL
    subprocess.run([*argv, "99"], env=os.environ, check=True, capture_output=True)
    assert (tmp_path / "killed.safetensors").read_bytes() == whole[0].read_bytes()
    assert json.loads((tmp_path / "killed.json").read_text())["times_resumed"] == 1


def test_published_recipe():
    config = TrainConfig()
    assert (config.batch, config.learning_rate, config.weights.vertices) == (8, 1e-4, 10.0)
