"""NFS's table: means over people by method, split and metric.

In: the scores of all variants. Out: one tidy CSV, and a page for reading with published numbers
beside them.
"""

import argparse
from pathlib import Path

import facemill.command


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--scores", type=Path, nargs="+", required=True, help="scores.csv")
    parser.add_argument("--out", type=Path, required=True, help="table (.csv) to write")
    parser.add_argument("--page", type=Path, required=True, help="the same to read (.md) to write")


def main(args: argparse.Namespace) -> None:
    from facemill.nfs.table import table

    table(args.scores, args.out, args.page)


if __name__ == "__main__":
    facemill.command.run(__doc__, add_arguments, main)
