"""Take frames of a person of Multiface, with a still head, onto NFS's mean face.

In: the entity's folder with tracked_mesh/, and the labelled people, whose mean face it is aligned
to. Out: a face pack without landmarks (docs/data-layouts.md).
"""

import argparse
import json
from pathlib import Path

import facemill.command


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--person", type=Path, required=True, help="folder of the entity")
    parser.add_argument("--people", type=Path, required=True, help="people.npz of nfs_data")
    parser.add_argument(
        "--settings", type=json.loads, default={}, help='JSON: {"multiface": {"takes": ...}}'
    )
    parser.add_argument(
        "--max-residual", type=float, default=4.0, help="mm (rms) from the mean face"
    )
    parser.add_argument("--out", type=Path, required=True, help="face pack (.npz) to write")


def main(args: argparse.Namespace) -> None:
    from facemill.nfs.multiface import nfs_multiface

    settings = args.settings.get("multiface", {})
    nfs_multiface(args.person, args.people, settings, args.max_residual, args.out)


if __name__ == "__main__":
    facemill.command.run(__doc__, add_arguments, main)
