"""A descent that is killed and taken up again: the same unknowns, of the same descent only."""

import pytest
import torch

from facemill.training import descent
from facemill.training.descent import Descent

TARGET = torch.linspace(-1, 1, 5)


def run(folder, steps, of=None, killed_after=None):
    """Adam towards a target that shakes with the step; returns the unknowns and the last term."""
    unknown = torch.zeros(5, requires_grad=True)
    optimiser = torch.optim.Adam([unknown], lr=0.1)
    state = Descent(folder, of or {"seed": 1}, {"x": unknown}, optimiser)
    for step in range(state.steps, steps):
        optimiser.zero_grad()
        loss = (unknown - TARGET * (1 + 0.1 * step)).square().sum()
        loss.backward()
        optimiser.step()
        state.note(step + 1, {"loss": loss.item()}, last=step + 1 == steps)
        if step + 1 == killed_after:
            raise KeyboardInterrupt
    return unknown.detach(), state.terms


@pytest.fixture
def every_step(monkeypatch):
    monkeypatch.setattr(descent, "SECONDS_BETWEEN", 0.0)


@pytest.mark.parametrize("step", [1, 6, 9])
def test_killed_and_taken_up_it_ends_with_the_same_bits(every_step, tmp_path, step):
    whole = run(None, 9)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "w", 9, killed_after=step)
    found = run(tmp_path / "w", 9)
    assert torch.equal(found[0], whole[0]) and found[1] == whole[1]


def test_seconds_of_earlier_runs_are_known(every_step, tmp_path, monkeypatch):
    clock = iter(range(1000))
    monkeypatch.setattr(descent.time, "monotonic", lambda: float(next(clock)))
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "w", 9, killed_after=5)
    spent = []
    for _ in range(2):
        unknown = torch.zeros(5, requires_grad=True)
        state = Descent(tmp_path / "w", {"seed": 1}, {"x": unknown}, torch.optim.Adam([unknown]))
        spent.append(state.earlier)
        state.note(6, {"loss": 0.0}, last=True)
    assert 5 <= spent[0] < spent[1] < 40


def test_what_was_not_kept_yet_is_made_again(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "w", 9, killed_after=5)
    assert not list((tmp_path / "w").glob("*.pt"))
    assert torch.equal(run(tmp_path / "w", 9)[0], run(None, 9)[0])


def test_another_descent_begins_anew(every_step, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "w", 9, killed_after=5)
    assert torch.equal(run(tmp_path / "w", 2, of={"seed": 2})[0], run(None, 2)[0])
