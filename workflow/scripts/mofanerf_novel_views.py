"""Draw held-out views beside the truth with their errors, and new views of the same faces.

In: a trained model, the codes and split it was trained with, the views. Out: a picture.
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
    parser.add_argument("--settings", type=json.loads, default={}, help='JSON: {"rows": ...}')
    parser.add_argument("--threads", type=int, default=1, help="CPU threads")
    parser.add_argument("--out", type=Path, required=True, help="picture (.png) to write")


def main(args: argparse.Namespace) -> None:
    import torch

    from facemill.mofanerf.figures import novel_views

    torch.set_num_threads(args.threads)
    novel_views(args.model, args.codes, args.split, args.views, args.settings, args.out)


if __name__ == "__main__":
    facemill.command.run(__doc__, add_arguments, main)
