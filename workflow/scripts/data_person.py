"""Write one person's meshes and textures into the tree that all data sources share.

In: the configuration (JSON) and a name: a person drawn by seed (demo, ict) or a mesh of the user's
folder, which is aligned. Out: the person's folder, whole or not at all.
"""

import argparse
import json

from facemill.command import run


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--dataset", required=True, help="demo, ict or a folder of meshes")
    parser.add_argument("--person", required=True, help="name of the person, such as d001")
    parser.add_argument("--settings", required=True, help="the configuration as JSON")
    parser.add_argument("--out", required=True, help="folder of this person to write")


def main(args: argparse.Namespace) -> None:
    from facemill.data.sources import write_person

    write_person(json.loads(args.settings) | {"dataset": args.dataset}, args.person, args.out)


if __name__ == "__main__":
    run(__doc__, add_arguments, main)
