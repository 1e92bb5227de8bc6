"""Finding a face in a scan of any pose, without landmarks: search over rotations, then ICP.

The face is looked for in the scan and not the scan in the face: a scan may show hair, neck and
shoulders, of which a face model knows nothing, while nearly all of the face should be found in it.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from facemill.errors import GeometryError
from facemill.mesh.alignment import trimmed_icp
from facemill.mesh.frames import NOSE_TIP, Similarity
from facemill.mesh.point_cloud import plane_normals

FACE_REACH = 75.0
"""mm about the nose tip: the part of the reference face that is looked for."""

KEEP, KEEP_UNSIZED = 0.55, 0.7
"""Share of that face which must be found: a scan from one side shows no more. Where the size is
open too, more is needed, or some bump is taken for half a face."""

ROTATIONS = 600
"""Evenly spread over all rotations, some 25 degrees from one to the next."""

CANDIDATES = 20
"""Rotations with their nose tips that go on to ICP, for each size."""

PLACES = 5
"""Places that are handed on to be settled."""

SIZE_STEP = 1.25
"""By this much ICP may change a size that was tried."""

SCAN_POINTS, COARSE, FINE = 4000, 250, 1200
"""Points of the scan, and of the face in the search and in the last ICP."""


def find_face(
    points: Float[np.ndarray, "n 3"],
    face: Float[np.ndarray, "m 3"],
    scales: Sequence[float] = (1.0,),
    normals: Float[np.ndarray, "n 3"] | None = None,
) -> list[tuple[Similarity, float]]:
    """The likeliest similarities from the scan's frame to the face frame, and distances in mm.

    ``points`` are spread evenly over the scan (unit: mm divided by one of ``scales``), ``face`` are
    points of a mean face in the face frame. For every rotation the scan is turned, the points that
    stick out most in each third of its height are tried as nose tip, and the distance of the face's
    points to the scan is taken (trimmed mean). The best are improved by trimmed ICP, of the face
    onto the scan; the scale is free only where several ``scales`` are given. None, where no place
    keeps its size. Raises GeometryError where the scan has too few points to search in.
    """
    if len(points) < 50:
        raise GeometryError(f"{len(points)} points are too few to look for a face in.")
    face = face[np.linalg.norm(face - NOSE_TIP, axis=1) <= FACE_REACH]
    few, many = _spread(face, COARSE), _spread(face, FINE)
    chosen = np.linspace(0, len(points) - 1, min(SCAN_POINTS, len(points))).astype(int)
    points = points[chosen]
    planes = plane_normals(points, 12) if normals is None else normals[chosen]
    keep = KEEP if len(scales) == 1 else KEEP_UNSIZED
    starts = []
    for scale in scales:
        scaled = scale * points
        tree = cKDTree(scaled)
        of_scale = _candidates(scaled, few, tree, keep)
        of_scale = _improved(of_scale, few, scaled, planes, tree, keep, steps=20)
        starts += [(_in_units(start, scale), score) for start, score in of_scale[:4]]
    # With a free scale the scan may not shrink into a dimple of the face: a tried size is near.
    found = _improved(
        starts, many, points, planes, cKDTree(points), keep, steps=60, with_scale=len(scales) > 1
    )
    return _distinct(found)


def _distinct(found: list[tuple[Similarity, float]]) -> list[tuple[Similarity, float]]:
    """The best few that differ by more than 15 degrees or 15 mm of the face's middle."""
    chosen: list[tuple[Similarity, float]] = []
    for one, distance in found:
        for other, _ in chosen:
            step = one.after(other.inverse())
            turn = np.degrees(Rotation.from_matrix(step.rotation).magnitude())
            if turn < 15 and np.linalg.norm(step.translation) < 15:
                break
        else:
            chosen.append((one, distance))
    return chosen[:PLACES]


def _improved(
    starts: Sequence[tuple[Similarity, float]],
    face: Float[np.ndarray, "m 3"],
    points: Float[np.ndarray, "n 3"],
    planes: Float[np.ndarray, "n 3"],
    tree: cKDTree,
    keep: float,
    steps: int,
    with_scale: bool = False,
) -> list[tuple[Similarity, float]]:
    """The starts after ICP of the face onto the scan, best first; what changes size is left out."""
    found = []
    for start, _ in starts:
        back, _ = trimmed_icp(
            face, points, planes, start.inverse(), keep, steps, with_scale=with_scale
        )
        if 1 / SIZE_STEP < back.scale * start.scale < SIZE_STEP:
            found.append((back.inverse(), _distance(back, face, tree, keep)))
    return sorted(found, key=lambda one: one[1])


def _candidates(
    points: Float[np.ndarray, "n 3"], face: Float[np.ndarray, "m 3"], tree: cKDTree, keep: float
) -> list[tuple[Similarity, float]]:
    """The best of all rotations and nose tips, each with its score."""
    found = []
    for rotation in rotations(ROTATIONS):
        turned = points @ rotation.T
        height = turned[:, 1]
        low, size = height.min(), max(np.ptp(height), 1e-9)
        third = np.minimum(((height - low) / size * 3).astype(int), 2)
        for part in range(3):
            inside = np.flatnonzero(third == part)
            if len(inside) == 0:
                continue
            nose = turned[inside[turned[inside, 2].argmax()]]
            start = Similarity(1.0, rotation, NOSE_TIP - nose)
            found.append((start, _distance(start.inverse(), face, tree, keep)))
    return sorted(found, key=lambda one: one[1])[:CANDIDATES]


def _distance(
    back: Similarity, face: Float[np.ndarray, "m 3"], tree: cKDTree, keep: float
) -> float:
    """Mean distance in mm of the best-fitting share of the face's points to the scan."""
    distance = np.sort(tree.query(back.apply(face))[0])
    return float(distance[: round(keep * len(face))].mean() / back.scale)


def _in_units(start: Similarity, scale: float) -> Similarity:
    """A start found on scaled points as one for the points themselves."""
    return Similarity(scale * start.scale, start.rotation, start.translation)


def _spread(points: Float[np.ndarray, "n 3"], count: int) -> Float[np.ndarray, "k 3"]:
    """About ``count`` of the points, one to a cell of space."""
    if len(points) <= count:
        return points
    size = np.ptp(points, axis=0).max() / np.sqrt(count)
    for _ in range(20):
        cells = np.floor(points / size).astype(np.int64)
        _, first = np.unique(cells, axis=0, return_index=True)
        if len(first) >= count:
            break
        size *= 0.9
    return points[_strided(np.sort(first), count)]


def _strided(numbers: Int[np.ndarray, " n"], count: int) -> Int[np.ndarray, " k"]:
    return numbers[np.linspace(0, len(numbers) - 1, min(count, len(numbers))).astype(int)]


def rotations(count: int) -> Float[np.ndarray, "_ 3 3"]:
    """The 24 rotations that exchange the axes, then ``count`` spread evenly over all rotations.

    Spread along super-Fibonacci spirals on the unit quaternions (Alexa, CVPR 2022).
    """
    phi, psi = np.sqrt(2.0), 1.533751168755204288118041
    s = np.arange(count) + 0.5
    t = s / count
    alpha, beta = 2 * np.pi * s / phi, 2 * np.pi * s / psi
    inner, outer = np.sqrt(t), np.sqrt(1 - t)
    quaternions = np.stack(
        [inner * np.sin(alpha), inner * np.cos(alpha), outer * np.sin(beta), outer * np.cos(beta)],
        axis=1,
    )
    axes = Rotation.create_group("O").as_matrix()
    return np.concatenate([axes, Rotation.from_quat(quaternions).as_matrix()])
