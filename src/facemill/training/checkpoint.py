"""Checkpoints of unfinished training: whole or absent, never of other settings, code or inputs."""

import json
import logging
import shutil
from pathlib import Path
from typing import Any

import torch

from facemill.files import read_json, sha256, write_json, writing

log = logging.getLogger(__name__)

FINGERPRINT = "fingerprint.json"


class Checkpoints:
    """The checkpoints in one work folder, two at a time.

    ``fingerprint`` says what the training depends on (settings, code, inputs; anything JSON can
    hold). A folder left by a training with another fingerprint is emptied, with a log line.
    """

    def __init__(self, folder: str | Path, fingerprint: dict[str, Any]) -> None:
        self.folder = Path(folder)
        self._keep_only_own(json.loads(json.dumps(fingerprint)))

    def save(self, step: int, state: dict[str, Any]) -> None:
        """Write ``state`` (tensors, numbers, text, and containers of them) as it is after ``step``.

        The state lands first, its checksum second: a state without one was cut short.
        """
        path = self.folder / f"step-{step:09d}.pt"
        with writing(path) as part:
            torch.save(state, part)
            checksum = sha256(part)
        write_json(path.with_suffix(".json"), {"step": step, "sha256": checksum})
        for old in self._marks()[2:]:
            old.unlink(missing_ok=True)
            old.with_suffix(".pt").unlink(missing_ok=True)

    def load(self) -> dict[str, Any] | None:
        """The newest whole state, on the CPU, or None; damaged ones are passed over, and logged."""
        for mark in self._marks():
            path = mark.with_suffix(".pt")
            try:
                if sha256(path) != read_json(mark)["sha256"]:
                    raise ValueError("its bytes do not match its checksum")
                return torch.load(path, map_location="cpu", weights_only=True)
            except Exception as error:  # any way of being broken means: take the one before
                log.warning("%s: damaged checkpoint (%s); trying the one before", path, error)
        return None

    def remove(self) -> None:
        """Delete the work folder: training is done."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _marks(self) -> list[Path]:
        """Checksum files, newest first."""
        return sorted(self.folder.glob("step-*.json"), reverse=True)

    def _keep_only_own(self, fingerprint: dict[str, Any]) -> None:
        path = self.folder / FINGERPRINT
        if self.folder.is_dir():
            try:
                found = json.loads(path.read_text(encoding="utf-8"))
            except (OSError, ValueError):
                found = None
            if found == fingerprint:
                return
            if found is not None:
                keys = [key for key in fingerprint if found.get(key) != fingerprint[key]]
                log.warning("%s: %s changed since; starting over", self.folder, ", ".join(keys))
            self.remove()
        write_json(path, fingerprint)
