"""Draw NFS's labelled people from a face model and compute their operators.

In: the packed ICT model, or nothing for the embedded heads. Out: a folder with people.npz (model,
weights, expressions, segments) and the operators of everybody on every region.
"""

import argparse
import json
from pathlib import Path

import facemill.command


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--ict", type=Path, help="folder of a packed ICT model; default: demo")
    parser.add_argument(
        "--settings", type=json.loads, default={}, help='JSON: {"data": ..., "operators": ...}'
    )
    parser.add_argument("--out", type=Path, required=True, help="folder to write")


def main(args: argparse.Namespace) -> None:
    from facemill.data.blendshape_sources import demo_blendshapes, ict_blendshapes
    from facemill.nfs.draw import make_people
    from facemill.nfs.people import DataSettings
    from facemill.training.settings import from_settings

    config = from_settings(DataSettings, args.settings, "nfs")
    if args.ict is None:
        model = demo_blendshapes(config.seed, config.data.demo_modes)
    else:
        model = ict_blendshapes(args.ict)
    make_people(args.settings, model, args.out)


if __name__ == "__main__":
    facemill.command.run(__doc__, add_arguments, main)
