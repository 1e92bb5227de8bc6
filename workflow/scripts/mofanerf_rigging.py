"""Drive faces by expression weights: a matrix of people and expressions, and each image.

In: the model, its codes, fits; perhaps a table of weights (.csv, .json) whose rows are drawn, and
one that describes the trained expressions in these weights. Out: a picture and a folder of images.
"""

import argparse
import json
from pathlib import Path

import facemill.command


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", type=Path, required=True, help="model.safetensors")
    parser.add_argument("--codes", type=Path, required=True, help="codes.npz")
    parser.add_argument("--fits", type=Path, nargs="*", default=[], help="fits (.npz)")
    parser.add_argument("--settings", type=json.loads, default={}, help='JSON: {"ridge": ...}')
    parser.add_argument("--threads", type=int, default=1, help="CPU threads")
    parser.add_argument("--out", type=Path, required=True, help="picture (.png) to write")
    parser.add_argument("--frames", type=Path, required=True, help="folder to write")
    parser.add_argument("--weights", type=Path, help="rows to draw (default: the expressions)")
    parser.add_argument("--rig", type=Path, help="the trained expressions in those weights")


def main(args: argparse.Namespace) -> None:
    import torch

    from facemill.mofanerf.app_figures import rigging

    torch.set_num_threads(args.threads)
    rigging(
        args.model, args.codes, args.fits, args.settings, args.out, args.frames,
        args.weights, args.rig,
    )  # fmt: skip


if __name__ == "__main__":
    facemill.command.run(__doc__, add_arguments, main)
