"""Make up a photo of a prepared head: off centre, tilted, unevenly lit, before a wall.

In: a person's face pack and its manifest (which names the texture). Out: the photo, and its 68
landmarks beside it (<photo>.landmarks.txt). There is no mask, as with most photos.
"""

import argparse
from pathlib import Path

import facemill.command


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--faces", type=Path, required=True, help="face pack (.npz)")
    parser.add_argument("--manifest", type=Path, required=True, help="its manifest (.json)")
    parser.add_argument("--seed", type=int, default=0, help="of the wall")
    parser.add_argument("--photo", type=Path, required=True, help="photo (.jpg) to write")


def main(args: argparse.Namespace) -> None:
    from facemill.mofanerf.demo_photo import write_demo_photo

    write_demo_photo(args.faces, args.manifest, args.photo, args.seed)


if __name__ == "__main__":
    facemill.command.run(__doc__, add_arguments, main)
