"""Measure NFS and its baselines on labelled people nobody trained on.

In: a trained model, the folder of labelled people, operators and face packs of test people of the
data set. Out: one row for each person and metric (docs/metrics.md).
"""

import argparse
from pathlib import Path

import facemill.command


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", type=Path, required=True, help="model.safetensors")
    parser.add_argument("--people", type=Path, required=True, help="folder of nfs_data")
    parser.add_argument("--scanned", nargs="*", default=[], help="test people of the data set")
    parser.add_argument("--operators", type=Path, help="folder of their <person>.npz")
    parser.add_argument("--faces", type=Path, help="folder of their <person>.npz")
    parser.add_argument("--method", required=True, help="variant: name in the table")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads")
    parser.add_argument("--out", type=Path, required=True, help="scores (.csv) to write")


def main(args: argparse.Namespace) -> None:
    from facemill.nfs.evaluate import evaluate

    evaluate(
        args.model,
        args.people,
        args.method,
        args.threads,
        args.out,
        scanned=args.scanned,
        operators=args.operators,
        faces=args.faces,
    )


if __name__ == "__main__":
    facemill.command.run(__doc__, add_arguments, main)
