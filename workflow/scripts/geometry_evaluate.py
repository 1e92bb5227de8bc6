"""Measure how far one person's reconstructed meshes lie from the scans.

In: the person's fit and prepared faces. Out: one row per scan and metric (docs/metrics.md).
"""

import argparse
import json
from pathlib import Path

import facemill.command


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--fit", type=Path, required=True, help="fit/<person>.npz")
    parser.add_argument("--faces", type=Path, required=True, help="faces/<person>.npz")
    parser.add_argument("--system", required=True, help="name in the table's first column")
    parser.add_argument("--method", required=True, help="variant or baseline")
    parser.add_argument("--person", required=True)
    parser.add_argument("--settings", type=json.loads, default={}, help='JSON: {"points": ...}')
    parser.add_argument("--out", type=Path, required=True, help="scores (.csv) to write")


def main(args: argparse.Namespace) -> None:
    from facemill.metrics.scores import evaluate_person

    evaluate_person(
        args.fit,
        args.faces,
        system=args.system,
        method=args.method,
        person=args.person,
        settings=args.settings,
        out=args.out,
    )


if __name__ == "__main__":
    facemill.command.run(__doc__, add_arguments, main)
