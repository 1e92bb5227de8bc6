"""Command-line programs say a user's error in one line."""

import sys

import pytest

from facemill import command
from facemill.errors import DataError


def fail(args):
    raise DataError(f"{args.path}: no such file. Give another.")


def test_a_users_error_is_one_line_and_status_one(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["prog", "--path", "Gesichter mit Ö/x.obj"])
    with pytest.raises(SystemExit) as stop:
        command.run("What it does.", lambda parser: parser.add_argument("--path"), fail)
    assert stop.value.code == 1
    assert capsys.readouterr().err == "error: Gesichter mit Ö/x.obj: no such file. Give another.\n"


def test_a_bug_keeps_its_traceback(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["prog"])
    with pytest.raises(ZeroDivisionError):
        command.run("What it does.", lambda parser: None, lambda args: 1 / 0)
