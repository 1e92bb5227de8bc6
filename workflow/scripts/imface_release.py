"""Make a trained ImFace model a file to give away, with a card.

In: model and table. Out: weights (safetensors, mostly half precision) and a card (JSON) with
checksum, licence, training data, scores, and what the rounding costs.
"""

import argparse
from pathlib import Path

import facemill.command


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", type=Path, required=True, help="<variant>/model.safetensors")
    parser.add_argument("--table", type=Path, required=True, help="tables/imface.csv")
    parser.add_argument("--dataset", required=True, help="demo, ict, facescape or folder")
    parser.add_argument("--weights", type=Path, required=True, help="weights to write")
    parser.add_argument("--card", type=Path, required=True, help="card (.json) to write")


def main(args: argparse.Namespace) -> None:
    from facemill.imface.release import release

    release(args.model, args.table, args.dataset, args.weights, args.card)


if __name__ == "__main__":
    facemill.command.run(__doc__, add_arguments, main)
