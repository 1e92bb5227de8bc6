"""Train NFS on labelled people and on the data set's own.

In: the folder of labelled people; operators and face packs of the data set's training people. Out:
the model with its config, the history of the loss terms, the record of the run. The work folder
keeps the state of an unfinished run, so that starting again goes on where it was killed.
"""

import argparse
import json
from pathlib import Path

import facemill.command


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--people", type=Path, required=True, help="folder of nfs_data")
    parser.add_argument("--operators", type=Path, help="folder of <person>.npz")
    parser.add_argument("--faces", type=Path, help="folder of <person>.npz")
    parser.add_argument("--index", type=Path, help="index.json, which says who may be learnt from")
    parser.add_argument("--unlabelled", nargs="*", default=[], help="people of the data set")
    parser.add_argument(
        "--settings", type=json.loads, default={}, help='JSON: {"model": {...}, "train": {...}}'
    )
    parser.add_argument("--threads", type=int, help="CPU threads; default: all that are given")
    parser.add_argument("--work", type=Path, required=True, help="folder for resuming")
    parser.add_argument("--model", type=Path, required=True, help="model.safetensors to write")
    parser.add_argument("--history", type=Path, required=True, help="history.csv to write")
    parser.add_argument("--run", type=Path, required=True, help="run.json to write")


def main(args: argparse.Namespace) -> None:
    from facemill.nfs.train import train

    train(
        people=args.people,
        settings=args.settings,
        work=args.work,
        model_path=args.model,
        history_path=args.history,
        run_path=args.run,
        index=args.index,
        operators=args.operators,
        faces=args.faces,
        unlabelled=args.unlabelled,
        threads=args.threads,
    )


if __name__ == "__main__":
    facemill.command.run(__doc__, add_arguments, main)
