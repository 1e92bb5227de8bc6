"""Write the topologies of a data set: what the vertex numbers of its meshes mean.

In: the configuration (JSON). Out: a folder with one .npz per topology; it is empty for a folder of
meshes, whose landmarks lie beside each mesh. Later stages read landmarks and regions from here, so
that no vertex number stands in code.
"""

import argparse
import json

from facemill.command import run


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--dataset", required=True, help="demo, ict, facescape or a folder")
    parser.add_argument("--settings", required=True, help="the configuration as JSON")
    parser.add_argument("--out", required=True, help="folder to write")


def main(args: argparse.Namespace) -> None:
    from facemill.data.sources import write_topologies

    write_topologies(json.loads(args.settings) | {"dataset": args.dataset}, args.out)


if __name__ == "__main__":
    run(__doc__, add_arguments, main)
