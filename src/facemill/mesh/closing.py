"""Closing a head: watertight and edge-manifold, so that inside and outside have a meaning."""

import logging

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy import ndimage

from facemill.errors import GeometryError
from facemill.mesh.connectivity import boundary_edges, directed_edges, parts
from facemill.mesh.crop import without_unused_vertices
from facemill.mesh.distance import distance_to_mesh, inside_closed
from facemill.mesh.surface import Mesh

log = logging.getLogger(__name__)

REPAIR_LIMIT = 0.01
"""Share of a scan's faces that a repair may leave out; more, and the scan is remeshed."""


def close_head(mesh: Mesh, name: str, cell: float = 1.0) -> Mesh:
    """The closed form of a scan: its loops capped, after a repair or remeshing if need be.

    Capped, the scan's vertices and faces come first and in their own order. A scan that is not
    edge-manifold cannot be capped as it is. Where a few faces are to blame they are turned or left
    out (:func:`repaired`); else it is remeshed on a grid of ``cell`` mm, which loses its vertex
    order and up to a cell of thin parts. A log line with ``name`` tells either.
    """
    problem = damage(mesh.faces)
    if problem is None:
        closed = close_loops(mesh)
        problem = leak(closed.faces)
        if problem is None:
            return closed
    mended = repaired(mesh)
    lost = len(mesh.faces) - len(mended.faces)
    if lost <= REPAIR_LIMIT * len(mesh.faces) and damage(mended.faces) is None:
        closed = close_loops(mended)
        if leak(closed.faces) is None:
            log.warning("%s: %s; repaired, %d faces left out", name, problem, lost)
            return closed
    log.warning("%s: %s; remeshing it by winding number at %g mm", name, problem, cell)
    return remesh_by_winding_number(mesh, cell)


def repaired(mesh: Mesh) -> Mesh:
    """The mesh without doubled, empty and surplus faces at an edge, all turned one way (pymeshlab).

    Vertices stay as they are, apart from copies appended where two sheets met in one vertex.
    """
    import pymeshlab

    work = pymeshlab.MeshSet(verbose=False)
    work.add_mesh(
        pymeshlab.Mesh(np.asarray(mesh.vertices, np.float64), np.asarray(mesh.faces, np.int32))
    )
    work.meshing_remove_duplicate_faces()
    work.meshing_remove_null_faces()
    work.meshing_repair_non_manifold_edges(method="Remove Faces")
    work.meshing_repair_non_manifold_vertices(vertdispratio=0.0)
    work.meshing_re_orient_faces_coherently()
    result = work.current_mesh()
    return Mesh(result.vertex_matrix(), result.face_matrix().astype(np.int64))


def damage(faces: Int[np.ndarray, "f 3"]) -> str | None:
    """What keeps a mesh from being closed by capping its loops, or None."""
    if (faces == np.roll(faces, 1, axis=1)).any():
        count = int((faces == np.roll(faces, 1, axis=1)).any(axis=1).sum())
        return f"{count} faces name a vertex twice"
    _, count = np.unique(directed_edges(faces), axis=0, return_counts=True)
    if (count > 1).any():
        return f"{int((count > 1).sum())} edges are shared by faces that do not fit together"
    return None


def leak(faces: Int[np.ndarray, "f 3"]) -> str | None:
    """What keeps a mesh from being watertight and edge-manifold, or None if it is both."""
    open_edges = len(boundary_edges(faces))
    if open_edges:
        return f"{open_edges} edges are open"
    return damage(faces)


def boundary_loops(faces: Int[np.ndarray, "f 3"]) -> list[Int[np.ndarray, " n"]]:
    """The borders of holes as simple cycles of vertices, in the direction of their faces.

    Where holes touch in one vertex (a pinch), the walk is cut there, so that no cycle passes a
    vertex twice.
    """
    following: dict[int, list[int]] = {}
    for start, end in boundary_edges(faces).tolist():
        following.setdefault(start, []).append(end)
    loops = []
    for first in following:
        while following[first]:
            path, place = [first], {first: 0}
            while following[path[-1]]:
                vertex = following[path[-1]].pop()
                if vertex in place:  # a cycle is complete: take it off the path
                    cut = place[vertex]
                    loops.append(np.array(path[cut:], np.int64))
                    for left in path[cut + 1 :]:
                        del place[left]
                    path = path[: cut + 1]
                else:
                    place[vertex] = len(path)
                    path.append(vertex)
    return loops


def close_loops(mesh: Mesh) -> Mesh:
    """Close every hole with a fan about the centroid of its border.

    Vertices and faces of ``mesh`` come first, in their order; one centroid a hole and the fans
    follow, so ``faces >= len(mesh.faces)`` are the caps. All parts are kept and closed each by
    itself: eyeballs and teeth stay bodies of their own, and inside is where the winding number
    of all of them exceeds one half. A part that is inside out is turned.
    """
    vertices = [np.asarray(mesh.vertices, np.float64)]
    faces = [mesh.faces.astype(np.int64)]
    for number, loop in enumerate(boundary_loops(mesh.faces)):
        vertices.append(vertices[0][loop].mean(axis=0, keepdims=True))
        centroid = np.full(len(loop), len(mesh.vertices) + number)
        faces.append(np.stack([np.roll(loop, -1), loop, centroid], axis=1))
    return _turned_outward(Mesh(np.concatenate(vertices), np.concatenate(faces)))


def remesh_by_winding_number(mesh: Mesh, cell: float = 1.0) -> Mesh:
    """A closed surface about a damaged scan: the level set of its signed distance on a grid.

    The sign comes from the winding number of the scan as it is, which passes one half smoothly
    through holes; the exact distance is only computed at grid points that have a neighbour of the
    other sign, the others do not touch the surface. The largest part is kept (grid remeshing
    leaves pockets inside). Vertex order is that of the grid.
    """
    from skimage.measure import marching_cubes

    used = np.asarray(mesh.vertices, np.float64)[np.unique(mesh.faces)]
    low = used.min(axis=0) - 3 * cell
    shape = np.ceil((used.max(axis=0) + 3 * cell - low) / cell).astype(int) + 1
    if np.prod(shape.astype(float)) > 2e8:
        raise GeometryError(
            f"remeshing at {cell:g} mm needs a grid of {shape.tolist()} points; the mesh is too "
            "large for its unit. Check millimetres_per_unit."
        )
    inside = _inside_on_grid(mesh, low, shape, cell)
    if not inside.any():
        raise GeometryError(
            "the scan encloses nothing: its winding number stays below one half everywhere. Its "
            "triangles may face inwards or be scattered; orient and clean it first."
        )
    field = np.where(inside, -cell, cell).astype(np.float64)
    border = ndimage.binary_dilation(inside) & ~ndimage.binary_erosion(inside)
    at = np.argwhere(border)
    distance, _, _ = distance_to_mesh(low + at * cell, mesh)
    # Kept off zero, where marching cubes would join sheets in one point, and below the gap of a
    # hole, where the distance to the scan means nothing.
    field[border] = np.sign(field[border]) * np.clip(distance, 1e-3 * cell, 2 * cell)
    vertices, faces, _, _ = marching_cubes(field, 0.0)
    closed = _largest_part(Mesh(low + vertices.astype(np.float64) * cell, faces.astype(np.int64)))
    problem = leak(closed.faces)
    if problem is not None:
        raise GeometryError(f"remeshing at {cell:g} mm did not close the scan: {problem}.")
    return _turned_outward(closed)


def _inside_on_grid(
    mesh: Mesh, low: np.ndarray, shape: np.ndarray, cell: float, block: int = 4
) -> Bool[np.ndarray, "x y z"]:
    """Which grid points are inside; the outermost layer never is.

    First one value for each block of points, then every point of the blocks that the surface may
    run through: near the scan, or (across a hole) beside a block of the other sign.
    """
    blocks = -(-shape // block)
    centres = low + cell * (np.indices(blocks).reshape(3, -1).T * block + (block - 1) / 2)
    coarse = inside_closed(centres, mesh).reshape(blocks)
    distance = distance_to_mesh(centres, mesh)[0].reshape(blocks)
    around = np.ones((3, 3, 3), bool)
    mixed = distance < cell * block * np.sqrt(3) / 2
    mixed |= ndimage.binary_dilation(coarse, around) & ~ndimage.binary_erosion(coarse, around)

    inside = coarse.repeat(block, 0).repeat(block, 1).repeat(block, 2)
    corners = np.argwhere(mixed) * block
    within = np.indices((block,) * 3).reshape(3, -1).T
    for some in np.array_split(corners, max(1, len(corners) * len(within) // 2_000_000)):
        at = (some[:, None] + within).reshape(-1, 3)
        inside[tuple(at.T)] = inside_closed(low + cell * at, mesh)
    inside = inside[: shape[0], : shape[1], : shape[2]]
    inside[[0, -1]] = inside[:, [0, -1]] = inside[:, :, [0, -1]] = False
    return inside


def _volumes(mesh: Mesh, part: Int[np.ndarray, " f"]) -> Float[np.ndarray, " p"]:
    """Signed volume of each closed part, positive where its faces look outward."""
    corners = mesh.vertices[mesh.faces] - mesh.vertices.mean(axis=0)
    six = (corners[:, 0] * np.cross(corners[:, 1], corners[:, 2])).sum(axis=1)
    return np.bincount(part, six) / 6.0


def _turned_outward(mesh: Mesh) -> Mesh:
    part = parts(mesh.faces, len(mesh.vertices))
    inward = (_volumes(mesh, part) < 0)[part]
    return Mesh(mesh.vertices, np.where(inward[:, None], mesh.faces[:, ::-1], mesh.faces))


def _largest_part(mesh: Mesh) -> Mesh:
    part = parts(mesh.faces, len(mesh.vertices))
    largest = np.abs(_volumes(mesh, part)).argmax()
    return without_unused_vertices(Mesh(mesh.vertices, mesh.faces[part == largest]))
