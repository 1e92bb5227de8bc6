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


def refused(
    repository: Path,
    capsys: pytest.CaptureFixture,
    folder: Path,
    /,
    *words: str,
    script: str,
    **arguments: object,
) -> None:
    """Run a command that has to end in one error with these words in it, and leave no file.

    Results go into ``folder``: a value that begins with ``>`` is a path there. Lists are given as
    several values.
    """

    def given(value: object) -> object:
        return folder / value[1:] if str(value).startswith(">") else value

    line = []
    for name, value in arguments.items():
        line += [f"--{name}", *(map(given, value) if isinstance(value, list) else [given(value)])]
    status, messages = run(repository, capsys, script, *line)
    assert status == 1 and "Traceback" not in messages, messages
    errors = [one for one in messages.splitlines() if "error:" in one]
    assert len(errors) == 1, messages
    assert all(word in errors[0] for word in words), errors[0]
    assert not [path for path in folder.rglob("*") if path.is_file() and "work" not in str(path)]
