"""Export one person in ImFace's own file layout, for the authors' code and other readers of it.

In: face pack and sample pack. Out: the person's folder with <k>_surf_pcl.npy and its neighbours,
in units of 100 mm.
"""

import argparse

from facemill.command import run


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--faces", required=True, help="face pack, .npz")
    parser.add_argument("--samples", required=True, help="sample pack, .npy")
    parser.add_argument("--person", required=True, help="the person's name")
    parser.add_argument("--out", required=True, help="folder to write")


def main(args: argparse.Namespace) -> None:
    from facemill.mesh.imface_layout import export_person

    export_person(args.faces, args.samples, args.person, args.out)


if __name__ == "__main__":
    run(__doc__, add_arguments, main)
