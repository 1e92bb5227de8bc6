"""Train ImFace on the training people's signed-distance samples.

In: the index (people and split) and the folder of sample packs. Out: the model with its config and
its lists of people and expressions, the history of the loss terms, the record of the run. The work
folder keeps the state of an unfinished run, so that starting again goes on where it was killed.
"""

import argparse
import json
from pathlib import Path

import facemill.command


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--index", type=Path, required=True, help="index.json")
    parser.add_argument("--samples", type=Path, required=True, help="folder of <person>.npy")
    parser.add_argument(
        "--settings", type=json.loads, default={}, help='JSON: {"model": {...}, "train": {...}}'
    )
    parser.add_argument("--threads", type=int, help="CPU threads; default: all that are given")
    parser.add_argument("--work", type=Path, required=True, help="folder for resuming")
    parser.add_argument("--model", type=Path, required=True, help="model.safetensors to write")
    parser.add_argument("--history", type=Path, required=True, help="history.csv to write")
    parser.add_argument("--run", type=Path, required=True, help="run.json to write")


def main(args: argparse.Namespace) -> None:
    from facemill.imface.train import train

    train(
        index=args.index,
        samples=args.samples,
        settings=args.settings,
        work=args.work,
        model_path=args.model,
        history_path=args.history,
        run_path=args.run,
        threads=args.threads,
    )


if __name__ == "__main__":
    facemill.command.run(__doc__, add_arguments, main)
