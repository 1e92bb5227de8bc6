"""Placing one raw scan on a model's mean face: any frame, with landmarks, some of them, or none.

The reference is what the model itself was trained in, so that fitting starts where training stood.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.spatial import cKDTree

from facemill.data.align import STEADY, UNIT_TOLERANCE, UNITS, Reference
from facemill.errors import GeometryError
from facemill.mesh.alignment import require_unmirrored, rms, trimmed_icp, umeyama
from facemill.mesh.frames import Similarity
from facemill.mesh.normals import corner_normals
from facemill.mesh.point_cloud import in_front, spacing
from facemill.mesh.pose_search import SIZE_STEP, find_face
from facemill.mesh.surface import Mesh

log = logging.getLogger(__name__)

Landmarks = Mapping[int, Float[np.ndarray, "3"]]

HEAD_SIZE = (80.0, 900.0)
"""mm, the largest extent that a scan of a face may have: from a piece to head and shoulders."""

UNKNOWN_SIZES = (160.0, 220.0, 300.0, 400.0, 550.0)
"""mm, the extents that are tried where the unit is unknown."""

LANDMARK_SLACK = 2.0
"""Landmarks of somebody else lie this many times further off than the surface may."""

PICK = (
    "Of a whole body give the head alone. Give landmarks (five are enough, docs/own-data.md); for "
    "an unusual head raise fit_one.max_residual."
)

SETTLE_RADIUS = 90.0
"""mm about the middle of the face: what takes part in the last alignment."""

SETTLE_KEEP = 0.8
"""Share of the scan's points there that must have a partner on the reference."""


@dataclass(frozen=True)
class Placement:
    """Where a scan lies: from its own frame and unit to the face frame, and how well.

    ``surface_residual`` is the rms distance to the mean face, ``landmark_residual`` (with landmarks
    only) that of the landmarks to the mean ones; both in mm, both hold the person's own shape.
    """

    similarity: Similarity
    unit: str
    surface_residual: float
    landmark_residual: float | None = None


def place(
    points: Float[np.ndarray, "n 3"],
    landmarks: Landmarks,
    reference: Reference,
    unit: str,
    max_residual: float,
    name: str,
) -> Placement:
    """Find the similarity from a scan's own frame to the face frame.

    ``points`` are spread evenly over the scan; ``landmarks`` hold iBUG numbers, or nothing.
    ``unit`` is a name in ``UNITS``, "unknown" (the size is fitted) or "auto": with landmarks a
    usual unit if one fits, else a fitted size; without landmarks millimetres. Raises GeometryError
    where the size is no head's, left and right are exchanged, or a residual is too large.
    """
    if landmarks:
        start, unit, residual = _by_landmarks(landmarks, reference, unit, max_residual, name)
        starts = [(start, 0.0)]
    else:
        starts, residual = _by_search(points, reference, unit, name), None
        unit = "millimetres" if unit == "auto" else unit
    free = unit == "unknown"
    found = [
        (*settled(points, start, reference, free, landmarks), distance)
        for start, distance in starts
    ]
    if free:  # shrunk into a dimple of the face, everything fits
        sizes = [
            similarity.scale / start.scale
            for (similarity, *_), (start, _) in zip(found, starts, strict=True)
        ]
        found = [
            one for one, size in zip(found, sizes, strict=True) if 1 / SIZE_STEP < size < SIZE_STEP
        ]
    if not found:
        raise GeometryError(f"{name}: no face of a usual size was found in it. {PICK}")
    # Found in the scan, and the scan found on it: a wrong place is good at one of the two at most.
    similarity, surface, _ = min(found, key=lambda one: one[1] + one[2])
    if surface > max_residual:
        raise GeometryError(
            f"{name}: the best place found leaves the scan {surface:.2f} mm (rms) from the mean "
            f"face, more than fit_one.max_residual = {max_residual:g}. Likely causes: no face, a "
            f"wrong unit, or too little of the face to recognise. {PICK}"
        )
    log.info(
        "%s: unit %s, scale %.4g; rms residual to the mean face %.2f mm%s",
        name,
        unit,
        similarity.scale,
        surface,
        "" if residual is None else f", landmarks {residual:.2f} mm",
    )
    return Placement(similarity, unit, surface, residual)


def _by_landmarks(
    landmarks: Landmarks, reference: Reference, unit: str, max_residual: float, name: str
) -> tuple[Similarity, str, float]:
    """A similarity from landmarks, the unit it took, and their rms distance in mm."""
    numbers = steady(landmarks)
    source, target = _pairs(landmarks, reference, numbers)
    every_source, every_target = _pairs(landmarks, reference, sorted(landmarks))
    require_unmirrored(every_source, every_target, name)
    start = umeyama(source, target)
    residual, of_all = (
        rms(start.apply(source) - target),
        rms(start.apply(every_source) - every_target),
    )
    limit = LANDMARK_SLACK * max_residual
    # Mouth and jaw may be wide open, but not anywhere.
    if residual > limit or of_all > 4 * limit:
        raise GeometryError(
            f"{name}: the landmarks are not where the mean face has them: eyes and nose lie "
            f"{residual:.2f} mm (rms) off, all together {of_all:.2f} mm; fit_one.max_residual = "
            f"{max_residual:g} allows {limit:g} and {4 * limit:g} mm (fitted scale "
            f"{start.scale:.4g} mm per unit). Likely causes: another order than iBUG 68, landmarks "
            "of another scan. Look at them on the scan; for an unusual head raise the limit."
        )
    if unit == "auto":
        near = (u for u, s in UNITS.items() if abs(start.scale / s - 1) < UNIT_TOLERANCE)
        unit = next(near, "unknown")
    elif unit != "unknown" and abs(np.log(start.scale / UNITS[unit])) > np.log(1.5):
        raise GeometryError(
            f"{name}: by its landmarks a unit of the scan is {start.scale:.4g} mm, so it is not in "
            f"{unit}. Set fit_one.unit to what it is, or to auto."
        )
    if unit != "unknown":
        rigid = umeyama(UNITS[unit] * source, target, with_scale=False)
        start = Similarity(UNITS[unit], rigid.rotation, rigid.translation)
    return start, unit, residual


def _pairs(landmarks: Landmarks, reference: Reference, numbers: Sequence[int]):
    """The landmarks of these numbers, and the mean face's."""
    return np.stack([landmarks[number] for number in numbers]), reference.landmarks[numbers]


def steady(landmarks: Landmarks) -> list[int]:
    """Numbers of eyes and nose, which expressions hardly move, if there are three; else all."""
    numbers = sorted(number for number in landmarks if number in STEADY)
    return numbers if len(numbers) >= 3 else sorted(landmarks)


def _by_search(
    points: Float[np.ndarray, "n 3"], reference: Reference, unit: str, name: str
) -> list[tuple[Similarity, float]]:
    """Similarities and distances by looking for the mean face in the scan."""
    size = extent(points)
    if unit == "unknown":
        scales = [wanted / size for wanted in UNKNOWN_SIZES]
    else:
        require_head_size(size, unit, name)
        scales = [1.0]
        points = UNITS["millimetres" if unit == "auto" else unit] * points
    found = find_face(points, reference.mesh.vertices, scales)
    factor = 1.0 if unit in ("auto", "unknown") else UNITS[unit]
    return [
        (Similarity(factor * start.scale, start.rotation, start.translation), distance)
        for start, distance in found
    ]


def extent(points: Float[np.ndarray, "n 3"]) -> float:
    """The largest side of the points' box about their own axes, without the outermost 1 %."""
    centred = points - np.median(points, axis=0)
    axes = np.linalg.svd(centred[:: max(1, len(points) // 5000)], full_matrices=False)[2]
    low, high = np.percentile(centred @ axes.T, [0.5, 99.5], axis=0)
    return float((high - low).max())


def require_head_size(size: float, unit: str, name: str) -> None:
    """Raise a GeometryError where a scan in this unit is no head, naming the units it may be in."""
    low, high = HEAD_SIZE
    factor = UNITS["millimetres" if unit == "auto" else unit]
    if low <= factor * size <= high:
        return
    fits = [u for u, s in UNITS.items() if low <= s * size <= high and s != factor]
    if fits:
        choices = " or ".join(f"fit_one='{{unit: {u}}}'" for u in fits)
        advice = f"It seems to be in {' or '.join(fits)}: set --config {choices}"
    else:
        advice = "Its unit is no usual one: set --config fit_one='{unit: unknown}'"
    read_as = "millimetres, as without landmarks" if unit == "auto" else unit
    raise GeometryError(
        f"{name}: {size:.4g} units large. Read as {read_as}, that is {factor * size:.4g} mm, and "
        f"no head ({low:g} to {high:g} mm). {advice}, or give landmarks, which tell the size."
    )


def settled(
    points: Float[np.ndarray, "n 3"],
    start: Similarity,
    reference: Reference,
    with_scale: bool,
    landmarks: Landmarks,
) -> tuple[Similarity, float]:
    """Improve a start by trimmed ICP of the visible scan near the face onto the reference.

    Returns the similarity and the rms distance of the share that was kept, in mm; infinite where
    no scan is left near the face.
    """
    target = reference.mesh.vertices
    normals = vertex_normals(reference.mesh)
    marks = None
    numbers = steady(landmarks)
    now, residual = start, np.inf
    for _ in range(3):
        moved = now.apply(points)
        near = np.linalg.norm(moved, axis=1) <= SETTLE_RADIUS
        if near.sum() < 20:
            return now, np.inf
        seen = np.flatnonzero(near)[in_front(moved[near], spacing(moved[near]))]
        if landmarks:
            marks = (
                now.apply(np.stack([landmarks[n] for n in numbers])),
                reference.landmarks[numbers],
            )
        step, _ = trimmed_icp(
            moved[seen][:: max(1, len(seen) // 6000)],
            target,
            normals,
            Similarity(),
            keep=SETTLE_KEEP,
            with_scale=with_scale,
            landmarks=marks,
            landmark_weight=0.1,
        )
        now = step.after(now)
        residual = _surface_residual(now.apply(points[seen]), target, normals)
    return now, residual


def _surface_residual(points, target, normals) -> float:
    """rms distance of the best-fitting share of points to the tangent planes of the target."""
    distance, nearest = cKDTree(target).query(points)
    kept = np.argsort(distance)[: max(3, round(SETTLE_KEEP * len(points)))]
    height = ((points[kept] - target[nearest[kept]]) * normals[nearest[kept]]).sum(axis=1)
    return float(np.sqrt((height**2).mean()))


def vertex_normals(mesh: Mesh) -> Float[np.ndarray, "v 3"]:
    """One unit normal a vertex: the mean over its corners, without creases."""
    normals = np.zeros((len(mesh.vertices), 3))
    normals[mesh.faces] = corner_normals(mesh, 180.0)
    return normals
