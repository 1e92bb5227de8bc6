"""One training run, whatever is trained: steps, history, checkpoints, divergence, record.

A system says what is its own in a :class:`Recipe`: how a batch is read, what an update does, what
has to be kept. :class:`TrainingRun` does what is the same for all: a run that is killed at any step
and started again ends with the same weights, to the bit on a CPU, as one that was never killed.
"""

import dataclasses
import logging
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from facemill.errors import TrainingError
from facemill.files import content_hash, write_json, writing
from facemill.training.checkpoint import Checkpoints
from facemill.training.device import reproducible
from facemill.training.history import History
from facemill.training.processes import Processes
from facemill.training.progress import Progress
from facemill.training.record import device_name, peak_memory_mb, versions
from facemill.training.settings import to_settings

log = logging.getLogger(__name__)

WITHOUT_EFFECT = ("log_every", "preview_every", "checkpoint_steps", "checkpoint_seconds")
"""Settings of training that do not touch the weights."""


@runtime_checkable
class Kept(Protocol):
    """What a checkpoint has to hold: a network, an optimiser, averaged weights."""

    def state_dict(self) -> Mapping[str, Any]:
        """Tensors, numbers, text and containers of them."""

    def load_state_dict(self, state: Any) -> Any:
        """Take such a state up again."""


@runtime_checkable
class Pace(Protocol):
    """How often is written; every system's TrainConfig has these fields."""

    log_every: int
    checkpoint_steps: int
    checkpoint_seconds: float


@dataclass(frozen=True)
class Recipe:
    """What is one system's own in its training."""

    key: str  # where its settings stand in the configuration; with _ for the dots its rule's name
    steps: int
    learning_rate: float  # before any decay
    decay: Callable[[int], float]  # the factor on it at a step
    batch: Callable[[int], Any]  # what a step learns from; read in another thread, a step ahead
    update: Callable[[int, Any], Mapping[str, Float[Tensor, ""]]]  # one step; values by name
    terms: Sequence[str]  # the values whose sum is the loss; one that is missing counts as 0
    kept: Mapping[str, Kept]
    beside: Sequence[str] = ()  # values that are measured as well


class TrainingRun:
    """A run from the last checkpoint in a work folder, if there is one, to its end.

    ``fingerprint`` says what the weights depend on (see :func:`fingerprint`). A resumed run keeps
    the number of threads it began with: sums are split by thread, and the last bits of the weights
    depend on it. Of several ``processes`` all take up the same state, and the first one writes.
    """

    def __init__(
        self,
        work: str | Path,
        fingerprint: Mapping[str, Any],
        device: torch.device,
        threads: int | None = None,
        processes: Processes = Processes(),  # noqa: B008 - frozen
    ) -> None:
        self.device, self.processes = device, processes
        if not processes.first:
            processes.wait()  # until the first one has emptied a folder of another run
        self.checkpoints = Checkpoints(work, dict(fingerprint))
        if processes.first:
            processes.wait()
        self.threads = threads or torch.get_num_threads()
        self.step = self.since_row = self.times_resumed = 0
        self.seconds = 0.0
        self._state = self.checkpoints.load()
        if self._state is not None and self._state["threads"] != self.threads:
            begun = int(self._state["threads"])
            log.info("going on with %d threads, as begun, not %d", begun, self.threads)
            self.threads = begun
        if self._state is not None and self._state["processes"] != processes.count:
            log.info(
                "begun with %d processes, going on with %d: the same weights up to rounding",
                self._state["processes"],
                processes.count,
            )

    def arithmetic(self, matmul_precision: str = "highest") -> AbstractContextManager[None]:
        """The block in which everything is computed, first weights included."""
        return reproducible(self.device, self.threads, matmul_precision)

    def train(self, recipe: Recipe, pace: Pace) -> None:
        """Make the steps that are left, the next batch being read while one is computed.

        The history's columns are step, seconds, learning_rate, total (sum of the terms), the terms
        and what is measured beside them, means since the row before. Raises TrainingError as soon
        as a value is not finite.
        """
        self._resume(recipe)
        writes = self.processes.first
        if writes:
            columns = ["seconds", "learning_rate", "total", *self.sums]
            self.history = History(self.checkpoints.folder / "history.csv", columns, self.step)
            progress = Progress(recipe.key.replace(".", "_"), recipe.steps, self.step)
        saved = began = time.monotonic()
        before = self.seconds
        for batch in read_ahead(recipe.batch, self.step, recipe.steps):
            loss = self._note(recipe, recipe.update(self.step, batch))
            self.step += 1
            now = time.monotonic()
            self.seconds = before + now - began
            if not writes:
                continue
            if self.step % pace.log_every == 0 or self.step == recipe.steps:
                self._write_row(recipe)
            progress.update(self.step, f"loss {loss:.4g}")
            due = self.step % pace.checkpoint_steps == 0 or now - saved > pace.checkpoint_seconds
            if due and self.step < recipe.steps:
                self.checkpoints.save(self.step, self._state_of(recipe))
                saved = time.monotonic()
        if writes:
            progress.close()

    def write_record(
        self,
        history_path: str | Path,
        run_path: str | Path,
        config: Any,
        facts: Mapping[str, Any],
    ) -> dict[str, Any]:
        """Write the history and the record of the run (JSON), and return the record.

        ``config`` is the dataclass of settings, ``facts`` what the run was about (people, scans).
        """
        record = {
            "settings": to_settings(config),
            **facts,
            "steps": self.step,
            "seconds": round(self.seconds, 3),
            "times_resumed": self.times_resumed,
            "device": device_name(self.device),
            "processes": self.processes.count,
            "threads": self.threads,
            "peak_memory_mb": round(peak_memory_mb(self.device), 1),
            "versions": versions(),
        }
        with writing(history_path) as part:
            part.write_text(self.history.text(), encoding="utf-8")
        write_json(run_path, record)
        return record

    def close(self) -> None:
        """Remove the work folder, once all results are written."""
        self.checkpoints.remove()

    def _note(self, recipe: Recipe, values: Mapping[str, Float[Tensor, ""]]) -> float:
        """Add a step's values to the sums; returns its loss."""
        numbers = torch.stack([value.detach() for value in values.values()]).tolist()
        found = dict(zip(values, numbers, strict=True))
        if not math.isfinite(sum(numbers)):
            named = ", ".join(name for name, value in found.items() if not math.isfinite(value))
            raise TrainingError(
                f"step {self.step}: the loss is {sum(numbers)} ({named or 'all terms'}). Lower "
                f"{recipe.key}.learning_rate (now {recipe.learning_rate:g}) and start again."
            )
        for name in self.sums:
            self.sums[name] += found.get(name, 0.0)
        self.since_row += 1
        return sum(found.get(name, 0.0) for name in recipe.terms)

    def _write_row(self, recipe: Recipe) -> None:
        means = {name: total / self.since_row for name, total in self.sums.items()}
        rate = recipe.learning_rate * recipe.decay(self.step - 1)
        loss = sum(means[name] for name in recipe.terms)
        values = {"seconds": self.seconds, "learning_rate": rate, "total": loss}
        self.history.append(self.step, values | means)
        self.sums = dict.fromkeys(self.sums, 0.0)
        self.since_row = 0

    def _state_of(self, recipe: Recipe) -> dict[str, Any]:
        return {
            "step": self.step,
            "kept": {name: part.state_dict() for name, part in recipe.kept.items()},
            "sums": self.sums,
            "since_row": self.since_row,
            "seconds": self.seconds,
            "times_resumed": self.times_resumed,
            "threads": self.threads,
            "processes": self.processes.count,
        }

    def _resume(self, recipe: Recipe) -> None:
        """Take the checkpoint's state up, or begin at step 0."""
        self.sums = dict.fromkeys([*recipe.terms, *recipe.beside], 0.0)
        state, self._state = self._state, None
        begun = torch.tensor(float(0 if state is None else state["step"]), device=self.device)
        if not torch.equal(self.processes.mean(begun), begun):
            raise TrainingError(
                f"{self.checkpoints.folder}: the processes found different checkpoints in it; "
                "expected a folder on a disk that all of them share. Name such a one."
            )
        if state is None:
            return
        for name, part in recipe.kept.items():
            part.load_state_dict(state["kept"][name])
        self.sums = dict(state["sums"])
        self.step, self.since_row = state["step"], state["since_row"]
        self.seconds, self.times_resumed = state["seconds"], state["times_resumed"] + 1
        log.info("going on after step %d of %d", self.step, recipe.steps)


def read_ahead(batch: Callable[[int], Any], first: int, last: int) -> Iterator[Any]:
    """The batches of steps ``first`` to ``last`` - 1, each read while the one before is used."""
    with ThreadPoolExecutor(1) as reader:
        waiting = reader.submit(batch, first)
        for step in range(first, last):
            ready = waiting.result()
            if step + 1 < last:
                waiting = reader.submit(batch, step + 1)
            yield ready


def fingerprint(
    config: Any, code: Iterable[Path], inputs: Mapping[str, Any], device: torch.device
) -> dict[str, Any]:
    """What the final weights depend on; a checkpoint of any other run is of no use.

    ``config`` is the dataclass of settings, with a part ``train``; ``code`` are the source files
    that decide the weights, besides this room's; ``inputs`` names data by content.
    """
    settings = dataclasses.asdict(config)
    train = settings["train"]
    settings["train"] = {name: train[name] for name in train if name not in WITHOUT_EFFECT}
    return {
        "settings": settings,
        "code": content_hash([*code, *sources(Path(__file__).parent)]),
        **inputs,
        "device": device.type,
        "torch": torch.__version__,
    }


def sources(folder: Path, names: Iterable[str] | None = None) -> list[Path]:
    """Source files of a room of the library: all of them, or those named."""
    return list(folder.glob("*.py")) if names is None else [folder / f"{n}.py" for n in names]
