"""Read weights of expression units off meshes by NFS.

In: a trained model, a folder of expressions (or one) with their neutral, and the neutral's
operators. Out: a table (.csv) with a column for each unit, which nfs_rig reads.
"""

import argparse
import json
from pathlib import Path

import facemill.command


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", type=Path, required=True, help="model.safetensors")
    parser.add_argument("--source", required=True, help="folder of expressions, or one mesh")
    parser.add_argument("--neutral", help="their neutral mesh; default: the one called neutral")
    parser.add_argument("--operators", type=Path, required=True, help="of the neutral")
    parser.add_argument(
        "--settings", type=json.loads, default={}, help='JSON: {"smooth": ..., "gains": {...}}'
    )
    parser.add_argument("--threads", type=int, default=1, help="CPU threads")
    parser.add_argument("--out", type=Path, required=True, help="table (.csv) to write")


def main(args: argparse.Namespace) -> None:
    import torch

    from facemill.data.sequences import mesh_sequence
    from facemill.nfs.uses import inverse_rig

    torch.set_num_threads(args.threads)
    source = mesh_sequence(args.source, args.neutral)
    inverse_rig(args.model, source.neutral, args.operators, source.frames, args.settings, args.out)


if __name__ == "__main__":
    facemill.command.run(__doc__, add_arguments, main)
