"""Draw ImFace's training curves: the loss and each of its terms, all variants together.

In: the variants' history.csv. Out: a picture (.png), and the same as .pdf beside it.
"""

import argparse
from pathlib import Path

import facemill.command


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--history",
        nargs=2,
        action="append",
        required=True,
        metavar=("LABEL", "FILE"),
        help="a variant's name and its history.csv; may be given several times",
    )
    parser.add_argument("--out", type=Path, required=True, help="picture (.png) to write")


def main(args: argparse.Namespace) -> None:
    from facemill.figures.curves import training_curves

    training_curves(dict(args.history), args.out, title="ImFace, training", pdf=True)


if __name__ == "__main__":
    facemill.command.run(__doc__, add_arguments, main)
