"""Draw held-out pictures before and after RefineNet beside the truth, with their errors.

In: a trained refiner, held-out pairs, the split. Out: a picture.
"""

import argparse
from pathlib import Path

import facemill.command


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", type=Path, required=True, help="refiner.safetensors")
    parser.add_argument("--pairs", type=Path, required=True, help="folder of held-out pairs")
    parser.add_argument("--split", type=Path, required=True, help="split.json")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads")
    parser.add_argument("--out", type=Path, required=True, help="picture (.png) to write")


def main(args: argparse.Namespace) -> None:
    import torch

    from facemill.mofanerf.refine_figures import refine_figure

    torch.set_num_threads(args.threads)
    refine_figure(args.model, args.pairs, args.split, args.out)


if __name__ == "__main__":
    facemill.command.run(__doc__, add_arguments, main)
