"""Write the report of a run as one HTML page that needs no network.

In: the index, tables, figures with their captions, the interactive page, the records of the
trainings and the configuration. Out: report.html with all of them inside.
"""

import argparse
import json

from facemill.command import run


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--name", required=True, help="name of the run, the page's title")
    parser.add_argument("--index", required=True, help="index.json")
    parser.add_argument("--tables", nargs="+", required=True, help="tidy tables (.csv)")
    parser.add_argument("--figures", nargs="+", required=True, help="pictures (.png), in order")
    parser.add_argument("--captions", required=True, help="folder with <figure>.rst")
    parser.add_argument("--viewer", required=True, help="self-contained interactive page (.html)")
    parser.add_argument("--runs", nargs="+", required=True, help="run.json of every training")
    parser.add_argument("--settings", required=True, help="the configuration as JSON")
    parser.add_argument("--out", required=True, help="report.html to write")


def main(args: argparse.Namespace) -> None:
    from facemill.figures.report import write_report

    write_report(
        args.out,
        name=args.name,
        index=args.index,
        tables=args.tables,
        figures=args.figures,
        captions=args.captions,
        viewer=args.viewer,
        runs=args.runs,
        settings=json.loads(args.settings),
    )


if __name__ == "__main__":
    run(__doc__, add_arguments, main)
