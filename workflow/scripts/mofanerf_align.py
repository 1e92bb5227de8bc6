"""Align one person's raw multi-view scans onto their registered meshes, and clip the shoulders.

In: the person's folder of raw scans, the face pack and manifest of the registered meshes, and the
published alignments where there are any. Out: scans in the face frame (.npz) and the manifest with
transforms and residuals (.json), which views_render reads in place of the registered meshes.
"""

import argparse
import json
from pathlib import Path

import facemill.command


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--person", required=True, help="the person's name in this run")
    parser.add_argument("--scans", type=Path, required=True, help="folder of the person's scans")
    parser.add_argument("--faces", type=Path, required=True, help="face pack (.npz)")
    parser.add_argument("--manifest", type=Path, required=True, help="its manifest (.json)")
    parser.add_argument("--dictionary", type=Path, help="Rt_scale_dict.json; default: compute all")
    parser.add_argument(
        "--settings", type=json.loads, default={}, help='JSON: {"max_residual": mm}'
    )
    parser.add_argument("--pack", type=Path, required=True, help="pack to write (.npz)")
    parser.add_argument("--manifest-out", type=Path, required=True, help="manifest to write")


def main(args: argparse.Namespace) -> None:
    from facemill.mofanerf.align import align_person

    align_person(
        args.person,
        args.scans,
        args.faces,
        args.manifest,
        args.settings,
        args.pack,
        args.manifest_out,
        args.dictionary,
    )


if __name__ == "__main__":
    facemill.command.run(__doc__, add_arguments, main)
