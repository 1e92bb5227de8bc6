"""Measure novel views of people who were fitted from one image each.

In: the model, its codes, the views, fits with their reports. Out: one row for each image and
metric, of the fit, of the mean face and of the model that knows the person's mesh and texture.
"""

import argparse
import json
from pathlib import Path

import facemill.command


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", type=Path, required=True, help="model.safetensors")
    parser.add_argument("--codes", type=Path, required=True, help="codes.npz")
    parser.add_argument("--views", type=Path, required=True, help="folder of <person>.zip")
    parser.add_argument("--fits", type=Path, nargs="*", default=[], help="fits (.npz)")
    parser.add_argument(
        "--settings", type=json.loads, default={}, help='JSON: {"novel_views": ...}'
    )
    parser.add_argument("--threads", type=int, default=1, help="CPU threads")
    parser.add_argument("--out", type=Path, required=True, help="scores (.csv) to write")
    parser.add_argument("--method", required=True, help="variant: its name in the table")


def main(args: argparse.Namespace) -> None:
    import torch

    from facemill.mofanerf.fit_people import evaluate_fits

    torch.set_num_threads(args.threads)
    evaluate_fits(
        args.model, args.codes, args.views, args.fits, args.method, args.settings, args.out
    )


if __name__ == "__main__":
    facemill.command.run(__doc__, add_arguments, main)
