"""Fetch the public ICT-FaceKit release at its pinned commit and pack it for fast reading.

Out: a folder with the packed model, the table of twenty expressions and the model's licence. Every
file is checked against the content hash that the pinned commit records for it.
"""

import argparse

from facemill.command import run


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", required=True, help="folder to write, e.g. resources/ict/model")
    parser.add_argument(
        "--release", help="folder of an ICT-FaceKit checkout to pack instead of downloading"
    )
    parser.add_argument(
        "--checksums", help="JSON of path -> SHA-256 to check besides the commit's own hashes"
    )


def main(args: argparse.Namespace) -> None:
    from facemill.data.ict_release import fetch_release, pack_release
    from facemill.files import read_json

    if args.release:
        pack_release(args.release, args.out)
    else:
        fetch_release(args.out, sha256=read_json(args.checksums) if args.checksums else None)


if __name__ == "__main__":
    run(__doc__, add_arguments, main)
