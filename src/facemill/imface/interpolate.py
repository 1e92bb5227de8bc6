"""What the codes are good for: walks between people and between expressions, and transfer.

Identity and expression are separate codes, so each is interpolated alone, linearly; an expression
is transferred by giving one person's z_exp to another's z_id (sec. 4, applications).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from facemill.errors import DataError
from facemill.files import reading_npz
from facemill.imface import reconstruct as reconstruction
from facemill.imface.config import ExtractionConfig
from facemill.imface.model import Condition, ImFace
from facemill.imface.reconstruct import reconstruct
from facemill.mesh.surface import Mesh

KINDS = ("identity", "expression", "detail")

FIT_AGAIN = "Delete it to have imface_fit make it again."


@dataclass(frozen=True)
class ScanCodes:
    """The fitted codes of one scan."""

    identity: Float[Tensor, " ci"]
    expression: Float[Tensor, " ce"]
    detail: Float[Tensor, " cd"] | None = None  # of models with a refinement


def read_codes(fit: str | Path) -> dict[str, ScanCodes]:
    """Codes of all scans of a fit file, by expression."""
    with reading_npz(fit, FIT_AGAIN) as arrays:
        names = [
            n.removesuffix("/identity_code") for n in arrays.files if n.endswith("/identity_code")
        ]
        codes = {}
        for name in names:
            kinds = [kind for kind in KINDS if f"{name}/{kind}_code" in arrays.files]
            found = {kind: torch.from_numpy(arrays[f"{name}/{kind}_code"]) for kind in kinds}
            codes[name] = ScanCodes(**found)
    if not codes:
        raise DataError(f"{fit}: holds no codes; it is no fit of ImFace. {FIT_AGAIN}")
    return codes


def codes_of(codes: Mapping[str, ScanCodes], expression: str, fit: str | Path) -> ScanCodes:
    """One scan's codes, or a DataError that tells which scans the fit holds."""
    if expression not in codes:
        raise DataError(f"{fit}: no expression {expression}; it holds {', '.join(codes)}.")
    return codes[expression]


def condition_of(model: ImFace, codes: ScanCodes) -> Condition:
    """What follows from one scan's codes alone, on the model's device, without a graph."""
    return reconstruction.condition_of(model, codes.identity, codes.expression, codes.detail)


def mesh_of(model: ImFace, codes: ScanCodes, config: ExtractionConfig) -> Mesh:
    """The face that a scan's codes stand for, with its detail."""
    return reconstruct(model, codes.identity, codes.expression, config, codes.detail)


def between(a: Float[Tensor, " c"], b: Float[Tensor, " c"], share: float) -> Float[Tensor, " c"]:
    """(1 - share) a + share b; beyond 0 and 1 it goes on along the line."""
    return (1.0 - share) * a + share * b


def identity_walk(
    model: ImFace, start: ScanCodes, end: ScanCodes, steps: int, config: ExtractionConfig
) -> list[Mesh]:
    """Meshes from one person to another, with the first one's expression throughout."""
    shares = np.linspace(0.0, 1.0, steps)
    return [
        reconstruct(model, between(start.identity, end.identity, s), start.expression, config)
        for s in shares
    ]


def expression_walk(
    model: ImFace, start: ScanCodes, end: ScanCodes, steps: int, config: ExtractionConfig
) -> list[Mesh]:
    """Meshes from one expression to another, of the first scan's person throughout."""
    shares = np.linspace(0.0, 1.0, steps)
    return [
        reconstruct(model, start.identity, between(start.expression, end.expression, s), config)
        for s in shares
    ]


def transfer_matrix(
    model: ImFace,
    identities: Sequence[ScanCodes],
    expressions: Sequence[ScanCodes],
    config: ExtractionConfig,
) -> list[list[Mesh]]:
    """Row i, column j: person i's identity with the expression of scan j, whoever that shows."""
    return [
        [reconstruct(model, person.identity, scan.expression, config) for scan in expressions]
        for person in identities
    ]
