"""Build the bilinear baseline: a Tucker model of the training scans, person by expression.

In: the index (people and split) and the folder of prepared faces. Out: the model as .npz.
"""

import argparse
import json
from pathlib import Path

import facemill.command


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--index", type=Path, required=True, help="index.json")
    parser.add_argument("--faces", type=Path, required=True, help="folder of <person>.npz")
    parser.add_argument(
        "--settings", type=json.loads, default={}, help='JSON: {"identity_components": ...}'
    )
    parser.add_argument("--out", type=Path, required=True, help="bilinear_model.npz to write")


def main(args: argparse.Namespace) -> None:
    from facemill.mesh.bilinear_model import train_bilinear_model

    train_bilinear_model(args.index, args.faces, args.settings, args.out)


if __name__ == "__main__":
    facemill.command.run(__doc__, add_arguments, main)
