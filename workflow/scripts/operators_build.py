"""Compute the operators of one neutral mesh: a file of any topology, or a person's neutral.

In: a mesh (.obj, .ply, .glb), with landmarks where there are any, or a face pack (.npz), and the
labelled people, whose mean face it is aligned to. Out: one .npz (docs/nfs.md).
"""

import argparse
import json
from pathlib import Path

import facemill.command


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--mesh", type=Path, required=True, help="mesh or face pack")
    parser.add_argument("--landmarks", type=Path, help="<mesh>.landmarks.txt")
    parser.add_argument("--people", type=Path, required=True, help="people.npz of nfs_data")
    parser.add_argument(
        "--settings", type=json.loads, default={}, help='JSON: {"eigenfunctions": ...}'
    )
    parser.add_argument("--out", type=Path, required=True, help="operators (.npz) to write")


def main(args: argparse.Namespace) -> None:
    from facemill.nfs.operators import operators_build

    operators_build(args.mesh, args.people, args.settings, args.out, args.landmarks)


if __name__ == "__main__":
    facemill.command.run(__doc__, add_arguments, main)
