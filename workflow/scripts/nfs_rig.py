"""Drive a mesh of any topology by weights of expression units, by NFS.

In: a trained model, a mesh with its operators, a table (.csv) with a column for each unit and a row
for each frame, also as a face-tracking app writes it. Out, a folder: frames/*.obj, rig.glb,
preview.gif and preview.png.
"""

import argparse
import json
from pathlib import Path

import facemill.command


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", type=Path, required=True, help="model.safetensors")
    parser.add_argument("--target", type=Path, required=True, help="mesh to be moved")
    parser.add_argument("--operators", type=Path, required=True, help="of the target")
    parser.add_argument("--weights", type=Path, required=True, help="table (.csv) of weights")
    parser.add_argument(
        "--settings", type=json.loads, default={}, help='JSON: {"smooth": ..., "gains": {...}}'
    )
    parser.add_argument("--threads", type=int, default=1, help="CPU threads")
    parser.add_argument("--out", type=Path, required=True, help="folder to write into")


def main(args: argparse.Namespace) -> None:
    import torch

    from facemill.nfs.uses import rig

    torch.set_num_threads(args.threads)
    rig(args.model, args.target, args.operators, args.weights, args.settings, args.out)


if __name__ == "__main__":
    facemill.command.run(__doc__, add_arguments, main)
