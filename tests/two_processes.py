"""Trainings by two processes on the CPU, compared with one."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

TRAINING = """
import importlib, json, os, signal, sys
import torch
from pathlib import Path

module, inputs, work, out, settings, kill_at = sys.argv[1:]
out = Path(out)
save, saved = torch.save, []

def counted(state, path):
    save(state, path)
    saved.append(path)
    if len(saved) == int(kill_at):
        os.kill(os.getpid(), signal.SIGKILL)

torch.save = counted
importlib.import_module(module).train(
    *json.loads(inputs), json.loads(settings), work,
    *(out.with_suffix(end) for end in (".safetensors", ".csv", ".json")), threads=1)
"""


def together(program: str, *arguments: object) -> list[tuple[int, str]]:
    """Exit status and messages of two processes that run a program as torchrun starts them."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2"}
    command = [sys.executable, "-c", program, *map(str, arguments)]
    started = [
        subprocess.Popen(
            command,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ
            | address
            | {"RANK": str(rank), "LOCAL_RANK": str(rank), "OMP_NUM_THREADS": "1"},
        )
        for rank in range(2)
    ]
    answers = []
    try:
        for process in started:
            _, messages = process.communicate(timeout=300)
            answers.append((process.returncode, messages))
    finally:
        for process in started:
            process.kill()
    return answers


def trained(folder: Path, system: str, inputs, settings: dict, name: str, kill_at: int = 0) -> Any:
    """Weights, record and history of a training by two processes; None where one is killed."""
    out = folder / name
    given = json.dumps([str(path) for path in inputs]), folder / f"work {name}", out
    module = f"facemill.{system}.train"
    answers = together(TRAINING, module, *given, json.dumps(settings), kill_at)
    if kill_at:
        assert all(status != 0 for status, _ in answers)
        assert not out.with_suffix(".safetensors").exists()
        return None
    assert [status for status, _ in answers] == [0, 0], answers[0][1] + answers[1][1]
    assert not (folder / f"work {name}").exists()
    return results(out)


def results(out: Path) -> tuple[dict[str, torch.Tensor], dict, list[list[float]]]:
    """Weights, record and history's rows beside ``out``."""
    rows = out.with_suffix(".csv").read_text().splitlines()[1:]
    record = json.loads(out.with_suffix(".json").read_text())
    weights = load_file(out.with_suffix(".safetensors"))
    return weights, record, [[float(value) for value in row.split(",")] for row in rows]


def require_near(one, two) -> None:
    """Weights and losses that differ by rounding only."""
    for name, weight in one[0].items():
        torch.testing.assert_close(two[0][name], weight, rtol=1e-3, atol=2e-5, msg=name)
    for row, other in zip(one[2], two[2], strict=True):
        assert other[0] == row[0]
        assert other[3:] == pytest.approx(row[3:], rel=1e-4, abs=1e-7)
    assert (one[1]["processes"], two[1]["processes"]) == (1, 2)
