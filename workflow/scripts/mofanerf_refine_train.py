"""Train RefineNet: from a coarse render of half size to a sharp picture.

In: the index and the pairs of training people. Out: the generator with its config, the history of
the loss terms, the record of the run, which says whether there was a perceptual term. The work
folder keeps the state of an unfinished run.
"""

import argparse
import json
from pathlib import Path

import facemill.command


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--index", type=Path, required=True, help="index.json")
    parser.add_argument("--pairs", type=Path, required=True, help="folder of training pairs")
    parser.add_argument(
        "--settings", type=json.loads, default={}, help='JSON: {"model": {...}, "train": {...}}'
    )
    parser.add_argument("--threads", type=int, help="CPU threads; default: all that are given")
    parser.add_argument("--work", type=Path, required=True, help="folder for resuming")
    parser.add_argument("--model", type=Path, required=True, help="refiner.safetensors to write")
    parser.add_argument("--history", type=Path, required=True, help="history.csv to write")
    parser.add_argument("--run", type=Path, required=True, help="run.json to write")


def main(args: argparse.Namespace) -> None:
    from facemill.mofanerf.refine_train import train

    outputs = (args.model, args.history, args.run)
    train(args.index, args.pairs, args.settings, args.work, *outputs, threads=args.threads)


if __name__ == "__main__":
    facemill.command.run(__doc__, add_arguments, main)
