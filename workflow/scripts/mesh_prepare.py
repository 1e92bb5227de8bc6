"""Bring one person's scans into the face frame: crop, visible sheet, closed head, landmarks.

In: the person's folder of scans, the topologies, settings (JSON: expressions, crop_radius,
millimetres_per_unit, max_failed_scans). Out: the face pack (.npz) and its manifest (.json), or
neither. Scans already done by a killed job are taken from the work folder.
"""

import argparse
import json
from pathlib import Path

from facemill.command import run


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--person", required=True, help="the person's name")
    parser.add_argument("--tree-person", required=True, help="folder of the person's scans")
    parser.add_argument("--topology", required=True, help="folder of topology descriptions")
    parser.add_argument("--settings", default="{}", help="settings as JSON")
    parser.add_argument("--pack", required=True, help="face pack to write, .npz")
    parser.add_argument("--manifest", required=True, help="manifest to write, .json")
    parser.add_argument("--work", help="folder for unfinished work (default: beside the pack)")


def main(args: argparse.Namespace) -> None:
    from facemill.data.expressions import EXPRESSIONS
    from facemill.data.topology import load_topologies
    from facemill.mesh.prepare import PrepareSettings, prepare_person
    from facemill.training.settings import from_settings

    settings = json.loads(args.settings)
    expressions = settings.pop("expressions", EXPRESSIONS)
    pack = Path(args.pack)
    prepare_person(
        args.person,
        args.tree_person,
        load_topologies(args.topology),
        expressions,
        from_settings(PrepareSettings, settings, "mesh_prepare"),
        pack,
        args.manifest,
        args.work or pack.parent / f".{pack.stem}.work",
    )


if __name__ == "__main__":
    run(__doc__, add_arguments, main)
