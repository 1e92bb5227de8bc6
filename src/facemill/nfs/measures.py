"""What NFS is measured by: errors inside a mask, energy of displacements, unit weights, units."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from torch import Tensor

from facemill.data.scans import NOSE_TIP
from facemill.mesh.frames import FACE_TO_NFS
from facemill.mesh.operators import Operators
from facemill.nfs.people import Labelled

MILLIMETRES = 1.0 / FACE_TO_NFS.scale
INNER, OUTER = 1.0, 2.25
"""Distances from the nose tip, canonical units: the mask of the inner face is 1 up to the first
and falls to 0 at the second (PDB)."""


@dataclass(frozen=True)
class Case:
    """A test person on their mesh with all test expressions, canonical units."""

    person: str
    operators: Operators
    mask: Float[np.ndarray, " v"]
    frames: Float[np.ndarray, "b v 3"]


def inner_mask(
    vertices: Float[np.ndarray, "v 3"], nose_tip: Float[np.ndarray, "3"]
) -> Float[np.ndarray, " v"]:
    """1 near the nose tip, falling smoothly to 0 outside the face (PDB's quintic step)."""
    t = np.clip((np.linalg.norm(vertices - nose_tip, axis=1) - INNER) / (OUTER - INNER), 0.0, 1.0)
    return 1.0 - (10 * t**3 - 15 * t**4 + 6 * t**5)


def drawn_mask(
    labelled: Labelled, person: str, vertices: Float[np.ndarray, "v 3"]
) -> Float[np.ndarray, " v"]:
    """:func:`inner_mask` about the nose tip of a labelled person."""
    neutral = np.zeros((1, len(labelled.model.units)))
    nose_tip = labelled.frames(person, neutral, labelled.model.landmarks[[NOSE_TIP]])[0, 0]
    return inner_mask(vertices, nose_tip)


def vertex_metrics(
    found: Float[np.ndarray, "b v 3"], case: Case
) -> Iterator[tuple[str, str, float]]:
    """Metric, unit and value of frames against the truth.

    ``vertex_mse_inner`` is the published measure read as canonical units: mean over vertices and
    coordinates of the squared residual times the mask. ``vertex_rms_inner`` is the root of the
    mean squared length, in mm, weighted by the mask. ``laplacian_mse_inner`` is the first one
    of Laplacian coordinates L x, with the cotangent weights of the neutral mesh as they are.
    """
    difference = found - case.frames
    yield "vertex_mse_inner", "1e-4 dm2", _masked_mse(difference, case)
    square = (difference**2).sum(axis=2)
    weight = np.broadcast_to(case.mask, square.shape)
    rms = np.sqrt((square * weight).sum() / weight.sum())
    yield "vertex_rms_inner", "mm", MILLIMETRES * float(rms)
    yield "vertex_max", "mm", MILLIMETRES * float(np.sqrt(square.max()))
    laplacian = case.operators.laplacian
    bent = np.stack([laplacian @ one for one in difference])
    yield "laplacian_mse_inner", "1e-4 dm2", _masked_mse(bent, case)


def _masked_mse(residual: Float[np.ndarray, "b v 3"], case: Case) -> float:
    """Mean over frames, vertices and coordinates of (mask x residual)^2, in 1e-4."""
    return 1e4 * float(((residual * case.mask[:, None]) ** 2).mean())


def displacement_energy(frames: Float[np.ndarray, "b v 3"], case: Case) -> float:
    """Mean squared distance of frames from the case's neutral inside the mask, squared units.

    Weighted by the area of the vertices, so that meshes of different density compare.
    """
    square = ((frames - case.operators.mesh.vertices) ** 2).sum(axis=2)
    weight = case.operators.mass.astype(np.float64) * case.mask
    return float((square @ weight).mean() / weight.sum())


def rig_metrics(true: Float[np.ndarray, "b e"], codes: Float[Tensor, "b z"]) -> dict[str, float]:
    """Predicted unit weights (the codes' first entries, cut to 0 .. 1) against the true ones.

    Correlation over all entries; mean absolute error over the entries that are not zero.
    """
    found = codes[:, : true.shape[1]].clamp(0.0, 1.0).numpy().astype(np.float64)
    flat = found.std() < 1e-12
    correlation = 0.0 if flat else float(np.corrcoef(found.ravel(), true.ravel())[0, 1])
    return {
        "rig_correlation": correlation,
        "rig_error_active": float(np.abs(found - true)[true > 0].mean()),
    }


def unit_metrics(
    found: Float[np.ndarray, "e v 3"], true: Float[np.ndarray, "e v 3"]
) -> dict[str, float]:
    """What every unit alone does to a mesh against what it should do, both as displacements.

    A unit's error is |found - true| / |true|, over all vertices and in per cent: 100 is not moving
    at all. Its mean over the units, and the worst unit's.
    """
    size = np.linalg.norm(true, axis=(1, 2))
    moving = size > 0
    errors = 100.0 * np.linalg.norm(found - true, axis=(1, 2))[moving] / size[moving]
    return {"unit_error": float(errors.mean()), "unit_error_worst": float(errors.max())}
