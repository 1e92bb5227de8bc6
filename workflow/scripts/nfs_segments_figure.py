"""Draw the segments that NFS's skinning encoder sees on meshes nobody trained on.

In: a trained model, the folder of labelled people, operators of further meshes. Out: a picture.
"""

import argparse
from pathlib import Path

import facemill.command


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", type=Path, required=True, help="model.safetensors")
    parser.add_argument("--people", type=Path, required=True, help="folder of nfs_data")
    parser.add_argument("--meshes", type=Path, nargs="*", default=[], help="operators (.npz)")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads")
    parser.add_argument("--out", type=Path, required=True, help="picture (.png) to write")


def main(args: argparse.Namespace) -> None:
    import torch

    from facemill.nfs.use_figures import segments_figure

    torch.set_num_threads(args.threads)
    segments_figure(args.model, args.people, args.meshes, args.out)


if __name__ == "__main__":
    facemill.command.run(__doc__, add_arguments, main)
