"""Bringing a mesh of any frame and unit into NFS's canonical frame, on the mean face."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from facemill.data.align import UNITS, Reference
from facemill.data.place import LANDMARK_SLACK, UNKNOWN_SIZES, extent, settled, steady
from facemill.errors import GeometryError
from facemill.mesh.alignment import require_unmirrored, rms, umeyama
from facemill.mesh.frames import FACE_TO_NFS, ICT_TO_NFS, Similarity
from facemill.mesh.pose_search import SIZE_STEP, find_face
from facemill.mesh.sampling import sample_surface
from facemill.mesh.surface import Mesh

log = logging.getLogger(__name__)

POINTS = 6000
"""Points of a mesh that ICP looks at."""

HEAD = (120.0, 700.0)
"""mm: the largest extent that a mesh of a face or head has, from a mask to head and shoulders."""

COVERED = 0.7
"""Share of the mean face that must be found in the mesh; the rest may be cropped."""

TO_FACE = FACE_TO_NFS.inverse()

WAY_OUT = (
    "Of a whole body give the head alone. Give landmarks beside it (<mesh>.landmarks.txt; five are "
    "enough, docs/own-data.md), or move it into the canonical frame by hand (docs/nfs.md)."
)


@dataclass(frozen=True)
class MeanFace:
    """The mean face in the canonical frame, to which everything is aligned."""

    vertices: Float[np.ndarray, "v 3"]
    faces: Int[np.ndarray, "f 3"]
    landmarks: Float[np.ndarray, "68 3"]

    @property
    def reference(self) -> Reference:
        """The same in the face frame (mm)."""
        return Reference(
            Mesh(TO_FACE.apply(self.vertices), self.faces), TO_FACE.apply(self.landmarks)
        )


def to_canonical(
    mesh: Mesh,
    landmarks: Mapping[int, Float[np.ndarray, "3"]],
    mean: MeanFace,
    max_residual: float,
    name: str,
    with_scale: bool = True,
    way_out: str = WAY_OUT,
) -> tuple[Similarity, float]:
    """The similarity from a mesh's own frame to the canonical one, and its rms residual in mm.

    With ``landmarks`` (iBUG numbers, the mesh's frame) by least squares on eyes and nose where
    there are three of them, else on all. Without, meshes that lie in the canonical frame, the face
    frame or the ICT model's own are recognised by ICP; any other pose is searched for, in the usual
    units and then, with a warning, in any.
    Without ``with_scale`` a mesh in millimetres keeps its size.
    Raises GeometryError where the residual exceeds ``max_residual`` mm (landmarks: twice as much),
    where left and right are exchanged, or where no face is found (``way_out``: what to do then).
    """
    if landmarks:
        placed, residual = _by_landmarks(landmarks, mean, max_residual, name, with_scale)
        how = f"{len(landmarks)} landmarks"
    else:
        placed, residual = _by_surface(mesh, mean, max_residual, name, with_scale, way_out)
        how = "closest points"
    log.info(
        "%s: aligned by %s, scale %.4g, rms residual %.2f mm", name, how, placed.scale, residual
    )
    return placed, residual


def _by_landmarks(landmarks, mean, max_residual, name, with_scale) -> tuple[Similarity, float]:
    numbers = steady(landmarks)
    source = np.stack([np.asarray(landmarks[number], np.float64) for number in numbers])
    everything = sorted(landmarks)
    every_source = np.stack([np.asarray(landmarks[number], np.float64) for number in everything])
    require_unmirrored(every_source, mean.landmarks[everything], name)
    placed = umeyama(source, mean.landmarks[numbers])
    if not with_scale:
        rigid = umeyama(FACE_TO_NFS.scale * source, mean.landmarks[numbers], with_scale=False)
        placed = Similarity(FACE_TO_NFS.scale, rigid.rotation, rigid.translation)
    residual = TO_FACE.scale * rms(placed.apply(source) - mean.landmarks[numbers])
    if residual > LANDMARK_SLACK * max_residual:
        raise GeometryError(
            f"{name}: after alignment the landmarks lie {residual:.2f} mm (rms) from the mean "
            f"face's; nfs.operators.max_residual = {max_residual:g} allows "
            f"{LANDMARK_SLACK * max_residual:g} mm. Check their order and the mesh they were "
            "picked on."
        )
    return placed, residual


def _by_surface(mesh, mean, max_residual, name, with_scale, way_out) -> tuple[Similarity, float]:
    reference = mean.reference
    points = sample_surface(mesh, POINTS, np.random.default_rng(0)).points
    in_mm = [Similarity()]
    known = [TO_FACE, *in_mm, TO_FACE.after(ICT_TO_NFS)] if with_scale else in_mm
    starts = (_settled(points, start, reference, with_scale) for start in known)
    found = [one for one in starts if one]
    found = [one for one in found if one[2] <= max_residual and one[1] <= max_residual]
    if not found:
        scales = _usual_scales(extent(points), name) if with_scale else [1.0]
        found = _searched(points, scales, reference, with_scale)
    if with_scale and (not found or _badness(found[0]) > max_residual):
        guesses = [size / extent(points) for size in UNKNOWN_SIZES]
        guessed = _searched(points, guesses, reference, True)
        if guessed and _badness(guessed[0]) <= max_residual:
            found = guessed
            log.warning(
                "%s: in none of the usual units; one of its units is taken as %.4g mm, so that the "
                "face is of usual size. Scale it to millimetres where its size is known.",
                name, found[0][0].scale,
            )  # fmt: skip
    if not found:
        raise GeometryError(f"{name}: no face was found in the mesh. {way_out}")
    # Found in the mesh, and the mesh found on it: a wrong place is good at one of the two at most.
    placed, residual, missing = min(found, key=lambda one: one[1] + one[2])
    if max(residual, missing) > max_residual:
        raise GeometryError(
            f"{name}: the best place found leaves the mesh {residual:.2f} mm (rms) from the mean "
            f"face, and that {missing:.2f} mm from the mesh; one is more than "
            f"nfs.operators.max_residual = {max_residual:g}. {way_out}"
        )
    return FACE_TO_NFS.after(placed), residual


def _searched(points, scales, reference, with_scale) -> list[tuple[Similarity, float, float]]:
    """Places of the face in the mesh for some millimetres per unit, the best first."""
    starts = [start for start, _ in find_face(points, reference.mesh.vertices, scales)]
    settle = (_settled(points, start, reference, with_scale) for start in starts)
    found = [one for one in settle if one]
    return sorted(found, key=lambda one: one[1] + one[2])


def _badness(found: tuple[Similarity, float, float]) -> float:
    """The larger of both distances, mm."""
    return max(found[1:])


def _settled(points, start, reference, with_scale) -> tuple[Similarity, float, float] | None:
    """A start after ICP with its residual, and the mean face's distance to the mesh, both in mm."""
    from scipy.spatial import cKDTree

    placed, residual = settled(points, start, reference, with_scale, {})
    if not np.isfinite(residual) or not 1 / SIZE_STEP < placed.scale / start.scale < SIZE_STEP:
        return None
    landmarks = reference.landmarks
    near = np.linalg.norm(reference.mesh.vertices - landmarks.mean(axis=0), axis=1) < 75.0
    distance = np.sort(cKDTree(placed.apply(points)).query(reference.mesh.vertices[near])[0])
    return placed, residual, float(distance[: round(COVERED * len(distance))].mean())


def _usual_scales(size: float, name: str) -> list[float]:
    """Millimetres per unit of the usual units in which a mesh of this extent is a head."""
    scales = [factor for factor in UNITS.values() if HEAD[0] <= factor * size <= HEAD[1]]
    if not scales:
        raise GeometryError(
            f"{name}: {size:.4g} units large, which in no usual unit is a head ({HEAD[0]:g} to "
            f"{HEAD[1]:g} mm). Scale it to millimetres, or give landmarks, which tell the size."
        )
    return scales
