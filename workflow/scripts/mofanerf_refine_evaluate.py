"""Measure held-out pictures before and after RefineNet, and how well views agree.

In: a trained refiner, held-out pairs, the split. Out: one row for each picture and metric.
"""

import argparse
import json
from pathlib import Path

import facemill.command


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", type=Path, required=True, help="refiner.safetensors")
    parser.add_argument("--pairs", type=Path, required=True, help="folder of held-out pairs")
    parser.add_argument("--split", type=Path, required=True, help="split.json")
    parser.add_argument("--method", required=True, help="variant: names in the table begin so")
    parser.add_argument("--settings", type=json.loads, default={}, help='JSON: {"turn": ...}')
    parser.add_argument("--threads", type=int, default=1, help="CPU threads")
    parser.add_argument("--out", type=Path, required=True, help="scores (.csv) to write")


def main(args: argparse.Namespace) -> None:
    import torch

    from facemill.mofanerf.refine_evaluate import evaluate_refiner

    torch.set_num_threads(args.threads)
    evaluate_refiner(args.model, args.pairs, args.split, args.method, args.settings, args.out)


if __name__ == "__main__":
    facemill.command.run(__doc__, add_arguments, main)
