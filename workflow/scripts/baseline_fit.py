"""Reconstruct all scans of one unseen person with a linear baseline.

In: the linear model and the person's samples, the same raw surface points that the systems get,
without correspondence. Out: sheets and coefficients by expression.
"""

import argparse
import json
from pathlib import Path

import facemill.command


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", type=Path, required=True, help="linear_model.npz")
    parser.add_argument("--method", required=True, help="pca (fitted) or mean (nothing fitted)")
    parser.add_argument("--samples", type=Path, required=True, help="the person's <person>.npy")
    parser.add_argument("--settings", type=json.loads, default={}, help='JSON: {"points": ...}')
    parser.add_argument("--out", type=Path, required=True, help="fit file (.npz) to write")


def main(args: argparse.Namespace) -> None:
    from facemill.mesh.linear_model import fit_person

    fit_person(args.model, args.samples, method=args.method, settings=args.settings, out=args.out)


if __name__ == "__main__":
    facemill.command.run(__doc__, add_arguments, main)
