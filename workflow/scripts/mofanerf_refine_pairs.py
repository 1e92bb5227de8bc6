"""Make the pairs of coarse and true pictures that RefineNet learns from and is measured on.

In: a trained model, the codes and split it was trained with, views and scans. Out: two folders,
renders of half size beside the truth: training views of training people, and held-out pictures,
each with one from a few degrees beside. The work folder keeps what is rendered, so that
starting again goes on where it was killed.
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
    parser.add_argument("--faces", type=Path, required=True, help="folder of <person>.npz, .json")
    parser.add_argument("--settings", type=json.loads, default={}, help='JSON: {"pairs": {...}}')
    parser.add_argument("--threads", type=int, default=1, help="CPU threads")
    parser.add_argument("--work", type=Path, help="folder for resuming; default: nothing is kept")
    parser.add_argument("--train", type=Path, required=True, help="folder of pairs to write")
    parser.add_argument("--held-out", type=Path, required=True, help="folder of pairs to write")


def main(args: argparse.Namespace) -> None:
    import torch

    from facemill.mofanerf.refine_pairs import make_pairs

    torch.set_num_threads(args.threads)
    make_pairs(
        model=args.model,
        codes=args.codes,
        split_path=args.split,
        views=args.views,
        faces=args.faces,
        settings=args.settings,
        training=args.train,
        held_out=args.held_out,
        work=args.work,
    )


if __name__ == "__main__":
    facemill.command.run(__doc__, add_arguments, main)
