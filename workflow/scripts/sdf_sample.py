"""Draw one person's training samples: points on each face and in the ball around it.

In: the face pack, settings (JSON: seed, surface_points, free_points, crop_radius). Out: the sample
pack (.npy; rows of position, normal or gradient, signed distance, shuffled) and its manifest.
"""

import argparse
import json
from pathlib import Path

from facemill.command import run


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--faces", required=True, help="face pack, .npz; its stem names the person")
    parser.add_argument("--settings", default="{}", help="settings as JSON")
    parser.add_argument("--pack", required=True, help="sample pack to write, .npy")
    parser.add_argument("--manifest", required=True, help="manifest to write beside it, .json")


def main(args: argparse.Namespace) -> None:
    from facemill.mesh.samples import SampleSettings, sample_person
    from facemill.training.settings import from_settings

    settings = from_settings(SampleSettings, json.loads(args.settings), "sdf_sample")
    sample_person(args.faces, Path(args.faces).stem, settings, args.pack, args.manifest)


if __name__ == "__main__":
    run(__doc__, add_arguments, main)
