"""Measure MoFaNeRF's images in held-out views, of held-out pairs and of unseen people.

In: a trained model, the codes and split it was trained with, the views. Out: one row for each image
and metric, of the model and of three baselines (docs/metrics.md), and what a frame costs.
"""

import argparse
import json
from pathlib import Path

import facemill.command


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", type=Path, required=True, help="model.safetensors")
    parser.add_argument("--codes", type=Path, required=True, help="codes.npz")
    parser.add_argument("--split", type=Path, required=True, help="split.json")
    parser.add_argument("--views", type=Path, required=True, help="folder of <person>.zip")
    parser.add_argument("--method", required=True, help="variant: name in the table")
    parser.add_argument("--settings", type=json.loads, default={}, help='JSON: {"people": ...}')
    parser.add_argument("--threads", type=int, default=1, help="CPU threads")
    parser.add_argument("--out", type=Path, required=True, help="scores (.csv) to write")


def main(args: argparse.Namespace) -> None:
    import torch

    from facemill.mofanerf.evaluate import evaluate

    torch.set_num_threads(args.threads)
    evaluate(args.model, args.codes, args.split, args.views, args.method, args.settings, args.out)


if __name__ == "__main__":
    facemill.command.run(__doc__, add_arguments, main)
