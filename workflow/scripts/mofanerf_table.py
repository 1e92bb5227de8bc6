"""MoFaNeRF's table: all variants and the baselines, by what was held out.

In: score files of variants. Out: a tidy CSV with the columns system, method, split, metric, unit,
value, n; the readable form goes to the log.
"""

import argparse
from pathlib import Path

import facemill.command


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--scores", type=Path, nargs="+", required=True, help="score files (.csv)")
    parser.add_argument("--out", type=Path, required=True, help="table (.csv) to write")


def main(args: argparse.Namespace) -> None:
    from facemill.mofanerf.table import table

    table(args.scores, args.out)


if __name__ == "__main__":
    facemill.command.run(__doc__, add_arguments, main)
