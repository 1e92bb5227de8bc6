"""List the people of a run, their scans and the split between training and test.

In: the tree of scans, the people asked for, the configuration (JSON). Out: index.json, the one file
that lists people; later stages read who is in which split from it. No mesh is opened.
"""

import argparse
import json

from facemill.command import run


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--dataset", required=True, help="its name, or a folder of meshes")
    parser.add_argument("--tree", required=True, help="folder with one folder per person")
    parser.add_argument("--people", required=True, help="names of the people as a JSON list")
    parser.add_argument("--settings", required=True, help="the configuration as JSON")
    parser.add_argument("--out", required=True, help="index.json to write")


def main(args: argparse.Namespace) -> None:
    from facemill.data.index import build_index
    from facemill.data.sources import expressions, listing
    from facemill.data.splits import make_split
    from facemill.files import write_json

    settings = json.loads(args.settings) | {"dataset": args.dataset}
    people, names = json.loads(args.people), expressions(settings)
    split = make_split(people, names, settings["split"], settings["seed"])
    index = build_index(args.dataset, args.tree, people, names, split, listing(settings))
    write_json(args.out, index)


if __name__ == "__main__":
    run(__doc__, add_arguments, main)
