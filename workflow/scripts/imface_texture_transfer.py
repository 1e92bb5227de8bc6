"""Draw everybody in everybody's skin, handed on by ImFace's dense correspondence.

In: the model, fits of unseen people and their prepared faces, whose manifests name the textures.
Out: a picture, reconstructions by skins.
"""

import argparse
import json
from pathlib import Path

import facemill.command


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", type=Path, required=True, help="model.safetensors")
    parser.add_argument("--fits", type=Path, nargs="+", required=True, help="fit/<person>.npz")
    parser.add_argument("--faces", type=Path, required=True, help="folder of <person>.npz")
    parser.add_argument("--settings", type=json.loads, default={}, help='JSON: {"rows": ...}')
    parser.add_argument("--out", type=Path, required=True, help="picture (.png) to write")


def main(args: argparse.Namespace) -> None:
    from facemill.imface.correspondence_figures import texture_transfer

    texture_transfer(args.model, args.fits, args.faces, args.settings, args.out)


if __name__ == "__main__":
    facemill.command.run(__doc__, add_arguments, main)
