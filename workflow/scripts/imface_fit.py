"""Fit a trained ImFace to all scans of one unseen person.

In: the model and the person's samples. Out: codes and meshes by expression. The work folder keeps
the scans already fitted and the codes under way: starting again goes on where it was killed.
"""

import argparse
import json
from pathlib import Path

import facemill.command


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", type=Path, required=True, help="model.safetensors")
    parser.add_argument("--samples", type=Path, required=True, help="the person's <person>.npy")
    parser.add_argument(
        "--settings", type=json.loads, default={}, help='JSON: {"fit": {...}, "extraction": {...}}'
    )
    parser.add_argument("--threads", type=int, help="CPU threads; default: all that are given")
    parser.add_argument("--work", type=Path, required=True, help="folder for resuming")
    parser.add_argument("--out", type=Path, required=True, help="fit file (.npz) to write")


def main(args: argparse.Namespace) -> None:
    from facemill.imface.fit import fit_person

    fit_person(
        model=args.model,
        samples=args.samples,
        settings=args.settings,
        work=args.work,
        out=args.out,
        threads=args.threads,
    )


if __name__ == "__main__":
    facemill.command.run(__doc__, add_arguments, main)
