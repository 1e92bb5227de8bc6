"""Draw a sheet of rendered views: around the head, from below and above, depth, normals.

In:  view packs, one per person.
Out: one picture, to check cameras, textures, masks and depth at a glance.
"""

import argparse

from facemill.command import run


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--views", nargs="+", required=True, help="view packs (.zip)")
    parser.add_argument("--title", default="", help="title above the sheet")
    parser.add_argument("--out", required=True, help="picture to write (.png)")


def main(args: argparse.Namespace) -> None:
    from facemill.figures.sheets import views_sheet

    views_sheet(args.views, args.out, title=args.title)


if __name__ == "__main__":
    run(__doc__, add_arguments, main)
