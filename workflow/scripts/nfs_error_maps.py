"""Draw errors of expressions cloned by NFS and by deformation transfer.

In: a trained model, the folder of labelled people. Out: a picture.
"""

import argparse
from pathlib import Path

import facemill.command


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", type=Path, required=True, help="model.safetensors")
    parser.add_argument("--people", type=Path, required=True, help="folder of nfs_data")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads")
    parser.add_argument("--out", type=Path, required=True, help="picture (.png) to write")


def main(args: argparse.Namespace) -> None:
    import torch

    from facemill.nfs.error_maps import error_maps

    torch.set_num_threads(args.threads)
    error_maps(args.model, args.people, args.out)


if __name__ == "__main__":
    facemill.command.run(__doc__, add_arguments, main)
