"""Training: the published recipe, one run's record, and resuming bit for bit."""

import csv
import json
import signal
import subprocess
import sys

import pytest
import torch

from facemill.errors import ConfigError, TrainingError
from facemill.imface.config import TrainConfig, TrainSettings
from facemill.imface.data import open_training_set
from facemill.imface.model import load_model
from facemill.imface.train import (
    Steps,
    decay,
    initial_model,
    make_optimiser,
    number_of_steps,
    train,
)
from facemill.training.settings import from_settings

SETTINGS = {
    "model": {
        "identity_dim": 4,
        "expression_dim": 4,
        "width": 16,
        "hyper_width": 8,
        "fusion_width": 8,
        "landmark_width": 8,
    },
    "train": {
        "steps": 24,
        "batch_scans": 3,
        "points": 64,
        "learning_rate": 1e-3,
        "log_every": 5,
        "checkpoint_steps": 4,
        "device": "cpu",
    },
}


def changed(**train_settings) -> dict:
    return {**SETTINGS, "train": {**SETTINGS["train"], **train_settings}}


def run(made, folder, settings=SETTINGS, name="model"):
    paths = [folder / f"{name}.{end}" for end in ("safetensors", "csv", "json")]
    train(*made, settings, folder / f"work_{name}", *paths, threads=1)
    return paths


def test_published_schedule():
    config = TrainConfig()
    steps = number_of_steps(config, 5323)
    assert steps == pytest.approx(1500 * 74, rel=1e-2)
    assert decay(config, 0, steps) == decay(config, steps * 199 // 1500, steps) == 1
    per_epoch = [decay(config, epoch, 1500) for epoch in range(1500)]
    assert [per_epoch[e] for e in (199, 200, 209, 210)] == [1, 0.95, 0.95, 0.95**2]
    assert 1e-4 * per_epoch[-1] == pytest.approx(1.3e-7, rel=0.03)
    assert number_of_steps(TrainConfig(steps=7), 5323) == 7


def test_codes_and_nets_are_all_trained_and_can_have_rates_of_their_own(made_data):
    data = open_training_set(*made_data())
    settings = TrainSettings(train=TrainConfig(code_learning_rate=1e-2))
    model = initial_model(settings, data)
    nets, codes = make_optimiser(model, settings.train).param_groups
    assert (nets["base"], codes["base"]) == (1e-4, 1e-2)
    held = sum(p.numel() for group in (nets, codes) for p in group["params"])
    assert held == sum(p.numel() for p in model.parameters())
    assert model.template_landmarks.abs().sum() > 0


def test_training_lowers_the_loss_and_leaves_its_record(made_data, tmp_path):
    made = made_data(missing={("d002", "2_smile")})
    model_path, history, record = run(made, tmp_path, changed(steps=60))
    rows = list(csv.DictReader(history.open()))
    assert [int(row["step"]) for row in rows] == list(range(5, 61, 5))
    assert float(rows[-1]["total"]) < 0.5 * float(rows[0]["total"])
    terms = sum(float(rows[0][name]) for name in vars(TrainConfig().weights))
    assert terms == pytest.approx(float(rows[0]["total"]), rel=1e-4)
    about = json.loads(record.read_text())
    assert about["steps"] == 60 and about["scans"] == 3 and about["peak_memory_mb"] > 0
    assert {"seconds", "versions", "device", "threads", "settings"} <= about.keys()
    model, metadata = load_model(model_path)
    assert metadata["people"] == ["d001", "d002"]
    assert metadata["scans"] == {"d001": ["1_neutral", "2_smile"], "d002": ["1_neutral"]}
    assert model.config.width == 16
    assert not (tmp_path / "work_model").exists()


def test_same_seed_gives_the_same_bytes_and_another_seed_others(made_data, tmp_path):
    made = made_data()
    first, second = (run(made, tmp_path, name=name)[0].read_bytes() for name in "ab")
    assert first == second
    third = run(made, tmp_path, changed(seed=1), name="c")[0]
    weights = [load_model(p)[0].state_dict() for p in (tmp_path / "a.safetensors", third)]
    assert not torch.equal(*(w["identity_codes.weight"] for w in weights))


KILLED_RUN = """
import json, os, signal, sys
from pathlib import Path
import torch
from facemill.imface import losses
from facemill.imface.train import train

index, samples, work, out, settings, kill_at, where = sys.argv[1:]
steps_done = 0

def die():
    os.kill(os.getpid(), signal.SIGKILL)

original_step, original_save = losses.backward, torch.save

def step(*args):
    global steps_done
    steps_done += 1
    if where == "step" and steps_done > int(kill_at):
        die()
    return original_step(*args)

def save(state, path):
    original_save(state, path)
    if where == "checkpoint" and steps_done >= int(kill_at):
        os.truncate(path, os.path.getsize(path) // 2)
        die()

losses.backward, torch.save = step, save
out = Path(out)
train(index, samples, json.loads(settings), work, *(out.with_suffix(s) for s in
      (".safetensors", ".csv", ".json")), threads=1)
"""


def test_killed_five_times_the_final_weights_are_those_of_an_undisturbed_run(made_data, tmp_path):
    made = made_data()
    whole, history, _ = run(made, tmp_path, name="whole")
    out = tmp_path / "killed"
    command = [sys.executable, "-c", KILLED_RUN, *map(str, made), str(tmp_path / "work"), str(out)]
    command.append(json.dumps(SETTINGS))
    # steps done in each life: before any checkpoint, after one, while one is written, ...
    for steps, where in [(3, "step"), (6, "step"), (3, "checkpoint"), (7, "step"), (5, "step")]:
        killed = subprocess.run([*command, str(steps), where], capture_output=True, text=True)
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        assert not out.with_suffix(".safetensors").exists()
    last = subprocess.run([*command, "1000", "step"], capture_output=True, text=True)
    assert last.returncode == 0, last.stderr
    assert out.with_suffix(".safetensors").read_bytes() == whole.read_bytes()
    assert json.loads(out.with_suffix(".json").read_text())["times_resumed"] >= 3

    def without_seconds(path):
        return [{**row, "seconds": ""} for row in csv.DictReader(path.open())]

    assert without_seconds(out.with_suffix(".csv")) == without_seconds(history)
    assert not (tmp_path / "work").exists()


class Killed(Exception):
    """Stands for whatever ends a process."""


def interrupted(made, folder, monkeypatch, settings=SETTINGS, at=10):
    """Train and stop in the middle, leaving the work folder."""
    from facemill.imface import losses

    original, calls = losses.backward, []

    def stop(*args):
        calls.append(1)
        if len(calls) > at:
            raise Killed
        return original(*args)

    with monkeypatch.context() as patch:
        patch.setattr(losses, "backward", stop)
        with pytest.raises(Killed):
            run(made, folder, settings)


def test_a_damaged_checkpoint_costs_only_the_steps_since_the_one_before(
    made_data, tmp_path, monkeypatch, caplog
):
    made = made_data()
    whole = run(made, tmp_path, name="whole")[0]
    interrupted(made, tmp_path, monkeypatch)
    newest = max((tmp_path / "work_model").glob("*.pt"))
    newest.write_bytes(newest.read_bytes()[:1000])
    resumed = run(made, tmp_path)[0]
    assert "damaged checkpoint" in caplog.text
    assert resumed.read_bytes() == whole.read_bytes()


def test_other_settings_or_samples_start_over(made_data, tmp_path, monkeypatch, caplog):
    made = made_data()
    interrupted(made, tmp_path, monkeypatch)
    run(made, tmp_path, changed(learning_rate=2e-3))
    assert "settings changed since; starting over" in caplog.text


def test_how_often_is_logged_and_saved_does_not_matter(made_data, tmp_path, monkeypatch, caplog):
    made = made_data()
    whole = run(made, tmp_path, name="whole")[0]
    interrupted(made, tmp_path, monkeypatch)
    resumed = run(made, tmp_path, changed(checkpoint_steps=7))[0]
    assert "starting over" not in caplog.text
    assert load_model(resumed)[0].state_dict().keys() == load_model(whole)[0].state_dict().keys()
    for name, value in load_model(whole)[0].state_dict().items():
        assert torch.equal(value, load_model(resumed)[0].state_dict()[name])


def test_deformed_people_join_with_the_codes_of_their_sources(made_data):
    made = {"copies": 2, "start": 0.5}
    settings = changed(deformed=made, points=32, batch_scans=6)
    config = from_settings(TrainSettings, settings, "imface")
    data = open_training_set(*made_data()).with_deformed_people(config.train.deformed, 0)
    data = data.with_mirror_images()
    assert data.sources == (0, 1, 0, 1, 0, 1, 6, 7, 6, 7, 6, 7)
    model = initial_model(config, data)
    steps = Steps(data, config.train, 24, model, threads=1)
    own = torch.tensor([0, 1, 6, 7])
    for step in range(12):
        batch = steps.batch(step)
        assert torch.isin(batch.identity, own).all()
        steps.update(step, batch)
    later = torch.cat([steps.batch(step).identity for step in range(12, 24)])
    assert set(later.tolist()) == set(range(12)), "each person once in an epoch"

    seen = []
    inherit = model.inherit_codes
    model.inherit_codes = lambda sources: (inherit(sources), seen.append(sources))
    steps.update(12, steps.batch(12))
    assert seen == [data.sources]
    inherit(data.sources)
    identities = model.identity_codes.weight
    by_scan = model.expression_codes.weight.view(2, 12, -1)
    for person, source in enumerate(data.sources):
        assert identities[person].equal(identities[source])
        assert by_scan[:, person].equal(by_scan[:, source])
    assert not identities[0].equal(identities[1])


def test_the_record_tells_people_from_their_copies(made_data, tmp_path):
    settings = changed(deformed={"copies": 2}, mirror=True)
    model, _, record = run(made_data(), tmp_path, settings)
    about = json.loads(record.read_text())
    assert (about["people"], about["scans"]) == (2, 4)
    assert (about["people_with_copies"], about["scans_with_copies"]) == (12, 24)
    assert load_model(model)[1]["trained_on"]["people"] == 2


@pytest.mark.parametrize("at", [9, 14])
def test_a_run_killed_around_the_joining_ends_the_same(made_data, tmp_path, monkeypatch, at):
    made, settings = made_data(), changed(deformed={"copies": 1, "start": 0.4})
    whole = run(made, tmp_path, settings, name="whole")[0]
    interrupted(made, tmp_path, monkeypatch, settings, at)
    assert run(made, tmp_path, settings)[0].read_bytes() == whole.read_bytes()


def test_divergence_says_at_which_step_and_what_to_do(made_data, tmp_path):
    with pytest.raises(TrainingError, match=r"step \d+: the loss is .*learning_rate"):
        run(made_data(), tmp_path, changed(learning_rate=1e30))


def test_an_unknown_key_is_refused_before_any_work(made_data, tmp_path):
    with pytest.raises(ConfigError, match=r"imface\.train\.step: unknown key.*'steps'"):
        run(made_data(), tmp_path, {"train": {"step": 5}})
    assert not (tmp_path / "work_model").exists()
