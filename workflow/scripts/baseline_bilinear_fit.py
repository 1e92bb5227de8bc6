"""Reconstruct all scans of one unseen person with the bilinear baseline.

In: the bilinear model and the person's samples, the same raw surface points that the systems get,
without correspondence. Out: sheets and the two codes by expression.
"""

import argparse
import json
from pathlib import Path

import facemill.command


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", type=Path, required=True, help="bilinear_model.npz")
    parser.add_argument("--samples", type=Path, required=True, help="the person's <person>.npy")
    parser.add_argument("--settings", type=json.loads, default={}, help='JSON: {"points": ...}')
    parser.add_argument("--out", type=Path, required=True, help="fit file (.npz) to write")


def main(args: argparse.Namespace) -> None:
    from facemill.mesh.bilinear_model import fit_person

    fit_person(args.model, args.samples, args.settings, args.out)


if __name__ == "__main__":
    facemill.command.run(__doc__, add_arguments, main)
