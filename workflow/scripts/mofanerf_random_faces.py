"""Draw people who do not exist from the distribution of MoFaNeRF's training codes.

In: the model and its codes. Out: a picture.
"""

import argparse
import json
from pathlib import Path

import facemill.command


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", type=Path, required=True, help="model.safetensors")
    parser.add_argument("--codes", type=Path, required=True, help="codes.npz")
    parser.add_argument(
        "--settings", type=json.loads, default={}, help='JSON: {"random": {"count": ...}}'
    )
    parser.add_argument("--threads", type=int, default=1, help="CPU threads")
    parser.add_argument("--out", type=Path, required=True, help="picture (.png) to write")


def main(args: argparse.Namespace) -> None:
    import torch

    from facemill.mofanerf.app_figures import random_faces

    torch.set_num_threads(args.threads)
    random_faces(args.model, args.codes, args.settings, args.out)


if __name__ == "__main__":
    facemill.command.run(__doc__, add_arguments, main)
