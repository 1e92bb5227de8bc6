"""Two processes with half a step each make the update of one with all of it."""

import subprocess
import sys

import pytest
import torch
from two_processes import together

from facemill.errors import ConfigError
from facemill.training.processes import Processes, joined

OWN = """
import torch
from facemill.training.processes import joined

with joined(torch.device("cpu")) as processes:
    used, shared, idle = (torch.nn.Parameter(torch.zeros(2)) for _ in range(3))
    used.grad = torch.full((2,), float(processes.rank))
    if processes.first:
        shared.grad = torch.ones(2)
    processes.mean_gradients([used, shared, idle])
    assert used.grad.tolist() == [0.5, 0.5] and shared.grad.tolist() == [0.5, 0.5]
    assert idle.grad is None
    assert processes.mean(torch.tensor(4.0 * processes.rank)).item() == 2.0
    assert processes.share(8, "key") == slice(4 * processes.rank, 4 * processes.rank + 4)
    processes.wait()
"""


def test_means_go_over_all_processes():
    answers = together(OWN)
    assert [status for status, _ in answers] == [0, 0], answers


def test_torchrun_is_understood(tmp_path):
    (tmp_path / "own.py").write_text(OWN)
    start = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command = [sys.executable, *start, str(tmp_path / "own.py")]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert answer.returncode == 0, answer.stderr


def test_alone_nothing_is_changed(monkeypatch):
    for name in ("RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    with joined(torch.device("cpu")) as processes:
        assert processes == Processes() and processes.first
        values = torch.ones(3)
        assert processes.mean(values) is values
        assert processes.share(7, "key") == slice(0, 7)


def test_a_step_that_does_not_go_into_equal_parts_is_refused():
    with pytest.raises(ConfigError, match=r"images: found 7, expected a multiple of 2"):
        Processes(1, 2).share(7, "mofanerf.train.images")
