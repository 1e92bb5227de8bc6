"""Bytes behind an https address, and a file that is what its checksum says."""

import hashlib
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from facemill.errors import DataError
from facemill.files import require_file, writing

Open = Callable[[str], bytes]
"""Maps an address to the bytes behind it; raises DataError where they cannot be had."""


def bytes_behind(address: str, way_out: str) -> bytes:
    """Download; a failure is a DataError that ends in ``way_out``."""
    request = urllib.request.Request(address, headers={"User-Agent": "facemill"})
    try:
        with urllib.request.urlopen(request, timeout=120) as response:
            return response.read()
    except (urllib.error.URLError, OSError, ValueError) as error:
        raise DataError(f"{address}: cannot be fetched ({error}). {way_out}") from None


def fetch_file(given: str, sha256: str, out: str | Path, opener: Open) -> None:
    """Write ``out`` with what lies at ``given``, an https address or a file, if its SHA-256 fits.

    Raises DataError, and writes nothing, for a file of any other content.
    """
    if "://" in given:
        content = opener(given)
    else:
        content = require_file(given, "Name the file, or an https address.").read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != sha256.lower():
        raise DataError(
            f"{given}: its SHA-256 is {found}, expected {sha256}; the file is damaged or another "
            "one. Copy or download it again, or correct the sum."
        )
    with writing(out) as part:
        part.write_bytes(content)
