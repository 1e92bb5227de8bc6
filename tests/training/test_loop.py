"""The loop that all training shares: resuming, history, checkpoints, divergence, record."""

import csv
import json
from dataclasses import dataclass, field, replace

import pytest
import torch

from facemill.errors import TrainingError
from facemill.training.loop import Recipe, TrainingRun, fingerprint, read_ahead


@dataclass(frozen=True)
class Settings:
    """Of the training below."""

    learning_rate: float = 0.1
    log_every: int = 4
    preview_every: int = 0
    checkpoint_steps: int = 3
    checkpoint_seconds: float = 1e9


@dataclass(frozen=True)
class Config:
    """As every system has one."""

    train: Settings = field(default_factory=Settings)


class Killed(Exception):
    """Stands for whatever ends a process."""


def line(steps=10, kill_at=None, spoil_at=None):
    """A straight line through points that depend on the step; values counted by step."""
    torch.manual_seed(0)
    model = torch.nn.Linear(1, 1)
    optimiser = torch.optim.Adam(model.parameters(), 0.1)

    def batch(step):
        return torch.linspace(0, 1, 8)[:, None] + step / 10

    def update(step, x):
        if step == kill_at:
            raise Killed
        optimiser.zero_grad()
        loss = ((model(x) - 2 * x) ** 2).mean() * (torch.nan if step == spoil_at else 1)
        loss.backward()
        optimiser.step()
        return {"fit": loss, "number": torch.tensor(float(step)), "beside": torch.tensor(5.0)}

    return Recipe(
        key="line.train",
        steps=steps,
        learning_rate=0.1,
        decay=lambda step: 0.5**step,
        batch=batch,
        update=update,
        terms=("fit", "number", "absent"),
        beside=("beside",),
        kept={"model": model, "optimiser": optimiser},
    )


def begun(work, threads=1):
    return TrainingRun(work, {"seed": 0}, torch.device("cpu"), threads)


def trained(work, recipe, pace=Settings(), threads=1):
    run = begun(work, threads)
    with run.arithmetic():
        run.train(recipe, pace)
    return run


def rows(run):
    return [{**row, "seconds": ""} for row in csv.DictReader(run.history.text().splitlines())]


def test_rows_hold_means_since_the_row_before_and_the_rate_of_the_last_step(tmp_path):
    run = trained(tmp_path, line())
    found = list(csv.DictReader(run.history.text().splitlines()))
    columns = ["step", "seconds", "learning_rate", "total", "fit", "number", "absent", "beside"]
    assert list(found[0]) == columns
    assert [int(row["step"]) for row in found] == [4, 8, 10]
    assert [float(row["number"]) for row in found] == [1.5, 5.5, 8.5]
    assert float(found[0]["learning_rate"]) == pytest.approx(0.1 * 0.5**3)
    for row in found:
        assert float(row["beside"]) == 5 and float(row["absent"]) == 0
        assert float(row["total"]) == pytest.approx(float(row["fit"]) + float(row["number"]))


@pytest.mark.parametrize("at", [(2,), (5,), (3, 7, 9)])
def test_stopped_anywhere_and_taken_up_again_it_ends_where_an_undisturbed_run_does(tmp_path, at):
    whole = line()
    undisturbed = trained(tmp_path / "whole", whole)
    for step in at:
        with pytest.raises(Killed):
            trained(tmp_path / "work", line(kill_at=step))
    again = line()
    resumed = trained(tmp_path / "work", again)
    assert resumed.times_resumed == sum(step >= 3 for step in at)
    assert rows(resumed) == rows(undisturbed)
    for name in ("weight", "bias"):
        ends = [getattr(recipe.kept["model"], name) for recipe in (whole, again)]
        assert torch.equal(*ends)


def test_a_resumed_run_keeps_its_threads_and_says_so(tmp_path, caplog):
    with pytest.raises(Killed):
        trained(tmp_path, line(kill_at=5), threads=1)
    caplog.set_level("INFO")
    assert begun(tmp_path, threads=2).threads == 1
    assert "going on with 1 threads, as begun, not 2" in caplog.text


def test_checkpoints_come_by_seconds_too(tmp_path):
    pace = replace(Settings(), checkpoint_steps=1000, checkpoint_seconds=0.0)
    with pytest.raises(Killed):
        trained(tmp_path, line(kill_at=5), pace)
    assert begun(tmp_path)._state["step"] == 5


def test_divergence_names_step_terms_and_key(tmp_path):
    expected = r"step 6: the loss is nan \(fit\)\. Lower line\.train\.learning_rate \(now 0\.1\)"
    with pytest.raises(TrainingError, match=expected):
        trained(tmp_path, line(spoil_at=6))


def test_the_record_says_what_was_run_and_the_work_folder_goes_last(tmp_path):
    run = trained(tmp_path / "work", line())
    paths = tmp_path / "history.csv", tmp_path / "run.json"
    record = run.write_record(*paths, Config(), {"people": 3})
    assert json.loads(paths[1].read_text()) == record
    assert record["settings"] == {"train": vars(Settings())}
    assert record["people"] == 3 and record["steps"] == 10 and record["threads"] == 1
    assert {"seconds", "times_resumed", "device", "peak_memory_mb", "versions"} <= record.keys()
    assert paths[0].read_text() == run.history.text()
    assert (tmp_path / "work").is_dir()
    run.close()
    assert not (tmp_path / "work").exists()


def test_batches_are_read_once_each_and_none_beyond_the_last():
    read = []
    given = [batch for batch in read_ahead(lambda step: read.append(step) or step, 3, 7)]
    assert given == read == [3, 4, 5, 6]


def test_a_fingerprint_changes_with_settings_code_and_inputs_but_not_with_what_is_logged(tmp_path):
    code = tmp_path / "recipe.py"
    code.write_text("a = 1")
    cpu = torch.device("cpu")
    first = fingerprint(Config(), [code], {"data": "x"}, cpu)
    for pace in ({"log_every": 1}, {"checkpoint_steps": 1}, {"checkpoint_seconds": 1.0}):
        assert fingerprint(Config(replace(Settings(), **pace)), [code], {"data": "x"}, cpu) == first
    others = [
        fingerprint(Config(Settings(learning_rate=1.0)), [code], {"data": "x"}, cpu),
        fingerprint(Config(), [code], {"data": "y"}, cpu),
    ]
    code.write_text("a = 2")
    others.append(fingerprint(Config(), [code], {"data": "x"}, cpu))
    changed = [{key for key in first if other[key] != first[key]} for other in others]
    assert changed == [{"settings"}, {"data"}, {"code"}]
