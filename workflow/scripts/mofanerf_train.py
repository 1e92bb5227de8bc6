"""Train MoFaNeRF on the training people's rendered views.

In: codes, split and the folder of view packs. Out: the model with its config and its expressions,
the history of the loss terms, the record of the run. The work folder keeps the state of an
unfinished run, so that starting again goes on where it was killed, and a preview picture.
"""

import argparse
from pathlib import Path

import facemill.command


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--codes", type=Path, required=True, help="codes.npz")
    parser.add_argument("--split", type=Path, required=True, help="split.json")
    parser.add_argument("--views", type=Path, required=True, help="folder of <person>.zip")
    facemill.command.add_training_arguments(parser)


def main(args: argparse.Namespace) -> None:
    from facemill.mofanerf.train import train

    train(
        codes=args.codes,
        split=args.split,
        views=args.views,
        **facemill.command.training_arguments(args),
    )


if __name__ == "__main__":
    facemill.command.run(__doc__, add_arguments, main)
