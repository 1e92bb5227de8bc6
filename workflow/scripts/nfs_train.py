"""Train NFS on labelled people and on the data set's own.

In: the folder of labelled people; operators and face packs of the data set's training people. Out:
the model with its config, the history of the loss terms, the record of the run. The work folder
keeps the state of an unfinished run, so that starting again goes on where it was killed.
"""

import argparse
from pathlib import Path

import facemill.command


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--people", type=Path, required=True, help="folder of nfs_data")
    parser.add_argument("--operators", type=Path, help="folder of <person>.npz")
    parser.add_argument("--faces", type=Path, help="folder of <person>.npz")
    parser.add_argument("--index", type=Path, help="index.json, which says who may be learnt from")
    parser.add_argument("--unlabelled", nargs="*", default=[], help="people of the data set")
    facemill.command.add_training_arguments(parser)


def main(args: argparse.Namespace) -> None:
    from facemill.nfs.train import train

    train(
        people=args.people,
        index=args.index,
        operators=args.operators,
        faces=args.faces,
        unlabelled=args.unlabelled,
        **facemill.command.training_arguments(args),
    )


if __name__ == "__main__":
    facemill.command.run(__doc__, add_arguments, main)
