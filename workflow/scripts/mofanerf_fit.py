"""Fit MoFaNeRF to one image of a person it was not trained on.

In: a trained model with its codes and split, the views. Given of the person are one image with its
mask, 68 landmarks and a rough camera. Out: codes and camera (.npz), and a report (.json). The work
folder keeps what is found so far: starting again goes on where it was killed.
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
    parser.add_argument("--person", required=True, help="who is fitted; held out of training")
    parser.add_argument(
        "--settings", type=json.loads, default={}, help='JSON: {"noise_degrees": ...}'
    )
    parser.add_argument("--threads", type=int, default=1, help="CPU threads")
    parser.add_argument("--work", type=Path, help="folder for resuming; default: nothing is kept")
    parser.add_argument("--out", type=Path, required=True, help="codes and camera (.npz) to write")
    parser.add_argument("--report", type=Path, required=True, help="report (.json) to write")


def main(args: argparse.Namespace) -> None:
    import torch

    from facemill.mofanerf.fit_people import fit_person

    torch.set_num_threads(args.threads)
    fit_person(
        args.model, args.codes, args.split, args.views, args.person, args.settings,
        args.out, args.report, args.threads, args.work,
    )  # fmt: skip


if __name__ == "__main__":
    facemill.command.run(__doc__, add_arguments, main)
