"""Draw people and expressions in the colours of the template: same colour, same place.

In: the model and fits of unseen people. Out: a picture, people by expressions.
"""

import argparse
import json
from pathlib import Path

import facemill.command


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", type=Path, required=True, help="model.safetensors")
    parser.add_argument("--fits", type=Path, nargs="+", required=True, help="fit/<person>.npz")
    parser.add_argument("--settings", type=json.loads, default={}, help='JSON: {"rows": ...}')
    parser.add_argument("--out", type=Path, required=True, help="picture (.png) to write")


def main(args: argparse.Namespace) -> None:
    from facemill.imface.correspondence_figures import correspondence_colours

    correspondence_colours(args.model, args.fits, args.settings, args.out)


if __name__ == "__main__":
    facemill.command.run(__doc__, add_arguments, main)
