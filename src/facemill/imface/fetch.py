"""Trained weights that somebody gave away (``release``), brought here and checked."""

import logging
from functools import partial
from pathlib import Path

from facemill.data.download import Open, bytes_behind, fetch_file

log = logging.getLogger(__name__)

WAY_OUT = "Without a network, download it elsewhere and name the file in its place."


def fetch(model: str, sha256: str, out: str | Path, opener: Open | None = None) -> None:
    """Write ``out`` with the weights at ``model``, an https address or a file.

    ``sha256`` stands on the card of the weights. ``opener`` maps an address to bytes (urllib by
    default). Raises DataError, and writes nothing, where they cannot be had or have another sum.
    """
    fetch_file(model, sha256, out, opener or partial(bytes_behind, way_out=WAY_OUT))
    log.info("%s: %.1f MB, as its checksum says", model, Path(out).stat().st_size / 1e6)
