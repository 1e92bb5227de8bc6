"""Fit a trained MoFaNeRF to a photo: pose, light and codes of the face in it, and new views.

In: the model with its codes, the photo (JPEG, PNG, ...) and its 68 landmarks: <photo>.landmarks.txt
or .npy beside it, a file named here, or a detector's network. Out, in a folder: codes and report
(codes.json), the prepared photo (relit.png, relit.json), the model's picture, new views. The work
folder keeps what is found so far: starting again goes on where it was killed.
"""

import argparse
import json
from pathlib import Path

import facemill.command


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", type=Path, required=True, help="model.safetensors")
    parser.add_argument("--codes", type=Path, required=True, help="codes.npz it was trained with")
    parser.add_argument("--photo", type=Path, required=True, help="the photo")
    parser.add_argument("--landmarks", type=Path, help="its landmarks; default: beside it")
    parser.add_argument("--mask", type=Path, help="its mask; default: beside it, or an estimate")
    parser.add_argument("--detector", type=Path, help="a 68-point network (.pt, .ts, .onnx)")
    parser.add_argument(
        "--settings", type=json.loads, default={}, help='JSON: {"photo": {...}, "fit": {...}}'
    )
    parser.add_argument("--threads", type=int, default=1, help="CPU threads")
    parser.add_argument("--work", type=Path, help="folder for resuming; default: nothing is kept")
    parser.add_argument("--out", type=Path, required=True, help="folder to write into")
    parser.add_argument("--figure", type=Path, help="picture of it all to write")


def main(args: argparse.Namespace) -> None:
    import torch

    from facemill.mofanerf.fit_photo import fit_photo

    torch.set_num_threads(args.threads)
    fit_photo(
        args.model,
        args.codes,
        args.photo,
        args.settings,
        args.out,
        args.landmarks,
        args.mask,
        args.detector,
        args.figure,
        args.threads,
        args.work,
    )


if __name__ == "__main__":
    facemill.command.run(__doc__, add_arguments, main)
