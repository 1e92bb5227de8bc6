"""Make a mesh of MoFaNeRF's density for one person and expression.

In: the model, its codes, the person's face pack, whose mesh is the measure. Out: PLY and OBJ with
vertex colours, millimetres in the face frame, and how far they are from that mesh (.json).
"""

import argparse
import json
from pathlib import Path

import facemill.command


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", type=Path, required=True, help="model.safetensors")
    parser.add_argument("--codes", type=Path, required=True, help="codes.npz")
    parser.add_argument("--settings", type=json.loads, default={}, help='JSON: {"resolution": ...}')
    parser.add_argument("--threads", type=int, default=1, help="CPU threads")
    parser.add_argument("--faces", type=Path, required=True, help="the person's face pack (.npz)")
    parser.add_argument("--person", required=True, help="who; in the codes")
    parser.add_argument("--expression", required=True, help="trained expression")
    parser.add_argument("--ply", type=Path, required=True, help="mesh (.ply) to write")
    parser.add_argument("--obj", type=Path, required=True, help="mesh (.obj) to write")
    parser.add_argument("--report", type=Path, required=True, help="distances (.json) to write")


def main(args: argparse.Namespace) -> None:
    import torch

    from facemill.mofanerf.export import export_mesh

    torch.set_num_threads(args.threads)
    export_mesh(
        args.model, args.codes, args.faces, args.person, args.expression, args.settings,
        args.ply, args.obj, args.report,
    )  # fmt: skip


if __name__ == "__main__":
    facemill.command.run(__doc__, add_arguments, main)
