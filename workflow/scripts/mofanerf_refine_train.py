"""Train RefineNet: from a coarse render of half size to a sharp picture.

In: the index and the pairs of training people. Out: the generator with its config, the history of
the loss terms, the record of the run, which says whether there was a perceptual term. The work
folder keeps the state of an unfinished run.
"""

import argparse
from pathlib import Path

import facemill.command


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--index", type=Path, required=True, help="index.json")
    parser.add_argument("--pairs", type=Path, required=True, help="folder of training pairs")
    facemill.command.add_training_arguments(parser)


def main(args: argparse.Namespace) -> None:
    from facemill.mofanerf.refine_train import train

    train(args.index, args.pairs, **facemill.command.training_arguments(args))


if __name__ == "__main__":
    facemill.command.run(__doc__, add_arguments, main)
