"""Measure ImFace's dense correspondence on unseen people, beside the nearest point in space.

In: the index, prepared faces, models and their fits. Out: a tidy CSV with the columns system,
method, split, metric, unit, value, n; the readable form goes to the log.
"""

import argparse
import json
from pathlib import Path

import facemill.command


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--index", type=Path, required=True, help="index.json")
    parser.add_argument("--faces", type=Path, required=True, help="folder of <person>.npz")
    parser.add_argument(
        "--variant",
        nargs=3,
        action="append",
        required=True,
        metavar=("NAME", "MODEL", "FITS"),
        help="a model and its folder of <person>.npz; may be given several times",
    )
    parser.add_argument("--settings", type=json.loads, default={}, help='JSON: {"points": ...}')
    parser.add_argument("--out", type=Path, required=True, help="table (.csv) to write")


def main(args: argparse.Namespace) -> None:
    from facemill.imface.correspondence_errors import correspondence_table

    variants = {name: (model, fits) for name, model, fits in args.variant}
    correspondence_table(args.index, args.faces, variants, args.settings, args.out)


if __name__ == "__main__":
    facemill.command.run(__doc__, add_arguments, main)
