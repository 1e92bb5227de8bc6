"""A descent to a few unknowns (codes, a pose), which a killed run takes up where it was.

Trainings keep more than that (loop.py); a fit to one scan needs its unknowns, its optimiser, the
number of steps made and the terms of the last one. What a step draws has to follow from its number.
"""

import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from facemill.training.checkpoint import Checkpoints

log = logging.getLogger(__name__)

SECONDS_BETWEEN = 30.0
"""How often a state is written, at most."""


class Descent:
    """The state of one descent, in a folder of its own; without a folder nothing is kept.

    Made once unknowns and optimiser stand ready; both are set to where an earlier run was, to the
    bit, if it had the same ``fingerprint``. ``steps`` are made already, in ``earlier`` seconds, and
    ``terms`` are those of the last one.
    """

    def __init__(
        self,
        folder: str | Path | None,
        fingerprint: Mapping[str, Any],
        unknowns: Mapping[str, Tensor],
        optimiser: torch.optim.Optimizer,
    ) -> None:
        self.unknowns, self.optimiser = dict(unknowns), optimiser
        self.steps, self.earlier = 0, 0.0
        self.terms: dict[str, float] = {}
        self._checkpoints = None if folder is None else Checkpoints(folder, dict(fingerprint))
        self._began = self._saved = time.monotonic()
        state = None if self._checkpoints is None else self._checkpoints.load()
        if state is not None:
            self._take_up(state)

    def note(self, steps: int, terms: Mapping[str, float], last: bool) -> None:
        """So many steps are made, the last with these terms. Written now and then and at last."""
        self.steps, self.terms = steps, dict(terms)
        due = last or time.monotonic() - self._saved >= SECONDS_BETWEEN
        if self._checkpoints is None or not due:
            return
        state = {
            "steps": self.steps,
            "seconds": self.earlier + time.monotonic() - self._began,
            "terms": self.terms,
            "unknowns": {name: tensor.detach() for name, tensor in self.unknowns.items()},
            "optimiser": self.optimiser.state_dict(),
        }
        self._checkpoints.save(self.steps, state)
        self._saved = time.monotonic()

    def _take_up(self, state: Mapping[str, Any]) -> None:
        with torch.no_grad():
            for name, tensor in self.unknowns.items():
                tensor.copy_(state["unknowns"][name])
        self.optimiser.load_state_dict(state["optimiser"])
        self.steps, self.terms = state["steps"], dict(state["terms"])
        self.earlier = state.get("seconds", 0.0)
        log.info("%s: going on after step %d", self._checkpoints.folder, self.steps)
