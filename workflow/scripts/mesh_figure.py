"""Draw what preprocessing makes of one scan: scan, visible sheet, closed head, samples.

In:  the face pack and the sample pack of one person, and an expression.
Out: one picture with four panels.
"""

import argparse

from facemill.command import run


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--faces", required=True, help="face pack (.npz)")
    parser.add_argument("--samples", required=True, help="sample pack (.npy, manifest beside)")
    parser.add_argument("--expression", required=True, help="name such as 1_neutral")
    parser.add_argument("--out", required=True, help="picture to write (.png)")


def main(args: argparse.Namespace) -> None:
    from facemill.figures.sheets import mesh_figure

    mesh_figure(args.faces, args.samples, args.expression, args.out)


if __name__ == "__main__":
    run(__doc__, add_arguments, main)
