"""Bring trained ImFace weights from an https address or a file, and check their SHA-256.

The sum stands on the card that imface_release writes beside the weights. A file of any other
content is refused and nothing is left behind.
"""

import argparse
from pathlib import Path

import facemill.command


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", required=True, help="https address or file of the weights")
    parser.add_argument("--sha256", required=True, help="SHA-256 of the file, 64 hex digits")
    parser.add_argument("--out", type=Path, required=True, help="weights to write (.safetensors)")


def main(args: argparse.Namespace) -> None:
    from facemill.imface.fetch import fetch

    fetch(args.model, args.sha256, args.out)


if __name__ == "__main__":
    facemill.command.run(__doc__, add_arguments, main)
