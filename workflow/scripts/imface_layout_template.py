"""Write ImFace's template landmarks: the mean of the training people's neutral ones.

In: face packs of the training people. Out: 68 lines `x y z` in units of 100 mm, as the authors'
code expects them in FacescapeNormal.bnd.
"""

import argparse

from facemill.command import run


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--faces", required=True, nargs="+", help="face packs, .npz")
    parser.add_argument("--out", required=True, help="landmark file to write")


def main(args: argparse.Namespace) -> None:
    from facemill.mesh.imface_layout import write_template

    write_template(args.out, args.faces)


if __name__ == "__main__":
    run(__doc__, add_arguments, main)
