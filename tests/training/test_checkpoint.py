"""Checkpoints: the newest whole one counts, and only of the same training."""

import logging

import pytest
import torch

from facemill.training.checkpoint import Checkpoints


def state(step: int) -> dict:
    return {"step": step, "weights": torch.full((1000,), float(step)), "rates": [1e-3, None, "x"]}


def test_the_newest_state_comes_back_and_two_are_kept(tmp_path):
    checkpoints = Checkpoints(tmp_path / "work", {"seed": 1})
    assert checkpoints.load() is None
    for step in (5, 10, 15):
        checkpoints.save(step, state(step))
    again = Checkpoints(tmp_path / "work", {"seed": 1}).load()
    assert again["step"] == 15 and torch.equal(again["weights"], state(15)["weights"])
    assert len(list((tmp_path / "work").glob("*.pt"))) == 2


@pytest.mark.parametrize("damage", ["cut short", "one byte", "empty", "gone", "no mark"])
def test_a_damaged_checkpoint_falls_back_to_the_one_before(tmp_path, caplog, damage):
    checkpoints = Checkpoints(tmp_path, {})
    checkpoints.save(5, state(5))
    checkpoints.save(10, state(10))
    newest = tmp_path / "step-000000010.pt"
    content = newest.read_bytes()
    if damage == "gone":
        newest.unlink()
    elif damage == "no mark":  # killed between the state and its checksum
        newest.with_suffix(".json").unlink()
    else:
        middle = len(content) // 2
        flipped = content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
        damaged = {"cut short": content[:middle], "one byte": flipped, "empty": b""}
        newest.write_bytes(damaged[damage])
    with caplog.at_level(logging.WARNING):
        assert checkpoints.load()["step"] == 5
    assert damage == "no mark" or "damaged checkpoint" in caplog.text


def test_another_fingerprint_starts_over_and_says_what_changed(tmp_path, caplog):
    Checkpoints(tmp_path / "work", {"seed": 1, "code": "a"}).save(5, state(5))
    with caplog.at_level(logging.WARNING):
        assert Checkpoints(tmp_path / "work", {"seed": 2, "code": "a"}).load() is None
    assert "seed changed since; starting over" in caplog.text
    assert not list((tmp_path / "work").glob("*.pt"))


def test_the_work_folder_is_removed_at_the_end(tmp_path):
    checkpoints = Checkpoints(tmp_path / "work", {})
    checkpoints.save(1, state(1))
    checkpoints.remove()
    assert not (tmp_path / "work").exists()
