"""MoFaNeRF's ablation: masked PSNR of the full model and of models without a part.

In: score files of methods, the full model's first. Out: a CSV of means and of the full model's
paired differences, each with its bootstrap interval over people; the readable form goes to the log.
"""

import argparse
import json
from pathlib import Path

import facemill.command


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--scores", type=Path, nargs="+", required=True, help="score files (.csv)")
    parser.add_argument("--methods", nargs="+", required=True, help="their methods, in that order")
    parser.add_argument("--settings", type=json.loads, default={}, help='JSON: {"seed": ...}')
    parser.add_argument("--out", type=Path, required=True, help="table (.csv) to write")


def main(args: argparse.Namespace) -> None:
    from facemill.mofanerf.ablation import ablation_table

    ablation_table(args.methods, args.scores, args.out, **args.settings)


if __name__ == "__main__":
    facemill.command.run(__doc__, add_arguments, main)
