"""Training: learns, leaves its record, ends with the same bytes however often it is killed."""

import csv
import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from made_up_people import MODEL, TRAIN

from facemill.errors import ConfigError, TrainingError
from facemill.mofanerf.config import TrainConfig, TrainSettings
from facemill.mofanerf.data import Batch
from facemill.mofanerf.model import load_model
from facemill.mofanerf.train import (
    Steps,
    average_decay,
    decay,
    initial_model,
    make_optimiser,
    train,
)
from facemill.render.png import read_png
from facemill.training.settings import from_settings

SETTINGS = {"model": MODEL, "train": TRAIN}


def changed(**train_settings) -> dict:
    return {**SETTINGS, "train": {**TRAIN, **train_settings}}


def run(rendered, folder, settings=SETTINGS, name="model"):
    paths = [folder / f"{name}.{end}" for end in ("safetensors", "csv", "json")]
    made = (rendered.codes, rendered.split, rendered.views)
    train(*made, settings, folder / f"work_{name}", *paths, threads=1)
    return paths


def test_published_schedule():
    config = TrainConfig()
    assert config.steps == 600_001 and config.learning_rate == 5e-5
    assert decay(config, 0) == 1
    assert decay(config, 750_000) == pytest.approx(0.1)
    assert decay(TrainConfig(steps=100, decay_steps=None), 50) == pytest.approx(0.1**0.5)


def test_the_learning_rate_rises_over_the_first_steps_with_images():
    config = TrainConfig(steps=1000, decay=1.0, warm_up=4)
    assert [decay(config, step) for step in range(6)] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1, 1])


def test_averages_forget_the_start_first():
    config = TrainConfig(ema=0.99)
    assert average_decay(config, 0) == pytest.approx(0.1)
    assert average_decay(config, 10**6) == 0.99


def test_everything_is_learned_and_maps_and_texture_network_have_their_rates(data):
    settings = from_settings(TrainSettings, SETTINGS, "mofanerf")
    model = initial_model(settings, data)
    optimiser = make_optimiser(model, settings.train)
    nets, maps = optimiser.param_groups
    assert (nets["base"], maps["base"]) == (3e-3, 1e-2) and len(maps["params"]) == 3
    held = sum(p.numel() for group in (nets, maps) for p in group["params"])
    assert held == sum(p.numel() for p in model.parameters())
    apart = make_optimiser(model, replace(settings.train, texture_learning_rate=5e-4))
    (texture,) = (group for group in apart.param_groups if group["base"] == 5e-4)
    assert {id(p) for p in texture["params"]} == {id(p) for p in model.texture.parameters()}


@pytest.mark.parametrize("profile", ["fast", "faithful"])
def test_training_lowers_the_loss_and_leaves_its_record(rendered, tmp_path, profile):
    small = {"coarse_width": 16, "fine_width": 16, "texture_size": 512, "profile": "faithful"}
    sampling = {"coarse_samples": 12, "fine_samples": 8}
    settings = changed(steps=60)
    if profile == "faithful":
        settings = {
            "model": small,
            "train": settings["train"] | {"steps": 24, "images": 2, "sampling": sampling},
        }
    model_path, history, record = run(rendered, tmp_path, settings)
    rows = list(csv.DictReader(history.open()))
    least = 0.75 if profile == "fast" else 0.98
    assert float(rows[-1]["total"]) < least * float(rows[0]["total"])
    terms = sum(float(rows[0][name]) for name in vars(TrainConfig().weights))
    assert terms == pytest.approx(float(rows[0]["total"]), rel=1e-4)
    assert (float(rows[0]["colour_coarse"]) > 0) == (profile == "faithful")
    assert (float(rows[0]["correspondence"]) > 0) == (profile == "fast")
    about = json.loads(record.read_text())
    assert about["people"] == 5 and about["views"] == 5 and about["peak_memory_mb"] > 0
    _, metadata = load_model(model_path)
    assert metadata["people"] == list(rendered.data.train)
    assert not (tmp_path / "work_model").exists()


def test_vertices_alone_teach_the_warp_first(rendered, tmp_path):
    settings = changed(warp_steps=40, warp_points=64, steps=10, moving_share=0.5)
    _, history, record = run(rendered, tmp_path, settings)
    rows = [{name: float(v) for name, v in row.items()} for row in csv.DictReader(history.open())]
    alone, shown = rows[:8], rows[8:]
    assert len(shown) == 2 and json.loads(record.read_text())["steps"] == 50
    assert all(row["colour"] == row["opacity"] == row["depth"] == 0 for row in alone)
    assert all(row["colour"] > 0 and row["correspondence"] > 0 for row in shown)
    assert alone[-1]["correspondence"] < 0.7 * alone[0]["correspondence"]
    assert all(row["learning_rate"] == pytest.approx(3e-3) for row in alone)


@pytest.mark.parametrize(
    "changes", [{"model": {"profile": "faithful"}}, {"train": {"weights": {"correspondence": 0.0}}}]
)
def test_without_a_warp_or_its_term_all_steps_show_images(data, changes):
    settings = {"model": MODEL, "train": {"warp_steps": 7, "steps": 5}}
    if "model" in changes:
        settings["model"] = {"fine_width": 16, "coarse_width": 16, **changes["model"]}
    config = from_settings(
        TrainSettings, settings | {"train": settings["train"] | changes.get("train", {})}, "m"
    )
    steps = Steps(data, config.train, initial_model(config, data), Path("unused"))
    assert steps.recipe().steps == 5 and isinstance(steps.batch(0), Batch)


def test_same_seed_gives_the_same_bytes_and_another_seed_others(rendered, tmp_path):
    first, second = (run(rendered, tmp_path, name=name)[0].read_bytes() for name in "ab")
    assert first == second
    third = run(rendered, tmp_path, changed(seed=1), name="c")[0]
    weights = [load_model(p)[0].expression_codes for p in (tmp_path / "a.safetensors", third)]
    assert not torch.equal(*weights)


KILLED_RUN = """
import json, os, signal, sys
from pathlib import Path
import torch
from facemill.mofanerf import losses
from facemill.mofanerf.train import train

codes, split, views, work, out, settings, kill_at, where = sys.argv[1:]
steps_done = 0

def die():
    os.kill(os.getpid(), signal.SIGKILL)

original_save = torch.save

def counted(terms):
    def with_count(*args):
        global steps_done
        steps_done += 1
        if where == "step" and steps_done > int(kill_at):
            die()
        return terms(*args)
    return with_count

def save(state, path):
    original_save(state, path)
    if where == "checkpoint" and steps_done >= int(kill_at):
        os.truncate(path, os.path.getsize(path) // 2)
        die()

losses.terms, losses.warp_terms = counted(losses.terms), counted(losses.warp_terms)
torch.save = save
out = Path(out)
train(codes, split, views, json.loads(settings), work, *(out.with_suffix(s) for s in
      (".safetensors", ".csv", ".json")), threads=1)
"""


def test_killed_four_times_the_weights_are_those_of_an_undisturbed_run(rendered, tmp_path):
    """Once while vertices alone teach the warp, once at the first step with images."""
    settings = changed(warp_steps=6, steps=14)
    whole, history, _ = run(rendered, tmp_path, settings, name="whole")
    out = tmp_path / "killed"
    made = (rendered.codes, rendered.split, rendered.views, tmp_path / "work", out)
    command = [sys.executable, "-c", KILLED_RUN, *map(str, made), json.dumps(settings)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    # steps done in each life: before any checkpoint, after one, while one is written, ...
    for steps, where in [(3, "step"), (6, "step"), (3, "checkpoint"), (6, "step")]:
        killed = subprocess.run(
            [*command, str(steps), where], capture_output=True, text=True, env=environment
        )
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        assert not out.with_suffix(".safetensors").exists()
    last = subprocess.run(
        [*command, "1000", "step"], capture_output=True, text=True, env=environment
    )
    assert last.returncode == 0, last.stderr
    assert out.with_suffix(".safetensors").read_bytes() == whole.read_bytes()
    assert json.loads(out.with_suffix(".json").read_text())["times_resumed"] >= 2

    def without_seconds(path: Path) -> list[dict]:
        return [{**row, "seconds": ""} for row in csv.DictReader(path.open())]

    assert without_seconds(out.with_suffix(".csv")) == without_seconds(history)
    assert not (tmp_path / "work").exists()


def test_the_air_is_emptied_once_there_is_a_surface(rendered, tmp_path):
    weights = {"empty": 0.1}
    settings = changed(steps=8, warp_steps=2, empty_start=0.5, log_every=2, weights=weights)
    _, history, _ = run(rendered, tmp_path, settings)
    terms = [float(row["empty"]) for row in csv.DictReader(history.open())]
    assert terms[:3] == [0, 0, 0] and min(terms[3:]) > 0  # 2 steps of vertices, 4 of 8 without


class Killed(Exception):
    """Stands for whatever ends a process."""


def test_other_settings_start_over_and_a_preview_is_drawn(rendered, tmp_path, monkeypatch, caplog):
    from facemill.mofanerf import losses

    original, calls = losses.terms, []

    def stop(*args):
        calls.append(1)
        if len(calls) > 10:
            raise Killed
        return original(*args)

    with monkeypatch.context() as patch:
        patch.setattr(losses, "terms", stop)
        with pytest.raises(Killed):
            run(rendered, tmp_path, changed(preview_every=10))
    picture = read_png((tmp_path / "work_model/preview.png").read_bytes(), "preview")
    assert picture.shape == (64, 96, 3) and picture[:32].any()
    run(rendered, tmp_path, changed(learning_rate=2e-3))
    assert "settings changed since; starting over" in caplog.text


def test_divergence_says_at_which_step_and_what_to_do(rendered, tmp_path):
    with pytest.raises(TrainingError, match=r"step \d+: the loss is .*learning_rate"):
        run(rendered, tmp_path, changed(learning_rate=1e30))


def test_an_unknown_key_is_refused_before_any_work(rendered, tmp_path):
    with pytest.raises(ConfigError, match=r"mofanerf\.train\.step: unknown key.*'steps'"):
        run(rendered, tmp_path, {"train": {"step": 5}})
    assert not (tmp_path / "work_model").exists()
