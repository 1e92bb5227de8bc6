"""What every command-line program of the workflow shares: parser set-up, errors, log lines."""

import argparse
import logging
import signal
import sys
from collections.abc import Callable

from facemill.errors import FacemillError


def run(
    description: str | None,
    add_arguments: Callable[[argparse.ArgumentParser], None],
    main: Callable[[argparse.Namespace], None],
) -> None:
    """Parse the command line and call ``main``; a ``FacemillError`` ends in one line and status 1.

    ``main`` imports what is heavy (torch, the mesh libraries) inside itself, so that ``--help``
    answers at once and without them.
    """
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_arguments(parser)
    args = parser.parse_args()
    # Batch systems end jobs by SIGTERM: leave by the usual door, so that half files are removed.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S", stream=sys.stderr
    )
    try:
        main(args)
    except FacemillError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
