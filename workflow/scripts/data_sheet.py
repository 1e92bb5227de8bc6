"""Draw a contact sheet: people in rows, expressions in columns.

In:  face packs (textures are named by the manifests beside them).
Out: one picture of shaded, textured heads, all in one scale, to see at a glance what the data are.
"""

import argparse

from facemill.command import run


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--faces", nargs="+", required=True, help="face packs (.npz)")
    parser.add_argument("--expressions", nargs="+", required=True, help="names such as 2_smile")
    parser.add_argument("--title", default="", help="title above the sheet")
    parser.add_argument("--out", required=True, help="picture to write (.png)")


def main(args: argparse.Namespace) -> None:
    from facemill.figures.sheets import data_sheet

    data_sheet(args.faces, args.expressions, args.out, title=args.title)


if __name__ == "__main__":
    run(__doc__, add_arguments, main)
