"""Train ImFace on the training people's signed-distance samples.

In: the index (people and split) and the folder of sample packs. Out: the model with its config and
its lists of people and expressions, the history of the loss terms, the record of the run. The work
folder keeps the state of an unfinished run, so that starting again goes on where it was killed.
"""

import argparse
from pathlib import Path

import facemill.command


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--index", type=Path, required=True, help="index.json")
    parser.add_argument("--samples", type=Path, required=True, help="folder of <person>.npy")
    facemill.command.add_training_arguments(parser)


def main(args: argparse.Namespace) -> None:
    from facemill.imface.train import train

    train(
        index=args.index,
        samples=args.samples,
        **facemill.command.training_arguments(args),
    )


if __name__ == "__main__":
    facemill.command.run(__doc__, add_arguments, main)
