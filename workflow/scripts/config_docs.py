"""Write docs/configuration.md from the configuration's schema.

In: workflow/schemas/config.schema.yaml. Out: the page, or with --check a failure if it is not
current.
"""

import argparse
from pathlib import Path

from facemill.command import run

REPOSITORY = Path(__file__).resolve().parent.parent.parent


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--schema", default=REPOSITORY / "workflow/schemas/config.schema.yaml")
    parser.add_argument("--out", type=Path, default=REPOSITORY / "docs/configuration.md")
    parser.add_argument("--check", action="store_true", help="write nothing, only compare")


def main(args: argparse.Namespace) -> None:
    from facemill.configuration import as_page, load_schema
    from facemill.errors import ConfigError
    from facemill.files import writing

    page = as_page(load_schema(args.schema))
    if not args.check:
        with writing(args.out) as part:
            part.write_text(page, encoding="utf-8")
    elif not args.out.is_file() or args.out.read_text(encoding="utf-8") != page:
        raise ConfigError(f"{args.out} is not what {args.schema} says. Run: make docs")


if __name__ == "__main__":
    run(__doc__, add_arguments, main)
