"""Make MoFaNeRF's shape codes and textures, and draw what is held out of its training.

In: the index (people and split), prepared faces and rendered views. Out: codes, textures and the
linear face model that predicts surfaces (.npz), and the split over people, views and pairs (.json).
"""

import argparse
import json
from pathlib import Path

import facemill.command


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--index", type=Path, required=True, help="index.json")
    parser.add_argument("--faces", type=Path, required=True, help="folder of <person>.npz, .json")
    parser.add_argument("--views", type=Path, required=True, help="folder of <person>.zip")
    parser.add_argument("--settings", type=json.loads, default={}, help='JSON: {"seed": ...}')
    parser.add_argument("--codes", type=Path, required=True, help="codes (.npz) to write")
    parser.add_argument("--split", type=Path, required=True, help="split (.json) to write")


def main(args: argparse.Namespace) -> None:
    from facemill.mofanerf.codes import make_codes

    make_codes(args.index, args.faces, args.views, args.settings, args.codes, args.split)


if __name__ == "__main__":
    facemill.command.run(__doc__, add_arguments, main)
