"""What every command-line program of the workflow shares: parser set-up, errors, log lines."""

import argparse
import json
import logging
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from facemill.errors import FacemillError


def run(
    description: str | None,
    add_arguments: Callable[[argparse.ArgumentParser], None],
    main: Callable[[argparse.Namespace], None],
) -> None:
    """Parse the command line and call ``main``; a ``FacemillError`` ends in one line and status 1.

    ``main`` imports what is heavy (torch, the mesh libraries) inside itself, so that ``--help``
    answers at once and without them.
    """
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_arguments(parser)
    args = parser.parse_args()
    # Batch systems end jobs by SIGTERM: leave by the usual door, so that half files are removed.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S", stream=sys.stderr
    )
    try:
        main(args)
    except FacemillError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)


def add_training_arguments(parser: argparse.ArgumentParser) -> None:
    """What every training takes beside its data, and :func:`training_arguments` hands on."""
    parser.add_argument(
        "--settings", type=json.loads, default={}, help='JSON: {"model": {...}, "train": {...}}'
    )
    parser.add_argument("--threads", type=int, help="CPU threads; default: all that are given")
    parser.add_argument("--work", type=Path, required=True, help="folder for resuming")
    parser.add_argument("--model", type=Path, required=True, help="weights (.safetensors) to write")
    parser.add_argument("--history", type=Path, required=True, help="history.csv to write")
    parser.add_argument("--run", type=Path, required=True, help="run.json to write")


def training_arguments(args: argparse.Namespace) -> dict[str, Any]:
    """The same as keywords of the systems' ``train``."""
    return {
        "settings": args.settings,
        "work": args.work,
        "model_path": args.model,
        "history_path": args.history,
        "run_path": args.run,
        "threads": args.threads,
    }
