"""Draw reconstructions of unseen people beside the scans, with error maps and a scale in mm.

In: the index, prepared faces and the fits of one method or more. Out: a picture, one row per scan.
"""

import argparse
import json
from pathlib import Path

import facemill.command


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--index", type=Path, required=True, help="index.json")
    parser.add_argument("--faces", type=Path, required=True, help="folder of <person>.npz")
    parser.add_argument(
        "--fit",
        nargs=2,
        action="append",
        required=True,
        metavar=("LABEL", "FOLDER"),
        help="a method's name and its folder of <person>.npz; may be given several times",
    )
    parser.add_argument("--settings", type=json.loads, default={}, help='JSON: {"rows": ...}')
    parser.add_argument("--out", type=Path, required=True, help="picture (.png) to write")


def main(args: argparse.Namespace) -> None:
    from facemill.imface.figures import reconstruction

    reconstruction(args.index, args.faces, dict(args.fit), args.settings, args.out)


if __name__ == "__main__":
    facemill.command.run(__doc__, add_arguments, main)
