"""The align step: a scan of any frame and unit onto a reference head, with its residual."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from facemill.data.scans import check_face
from facemill.errors import DataError, GeometryError
from facemill.files import require_file
from facemill.mesh.alignment import require_unmirrored, rms, trimmed_icp, umeyama
from facemill.mesh.frames import Similarity
from facemill.mesh.io import read_mesh
from facemill.mesh.surface import Mesh

log = logging.getLogger(__name__)

FIRM = range(27, 68)
"""Landmarks everybody places alike: nose, eyes, mouth. Jaw line and brows differ by convention."""
STEADY = range(27, 48)
"""Those of them that expressions hardly move: nose and eyes."""
UNITS = {"metres": 1000.0, "decimetres": 100.0, "inches": 25.4, "centimetres": 10.0,
         "millimetres": 1.0, "tenths of a millimetre": 0.1}  # fmt: skip
UNIT_TOLERANCE = 0.15
"""A fitted scale this close to a unit's is that unit: heads differ in size by less than this."""
FACE_RADIUS = 120.0
"""Only the surface this near to the middle of the face takes part in ICP, mm."""


@dataclass(frozen=True)
class Reference:
    """A head to align to: mm, +y up, +z out of the face, and its landmarks."""

    mesh: Mesh
    landmarks: Float[np.ndarray, "68 3"]


@dataclass(frozen=True)
class Aligned:
    """A scan in the reference's frame (mm) with all 68 landmarks and how well it lies there.

    ``landmark_residual`` and ``surface_residual`` are rms distances in mm; they hold the person's
    own shape too, since a reference is somebody else.
    """

    mesh: Mesh
    landmarks: Float[np.ndarray, "68 3"]
    similarity: Similarity
    landmark_residual: float
    surface_residual: float


def reference_head(settings: Mapping[str, Any]) -> Reference:
    """The mean head of the ICT model where the config names one, else the embedded mean head."""
    if settings.get("ict_model"):
        from facemill.data import ict
        from facemill.data.sources import ict_model_folder

        model = ict.load_model(ict_model_folder(settings))
        vertices, faces = ict.MILLIMETRES_PER_CENTIMETRE * model.neutral, model.faces
        landmarks = vertices[model.landmarks]
    else:
        from facemill.data import demo
        from facemill.data.demo.sculpt import mean_head

        topology = demo.topology()
        vertices, faces = np.asarray(mean_head().vertices, np.float64), topology.faces
        landmarks = vertices[topology.landmarks]
    return Reference(Mesh(vertices, faces), landmarks)


def read_points(path: str | Path, mesh: Mesh) -> dict[int, Float[np.ndarray, "3"]]:
    """Landmarks of a text file by iBUG number, in the mesh's own frame.

    Forms: 68 lines `x y z`; lines `number x y z` for some of them (five or more); 68 lines with
    one vertex number each. Raises DataError for anything else, naming line and form.
    """
    path = require_file(path, "Landmarks of a mesh are expected here.")
    rows = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        text = line.split("#")[0].replace(",", " ").split()
        if not text:
            continue
        try:
            rows.append([float(word) for word in text])
        except ValueError:
            raise DataError(f"{path}: line {number} is not made of numbers: {line!r}.") from None
    widths = {len(row) for row in rows}
    form = widths.pop() if len(widths) == 1 else 0
    if form == 3 and len(rows) == 68:
        points = {number: np.array(row) for number, row in enumerate(rows)}
    elif form == 4 and len(rows) >= 5:
        points = {int(row[0]): np.array(row[1:]) for row in rows}
        if len(points) != len(rows) or not set(points) <= set(range(68)):
            raise DataError(f"{path}: landmark numbers must be different ones from 0 to 67.")
    elif form == 1 and len(rows) == 68:
        numbers = np.array(rows)[:, 0].astype(int)
        if numbers.min() < 0 or numbers.max() >= len(mesh.vertices):
            raise DataError(
                f"{path}: names vertex {numbers.max()}, but the mesh has {len(mesh.vertices)}. The "
                "file belongs to another mesh."
            )
        points = dict(enumerate(mesh.vertices[numbers]))
    else:
        raise DataError(
            f"{path}: {len(rows)} lines of {form or 'differing'} numbers; expected 68 lines "
            "'x y z', five or more lines 'number x y z', or 68 lines with one vertex number each."
        )
    if not all(np.isfinite(point).all() for point in points.values()):
        raise DataError(f"{path}: a landmark is not a finite number. Pick it again.")
    return points


def align_scan(
    mesh_file: str | Path,
    landmark_file: str | Path,
    reference: Reference,
    neutral: bool = True,
    max_residual: float = 5.0,
) -> Aligned:
    """Bring one mesh into the reference's frame and complete its landmarks.

    Similarity from landmarks (Umeyama), then trimmed ICP of the face. A scale within 15 % of a
    usual unit's is taken as that unit, so that a head keeps its true size; any other is fitted.
    Eyes, nose and mouth hold a neutral, eyes and nose an expression. Logs the residuals;
    raises GeometryError where the rms over landmarks or surface is above ``max_residual`` mm, or
    left and right are exchanged.
    """
    mesh = welded_seams(read_mesh(mesh_file))
    picked = read_points(landmark_file, mesh)
    source, target = matched(picked, reference, FIRM if neutral else STEADY, str(landmark_file))
    start = umeyama(source, target)
    # Judged with the scale fitted, so that a large or small head is not held against its points.
    landmark_residual = rms(start.apply(source) - target)
    _refuse(landmark_residual, "landmarks", max_residual, mesh_file, start.scale)
    unit = next((u for u, s in UNITS.items() if abs(start.scale / s - 1) < UNIT_TOLERANCE), None)
    scale = UNITS[unit] if unit else 1.0
    if unit:
        rigid = umeyama(scale * source, target, with_scale=False)
        start = Similarity(scale, rigid.rotation, rigid.translation)
    similarity, surface_residual = _refined(
        mesh, scale, start, source, target, reference, with_scale=unit is None
    )
    _refuse(surface_residual, "surface", max_residual, mesh_file, similarity.scale)
    log.info(
        "%s: %s, scale %.4g; rms residual: landmarks %.2f mm, surface %.2f mm",
        mesh_file,
        f"unit taken as {unit}" if unit else "no usual unit",
        similarity.scale,
        rms(similarity.apply(source) - target),
        surface_residual,
    )
    moved = Mesh(similarity.apply(mesh.vertices), mesh.faces, mesh.uv, mesh.faces_uv)
    given = {number: similarity.apply(point) for number, point in picked.items()}
    landmarks = completed(given, moved, reference, str(mesh_file))
    check_face(landmarks, 1.0, str(mesh_file), unit_key=None)
    return Aligned(moved, landmarks, similarity, landmark_residual, surface_residual)


def matched(
    picked: Mapping[int, Float[np.ndarray, "3"]], reference: Reference, firm: range, name: str
) -> tuple[Float[np.ndarray, "n 3"], Float[np.ndarray, "n 3"]]:
    """Picked landmarks and the reference's, row by row: ``firm`` ones, or all if they are few.

    Raises GeometryError, naming the file ``name``, where left and right are exchanged.
    """
    held = [number for number in picked if number in firm]
    numbers = sorted(held if len(held) >= 4 else picked)
    source = np.stack([picked[number] for number in numbers])
    target = reference.landmarks[numbers]
    require_unmirrored(source, target, name)
    return source, target


def _refuse(residual: float, what: str, limit: float, name: str | Path, scale: float) -> None:
    if residual > limit:
        raise GeometryError(
            f"{name}: after alignment the {what} lie {residual:.2f} mm (rms) from the reference "
            f"head, more than folder.max_residual = {limit:g} (fitted scale {scale:.4g} mm per "
            "unit). Likely causes: landmarks in another order than iBUG 68, landmarks of another "
            "mesh or in another unit than the mesh, or no human head. Look at the points on the "
            "mesh; for an unusual head raise folder.max_residual."
        )


def _refined(mesh, scale, start, source, target, reference, with_scale):
    """Trimmed ICP of the face's vertices on the reference's face, landmarks holding on."""
    from facemill.render.raycast import vertex_normals

    near = np.linalg.norm(start.apply(mesh.vertices) - _middle(reference), axis=1) < FACE_RADIUS
    points = mesh.vertices[near][:: max(1, int(near.sum()) // 8000)]
    goal = np.linalg.norm(reference.mesh.vertices - _middle(reference), axis=1) < FACE_RADIUS + 15
    normals = vertex_normals(reference.mesh.vertices, reference.mesh.faces)
    # ICP sees the mesh in mm, so that a known unit stays out of what it may change.
    unscaled = Similarity(start.scale / scale, start.rotation, start.translation)
    fit, residual = trimmed_icp(
        scale * points,
        reference.mesh.vertices[goal],
        normals[goal],
        unscaled,
        with_scale=with_scale,
        landmarks=(scale * source, target),
        landmark_weight=0.1,
    )
    return Similarity(fit.scale * scale, fit.rotation, fit.translation), residual


def _middle(reference: Reference) -> Float[np.ndarray, "3"]:
    """A point inside the head, 40 mm behind the nose tip."""
    return reference.landmarks[30] - [0.0, 0.0, 40.0]


def completed(
    given: Mapping[int, Float[np.ndarray, "3"]], mesh: Mesh, reference: Reference, name: str
) -> Float[np.ndarray, "68 3"]:
    """All 68 landmarks: those given, the others carried over from the reference.

    The reference's points are shifted by a smooth field that takes its given landmarks to the
    mesh's, then put on the closest point of the mesh. Good to some millimetres: enough to frame a
    face, not to measure with; a log line says so.
    """
    landmarks = np.zeros((68, 3))
    numbers = sorted(given)
    landmarks[numbers] = [given[number] for number in numbers]
    missing = [number for number in range(68) if number not in given]
    if not missing:
        return landmarks
    import igl
    from scipy.interpolate import RBFInterpolator

    log.info(
        "%s: %d landmarks given, %d carried over from the reference head by closest point; they "
        "are estimates, some millimetres uncertain",
        name,
        len(numbers),
        len(missing),
    )
    anchors = reference.landmarks[numbers]
    shift = RBFInterpolator(anchors, landmarks[numbers] - anchors, kernel="linear", degree=0)
    guess = reference.landmarks[missing] + shift(reference.landmarks[missing])
    closest = igl.point_mesh_squared_distance(
        guess, np.ascontiguousarray(mesh.vertices), np.ascontiguousarray(mesh.faces)
    )[2]
    landmarks[missing] = closest
    return landmarks


def welded_seams(mesh: Mesh) -> Mesh:
    """Join vertices at bitwise the same place on open borders, first one's number kept.

    Files that store one texture coordinate a vertex (GLB) are cut open along texture seams; there
    the border vertices coincide. A mesh without such borders comes back as it is.
    """
    edges = np.sort(mesh.faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
    edges, count = np.unique(edges, axis=0, return_counts=True)
    border = np.unique(edges[count == 1])
    if len(border) == 0:
        return mesh
    _, first, group = np.unique(
        mesh.vertices[border], axis=0, return_index=True, return_inverse=True
    )
    target = np.arange(len(mesh.vertices))
    # np.unique gives the first row of each place; border is sorted, so it is the lowest number.
    target[border] = border[first[group.reshape(-1)]]
    kept = np.flatnonzero(target == np.arange(len(target)))
    if len(kept) == len(target):
        return mesh
    number = np.zeros(len(target), np.int64)
    number[kept] = np.arange(len(kept))
    faces = number[target[mesh.faces]]
    corners_differ = (faces != np.roll(faces, 1, axis=1)).all(axis=1)
    faces_uv = None if mesh.faces_uv is None else mesh.faces_uv[corners_differ]
    return Mesh(mesh.vertices[kept], faces[corners_differ], mesh.uv, faces_uv)
