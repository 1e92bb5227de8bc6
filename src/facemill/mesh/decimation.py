"""Coarser triangulations over some of a mesh's own vertices."""

import numpy as np
from jaxtyping import Int

from facemill.errors import GeometryError
from facemill.mesh.normals import corner_angles
from facemill.mesh.surface import Mesh

JITTER = 0.1
"""Standard deviation, in mean edge lengths, of what is added before choosing what to keep."""

NEEDLE, DRAWS = 2.5, 6
"""A corner below so many degrees makes a needle, whose Laplacian weights drown all others; a mesh
that has one is drawn again, up to so many times in all."""


def decimated(
    mesh: Mesh, vertices: int, rng: np.random.Generator
) -> tuple[Int[np.ndarray, " n"], Int[np.ndarray, "g 3"]]:
    """About ``vertices`` of a mesh's vertices and triangles over them (in the mesh's own numbers).

    Edges are collapsed by quadric error (Garland and Heckbert 1997) onto one of their ends, so that
    what moves with the mesh's vertices moves with the coarse mesh. A random shift of the vertices
    beforehand makes every call choose others. Of some draws the first without needles is taken, or
    the one whose sharpest corner is the bluntest. A mesh that is coarse enough stays as it is.
    """
    if len(mesh.vertices) <= vertices:
        return np.arange(len(mesh.vertices)), mesh.faces
    best, bluntest = None, -1.0
    for _ in range(DRAWS):
        chosen, faces = _drawn(mesh, vertices, rng)
        sharpest = float(np.degrees(corner_angles(Mesh(mesh.vertices, faces)).min()))
        if sharpest > bluntest:
            best, bluntest = (chosen, faces), sharpest
        if sharpest >= NEEDLE:
            break
    return best


def _drawn(
    mesh: Mesh, vertices: int, rng: np.random.Generator
) -> tuple[Int[np.ndarray, " n"], Int[np.ndarray, "g 3"]]:
    """One decimation, of vertices shifted at random."""
    import pymeshlab
    from scipy.spatial import cKDTree

    corners = np.asarray(mesh.vertices, np.float64)[mesh.faces]
    edge = np.linalg.norm(corners[:, 0] - corners[:, 1], axis=1).mean()
    moved = mesh.vertices + JITTER * edge * rng.standard_normal(mesh.vertices.shape)
    work = pymeshlab.MeshSet(verbose=False)
    work.add_mesh(pymeshlab.Mesh(moved, np.asarray(mesh.faces, np.int32)))
    work.meshing_decimation_quadric_edge_collapse(
        targetfacenum=round(len(mesh.faces) * vertices / len(mesh.vertices)),
        optimalplacement=False,
        preservenormal=True,
        preservetopology=True,
    )
    work.meshing_repair_non_manifold_edges(method="Remove Faces")
    work.meshing_remove_unreferenced_vertices()
    found = work.current_mesh()
    distance, numbers = cKDTree(moved).query(found.vertex_matrix())
    if distance.max() > 1e-3 * edge or len(np.unique(numbers)) < len(numbers):
        raise GeometryError("decimation moved vertices instead of choosing among them.")
    return np.sort(numbers), numbers[found.face_matrix()].astype(np.int64)
