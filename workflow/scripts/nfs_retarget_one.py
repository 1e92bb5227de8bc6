"""Clone expressions of one mesh to another of any topology by NFS.

In: a trained model, a folder of expressions (or one) with their neutral, a target mesh, and the
operators of neutral and target. Out, a folder: frames/*.obj, animation.glb, weights.csv,
preview.gif and preview.png.
"""

import argparse
import json
from pathlib import Path

import facemill.command


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", type=Path, required=True, help="model.safetensors")
    parser.add_argument("--source", required=True, help="folder of expressions, or one mesh")
    parser.add_argument("--neutral", help="their neutral mesh; default: the one called neutral")
    parser.add_argument("--target", type=Path, required=True, help="mesh to be moved")
    parser.add_argument(
        "--operators", type=Path, nargs=2, required=True, help="of the neutral and of the target"
    )
    parser.add_argument(
        "--settings", type=json.loads, default={}, help='JSON: {"smooth": ..., "gains": {...}}'
    )
    parser.add_argument("--threads", type=int, default=1, help="CPU threads")
    parser.add_argument("--out", type=Path, required=True, help="folder to write into")


def main(args: argparse.Namespace) -> None:
    import torch

    from facemill.data.sequences import mesh_sequence
    from facemill.nfs.uses import retarget_one

    torch.set_num_threads(args.threads)
    source = mesh_sequence(args.source, args.neutral)
    retarget_one(
        args.model,
        source.neutral,
        args.operators[0],
        source.frames,
        args.target,
        args.operators[1],
        args.settings,
        args.out,
    )


if __name__ == "__main__":
    facemill.command.run(__doc__, add_arguments, main)
