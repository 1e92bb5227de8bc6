"""A mesh made fit for a Laplacian: welded, without waste, in one piece; else refused."""

import logging
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from facemill.errors import GeometryError
from facemill.mesh.connectivity import directed_edges, parts
from facemill.mesh.normals import face_normals_and_areas
from facemill.mesh.surface import Mesh

log = logging.getLogger(__name__)

PIECE_LIMIT = 0.1
"""Pieces beside the largest that hold more than this share of the area are not dropped silently."""

THIN = 1e-12
"""A face with less area than this share of its longest edge's square has none."""


@dataclass(frozen=True)
class Cleaned:
    """A clean mesh with its way back: ``source[i]`` is the number vertex i had in the given mesh.

    ``welded[j]`` is the clean vertex that given vertex j went into, or -1 where it was dropped.
    """

    mesh: Mesh
    source: Int[np.ndarray, " n"]
    welded: Int[np.ndarray, " v"]


def cleaned(mesh: Mesh, name: str, weld: bool = True) -> Cleaned:
    """The largest piece of a mesh, welded, without unused vertices and faces of no area.

    Vertices at bitwise the same place become one (texture seams), unless that joins three faces at
    an edge, as where closed lips meet in their corners, or ``weld`` is off. Kept vertices stay in
    their order, so that other expressions of the same topology are ``vertices[source]``. Raises
    GeometryError for a mesh without a face of any area, with a second piece that is too large to
    be waste, or with edges at which three faces or more meet.
    """
    mesh = Mesh(np.asarray(mesh.vertices, np.float64), mesh.faces).check(name)
    count = len(mesh.vertices)
    alone = np.arange(count)
    first = _first_of_equals(mesh.vertices) if weld else alone
    faces = _sound_faces(mesh.vertices, first[mesh.faces])
    if (first != alone).any() and _surplus(faces):
        separate = _sound_faces(mesh.vertices, mesh.faces)
        if not _surplus(separate):
            log.info("%s: vertices at the same place are not welded: they fold the mesh", name)
            first, faces = alone, separate
    if len(faces) == 0:
        raise GeometryError(
            f"{name}: none of its {len(mesh.faces)} faces has an area; the mesh is empty or "
            "collapsed. Export it again."
        )
    faces = _largest_piece(Mesh(mesh.vertices, faces), name)
    if _surplus(faces):
        raise GeometryError(
            f"{name}: at {_surplus(faces)} edges three faces or more meet, so that the surface has "
            "no one side there. Remove inner walls and doubled faces first (MeshLab: Repair Non "
            "Manifold Edges)."
        )
    used = np.unique(faces)
    number = np.full(count, -1)
    number[used] = np.arange(len(used))
    for what, lost in (("vertices", count - len(used)), ("faces", len(mesh.faces) - len(faces))):
        if lost and weld:
            log.info("%s: %d of its %s welded or left out", name, lost, what)
    return Cleaned(Mesh(mesh.vertices[used], number[faces]), used, number[first])


def _first_of_equals(vertices: Float[np.ndarray, "v 3"]) -> Int[np.ndarray, " v"]:
    """For each vertex the first one at the same place."""
    # Adding 0 turns -0 into 0, which is the same place.
    _, first, group = np.unique(vertices + 0.0, axis=0, return_index=True, return_inverse=True)
    return first[group.reshape(-1)]


def _sound_faces(
    vertices: Float[np.ndarray, "v 3"], faces: Int[np.ndarray, "f 3"]
) -> Int[np.ndarray, "g 3"]:
    """Faces that have an area; of several over the same three vertices the first."""
    faces = faces[_has_area(Mesh(vertices, faces))]
    _, once = np.unique(np.sort(faces, axis=1), axis=0, return_index=True)
    return faces[np.sort(once)]


def _has_area(mesh: Mesh) -> np.ndarray:
    _, area = face_normals_and_areas(mesh)
    corners = mesh.vertices[mesh.faces]
    longest = ((corners - np.roll(corners, 1, axis=1)) ** 2).sum(axis=2).max(axis=1)
    return area > THIN * np.maximum(longest, 1e-300)


def _largest_piece(mesh: Mesh, name: str) -> Int[np.ndarray, "f 3"]:
    part = parts(mesh.faces, len(mesh.vertices))
    if part.max() == 0:
        return mesh.faces
    _, area = face_normals_and_areas(mesh)
    share = np.sort(np.bincount(part, area) / area.sum())[::-1]
    if share[1] > PIECE_LIMIT:
        raise GeometryError(
            f"{name}: {len(share)} separate pieces, and the second one holds {share[1]:.0%} of the "
            "area; a single piece of skin is expected. Join the parts of the face into one mesh "
            "(or weld its vertices) and take off eyeballs, teeth and hair."
        )
    log.info(
        "%s: %d small pieces left out, %.1f %% of the area",
        name,
        len(share) - 1,
        100 * share[1:].sum(),
    )
    return mesh.faces[part == np.bincount(part, area).argmax()]


def _surplus(faces: Int[np.ndarray, "f 3"]) -> int:
    """How many edges belong to more than two faces."""
    edges = np.sort(directed_edges(faces), axis=1)
    _, count = np.unique(edges, axis=0, return_counts=True)
    return int((count > 2).sum())
