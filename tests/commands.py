"""The workflow's commands, run in this process."""

import runpy
import sys
from pathlib import Path

import pytest


def run(
    repository: Path, capsys: pytest.CaptureFixture, script: str, *arguments: object
) -> tuple[int, str]:
    """Exit status and messages of a command of the workflow."""
    path = repository / "workflow/scripts" / f"{script}.py"
    before, sys.argv = sys.argv, [str(path), *map(str, arguments)]
    try:
        runpy.run_path(str(path), run_name="__main__")
        status = 0
    except SystemExit as end:
        status = end.code or 0
    finally:
        sys.argv = before
    return status, capsys.readouterr().err
