"""Fit a trained ImFace to raw scans of any frame: meshes or point clouds, landmarks or none.

In: the model and the scans. Out, a folder for each: mesh, codes, scores, error map, views. The work
folder keeps the codes under way, so that starting again goes on where it was killed.
"""

import argparse
import json
from pathlib import Path

import facemill.command


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", type=Path, required=True, help="model.safetensors")
    parser.add_argument(
        "--input",
        nargs="+",
        required=True,
        help="scans (.obj, .ply, .stl, .glb, .xyz, .npy), or one folder of them",
    )
    parser.add_argument(
        "--landmarks",
        help='a landmark file, a folder of them, or "none"; default: <scan>.landmarks.txt beside',
    )
    parser.add_argument(
        "--settings",
        type=json.loads,
        default={},
        help='JSON: {"fit": {...}, "extraction": {...}, "fit_one": {...}}',
    )
    parser.add_argument("--threads", type=int, default=None, help="default: torch's own choice")
    parser.add_argument("--work", type=Path, help="folder for resuming; default: nothing is kept")
    parser.add_argument("--out", type=Path, required=True, help="folder of the folders by scan")


def main(args: argparse.Namespace) -> None:
    from facemill.data.inputs import raw_scans
    from facemill.imface.fit_one import fit_one

    scans = raw_scans(args.input, args.landmarks)
    fit_one(args.model, scans, args.settings, args.out, args.threads, args.work)


if __name__ == "__main__":
    facemill.command.run(__doc__, add_arguments, main)
