"""Write the fitted scans of one person as PLY meshes with normals from the field's gradient.

In: the model and the person's fit. Out: a folder of <expression>.ply, millimetres in the
face frame.
"""

import argparse
import json
from pathlib import Path

import facemill.command


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", type=Path, required=True, help="model.safetensors")
    parser.add_argument("--fit", type=Path, required=True, help="fit/<person>.npz")
    parser.add_argument("--settings", type=json.loads, default={}, help='JSON: {"resolution": ...}')
    parser.add_argument("--out", type=Path, required=True, help="folder to write")


def main(args: argparse.Namespace) -> None:
    from facemill.imface.export import export_person

    export_person(args.model, args.fit, args.settings, args.out)


if __name__ == "__main__":
    facemill.command.run(__doc__, add_arguments, main)
