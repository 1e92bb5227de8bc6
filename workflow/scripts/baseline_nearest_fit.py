"""Give each scan of one unseen person the training scan that lies nearest to it.

In: the index, the folder of prepared faces, the person's samples. Out: sheets by expression and
whose they are.
"""

import argparse
import json
from pathlib import Path

import facemill.command


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--index", type=Path, required=True, help="index.json")
    parser.add_argument("--faces", type=Path, required=True, help="folder of <person>.npz")
    parser.add_argument("--samples", type=Path, required=True, help="the person's <person>.npy")
    parser.add_argument(
        "--settings", type=json.loads, default={}, help='JSON: {"nearest_points": ...}'
    )
    parser.add_argument("--out", type=Path, required=True, help="fit file (.npz) to write")


def main(args: argparse.Namespace) -> None:
    from facemill.mesh.nearest_scan import fit_person

    fit_person(args.index, args.faces, args.samples, args.settings, args.out)


if __name__ == "__main__":
    facemill.command.run(__doc__, add_arguments, main)
