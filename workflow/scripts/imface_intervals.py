"""ImFace's table with 95 % bootstrap intervals over people, and every method's difference from PCA.

In: score files of people and methods, and the index that tells the splits. Out: a tidy CSV with the
columns system, method, split, metric, unit, value, low, high, n; the readable form goes to the log.
"""

import argparse
from pathlib import Path

import facemill.command


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--scores", type=Path, nargs="+", required=True, help="score files (.csv)")
    parser.add_argument("--index", type=Path, required=True, help="index.json")
    parser.add_argument("--seed", type=int, default=0, help="of the draws of people")
    parser.add_argument("--out", type=Path, required=True, help="table (.csv) to write")


def main(args: argparse.Namespace) -> None:
    from facemill.imface.evaluate import intervals

    intervals(args.scores, args.index, args.out, args.seed)


if __name__ == "__main__":
    facemill.command.run(__doc__, add_arguments, main)
