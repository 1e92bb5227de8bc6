"""Draw a fitted head that turns from side to side and changes its expression.

In: the model, its codes, a fit. Out: an animated GIF.
"""

import argparse
import json
from pathlib import Path

import facemill.command


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", type=Path, required=True, help="model.safetensors")
    parser.add_argument("--codes", type=Path, required=True, help="codes.npz")
    parser.add_argument("--fits", type=Path, nargs="*", default=[], help="fits (.npz)")
    parser.add_argument("--settings", type=json.loads, default={}, help='JSON: {"frames": ...}')
    parser.add_argument("--threads", type=int, default=1, help="CPU threads")
    parser.add_argument("--out", type=Path, required=True, help="animation (.gif) to write")


def main(args: argparse.Namespace) -> None:
    import torch

    from facemill.mofanerf.app_figures import turntable

    torch.set_num_threads(args.threads)
    turntable(args.model, args.codes, args.fits, args.settings, args.out)


if __name__ == "__main__":
    facemill.command.run(__doc__, add_arguments, main)
