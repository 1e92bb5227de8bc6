"""Train MoFaNeRF on the training people's rendered views.

In: codes, split and the folder of view packs. Out: the model with its config and its expressions,
the history of the loss terms, the record of the run. The work folder keeps the state of an
unfinished run, so that starting again goes on where it was killed, and a preview picture.
"""

import argparse
import json
from pathlib import Path

import facemill.command


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--codes", type=Path, required=True, help="codes.npz")
    parser.add_argument("--split", type=Path, required=True, help="split.json")
    parser.add_argument("--views", type=Path, required=True, help="folder of <person>.zip")
    parser.add_argument(
        "--settings", type=json.loads, default={}, help='JSON: {"model": {...}, "train": {...}}'
    )
    parser.add_argument("--threads", type=int, help="CPU threads; default: all that are given")
    parser.add_argument("--work", type=Path, required=True, help="folder for resuming")
    parser.add_argument("--model", type=Path, required=True, help="model.safetensors to write")
    parser.add_argument("--history", type=Path, required=True, help="history.csv to write")
    parser.add_argument("--run", type=Path, required=True, help="run.json to write")


def main(args: argparse.Namespace) -> None:
    from facemill.mofanerf.train import train

    train(
        codes=args.codes,
        split=args.split,
        views=args.views,
        settings=args.settings,
        work=args.work,
        model_path=args.model,
        history_path=args.history,
        run_path=args.run,
        threads=args.threads,
    )


if __name__ == "__main__":
    facemill.command.run(__doc__, add_arguments, main)
