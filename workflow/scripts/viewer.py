"""Write the interactive 3D page: scans of unseen people beside their reconstructions.

In:  fit files of all methods (<system>/<variant>/fit/<person>.npz) and the people's face packs.
Out: one HTML page that needs no network and fits into a report; colours, clay or distance in mm.
"""

import argparse

from facemill.command import run


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--fits", nargs="+", required=True, help="fit files (.npz)")
    parser.add_argument("--faces", nargs="+", required=True, help="face packs (.npz)")
    parser.add_argument("--groups", type=int, default=6, help="most scans to show (default 6)")
    parser.add_argument("--title", default="Scans and reconstructions", help="title of the page")
    parser.add_argument("--out", required=True, help="page to write (.html)")


def main(args: argparse.Namespace) -> None:
    from facemill.figures.reconstructions import reconstruction_items
    from facemill.figures.viewer import write_viewer

    items = reconstruction_items(args.fits, args.faces, args.groups)
    write_viewer(args.out, items, args.title)


if __name__ == "__main__":
    run(__doc__, add_arguments, main)
