"""Draw faces of people who do not exist from the distribution of ImFace's trained codes.

In: the model. Out: a picture, and a folder of PLY meshes with normals, millimetres in the face
frame.
"""

import argparse
import json
from pathlib import Path

import facemill.command


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", type=Path, required=True, help="model.safetensors")
    parser.add_argument("--settings", type=json.loads, default={}, help='JSON: {"size": ...}')
    parser.add_argument("--draw", type=json.loads, default={}, help='JSON: {"count": ...}')
    parser.add_argument("--out", type=Path, required=True, help="picture (.png) to write")
    parser.add_argument("--meshes", type=Path, required=True, help="folder to write")


def main(args: argparse.Namespace) -> None:
    from facemill.imface.figures import random_faces

    random_faces(args.model, args.settings, args.draw, args.out, args.meshes)


if __name__ == "__main__":
    facemill.command.run(__doc__, add_arguments, main)
