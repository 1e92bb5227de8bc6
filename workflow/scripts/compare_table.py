"""Lay the tables of all systems under each other, by split and metric.

In: the systems' tidy tables. Out: one tidy CSV; the readable form goes to the log.
"""

import argparse
import logging
from pathlib import Path

import facemill.command


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--tables", type=Path, nargs="+", required=True, help="tables/<system>.csv")
    parser.add_argument("--out", type=Path, required=True, help="table (.csv) to write")


def main(args: argparse.Namespace) -> None:
    from facemill.metrics.tables import as_markdown, compare_tables

    rows = compare_tables(args.tables, args.out)
    logging.getLogger(__name__).info("%s\n\n%s", args.out, as_markdown(rows))


if __name__ == "__main__":
    facemill.command.run(__doc__, add_arguments, main)
