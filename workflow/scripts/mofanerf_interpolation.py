"""Draw walks between two people who were fitted from one image each.

In: the model, its codes, two fits or more. Out: a picture.
"""

import argparse
import json
from pathlib import Path

import facemill.command


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", type=Path, required=True, help="model.safetensors")
    parser.add_argument("--codes", type=Path, required=True, help="codes.npz")
    parser.add_argument("--fits", type=Path, nargs="*", default=[], help="fits (.npz)")
    parser.add_argument("--settings", type=json.loads, default={}, help='JSON: {"steps": ...}')
    parser.add_argument("--threads", type=int, default=1, help="CPU threads")
    parser.add_argument("--out", type=Path, required=True, help="picture (.png) to write")


def main(args: argparse.Namespace) -> None:
    import torch

    from facemill.mofanerf.app_figures import interpolation

    torch.set_num_threads(args.threads)
    interpolation(args.model, args.codes, args.fits, args.settings, args.out)


if __name__ == "__main__":
    facemill.command.run(__doc__, add_arguments, main)
