"""Render one person's scans from MoFaNeRF's camera grid.

In:  faces/<person>.npz and .json (meshes in the face frame, where the textures lie).
Out: views/<person>.zip (RGBA images, depth, normals, cameras; read at random) and its manifest.
The image-based systems train on these views; depth and mask are exact at the pixel centres.
"""

import argparse
import json

from facemill.command import run


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--faces", required=True, help="face pack of the person (.npz)")
    parser.add_argument("--manifest", required=True, help="manifest of the face pack (.json)")
    parser.add_argument(
        "--settings", required=True, help='JSON: {"size", "pitches", "yaws", "expressions"}'
    )
    parser.add_argument("--pack", required=True, help="views to write (.zip)")
    parser.add_argument("--manifest-out", required=True, help="manifest to write (.json)")


def main(args: argparse.Namespace) -> None:
    from facemill.render.views import render_person

    render_person(
        args.faces, args.manifest, json.loads(args.settings), args.pack, args.manifest_out
    )


if __name__ == "__main__":
    run(__doc__, add_arguments, main)
