"""Heads the project makes itself, so that a fresh clone needs no download (docs/demo-heads.md).

A test bed, never real data. Importing this package is light; the first head builds the rest.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8

from facemill.data.topology import Topology


def person_ids(count: int) -> list[str]:
    """The first ``count`` people: d001, d002, …"""
    return [f"d{k:03d}" for k in range(1, count + 1)]


def topology() -> Topology:
    """The one topology of all demo heads: triangles, uv, landmarks, mirror table and regions."""
    from facemill.data.demo import heads

    return heads.topology()


def head(person: str, expression: str, seed: int) -> Float[np.ndarray, "v 3"]:
    """Vertices of one person's expression, mm; +x the subject's left, +y up, +z out of the face."""
    from facemill.data.demo import heads

    return heads.head(person, expression, seed)


def texture(person: str, seed: int, size: int) -> UInt8[np.ndarray, "size size 3"]:
    """The person's skin, hair and eyes as an sRGB image; row 0 is v = 1."""
    from facemill.data.demo import heads

    return heads.texture(person, seed, size)


def write_person(
    person: str, expressions: Sequence[str], seed: int, texture_size: int, folder: str | Path
) -> None:
    """Write a person's TU tree into ``folder``, which appears whole or not at all."""
    from facemill.data.demo import heads

    heads.write_person(person, expressions, seed, texture_size, folder)
