"""Cotangent Laplacian, vertex masses and the smoothest eigenfunctions of a triangle mesh."""

import logging

import numpy as np
from jaxtyping import Float, Int
from scipy.sparse import coo_array, csc_array, csr_array, diags_array

from facemill.errors import GeometryError
from facemill.mesh.block_lanczos import largest_eigenpairs
from facemill.mesh.connectivity import directed_edges
from facemill.mesh.normals import face_normals_and_areas
from facemill.mesh.surface import Mesh

log = logging.getLogger(__name__)

SHIFT = 1e-8
"""What is added to the Laplacian and where its eigenvalues are looked for (DiffusionNet)."""

ATTEMPTS = 5
"""The shift is raised tenfold after each failure; so many tries in all (DiffusionNet: 5)."""

TOLERANCE = 1e-10
"""Relative residual of the eigenpairs asked of the solver. With less, Lanczos misses some of the
several functions that a symmetric mesh has at one eigenvalue."""

DENSE = 600
"""Vertices up to which the whole matrix is solved: Lanczos needs a space much larger than what it
looks for, and wins nothing there."""


def cotangent_laplacian(mesh: Mesh) -> csr_array:
    """The weak Laplacian (v, v), positive semidefinite: L_ij = -(cot a_ij + cot b_ij) / 2.

    Its rows sum to zero. Denominators are floored at 1e-10, so that slivers count but do not
    explode (Pinkall and Polthier 1993; DiffusionNet).
    """
    corners = np.asarray(mesh.vertices, np.float64)[mesh.faces]
    n = len(mesh.vertices)
    rows, columns, values = [], [], []
    for corner in range(3):
        j, k = (corner + 1) % 3, (corner + 2) % 3
        first, second = corners[:, j] - corners[:, corner], corners[:, k] - corners[:, corner]
        sine = np.linalg.norm(np.cross(first, second), axis=1)
        half = 0.5 * (first * second).sum(axis=1) / np.maximum(sine, 1e-10)
        a, b = mesh.faces[:, j], mesh.faces[:, k]
        rows += [a, b, a, b]
        columns += [b, a, a, b]
        values += [-half, -half, half, half]
    entries = (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns)))
    return coo_array(entries, shape=(n, n)).tocsr()


def vertex_masses(mesh: Mesh) -> Float[np.ndarray, " v"]:
    """A third of the area of the faces around each vertex, and a hair more so that none is zero.

    They sum to the mesh's area up to a part in 1e8.
    """
    _, area = face_normals_and_areas(mesh)
    mass = np.bincount(mesh.faces.ravel(), np.repeat(area / 3.0, 3), len(mesh.vertices))
    return mass + 1e-8 * mass.mean()


def eigenbasis(
    laplacian: csr_array, mass: Float[np.ndarray, " v"], count: int, name: str = "mesh"
) -> tuple[Float[np.ndarray, " k"], Float[np.ndarray, "v k"]]:
    """The ``count`` smoothest solutions of (L + 1e-8 I) phi = lambda M phi, smallest first.

    phi is orthonormal in the masses: phi^T M phi = I; each column's largest entry is positive, so
    that two runs agree. The problem is solved in its symmetric form M^-1/2 L M^-1/2 by
    shift-invert block Lanczos. Raises GeometryError where the mesh has too few vertices, or where
    no shift leads to a solution.
    """
    n = laplacian.shape[0]
    if n <= count + 1:
        raise GeometryError(
            f"{name}: {n} vertices have no {count} eigenfunctions; take a finer mesh, or lower "
            "nfs.operators.eigenfunctions."
        )
    root = diags_array(1.0 / np.sqrt(mass))
    # Masses of one: the scale of the mesh must not decide how well the shift works.
    unit = mass.mean()
    symmetric = (root @ (laplacian + SHIFT * diags_array(np.ones(n))) @ root * unit).tocsc()
    values, vectors = _smallest(symmetric, count, name)
    order = np.argsort(values)
    values, vectors = np.clip(values[order] / unit, 0.0, None), root @ vectors[:, order]
    largest = np.abs(vectors).argmax(axis=0)
    return values, vectors * np.sign(vectors[largest, np.arange(count)])


def _smallest(symmetric: csc_array, count: int, name: str):
    """Eigenpairs next to a small shift; a shift that fails is raised (DiffusionNet)."""
    from scipy.linalg import LinAlgError, eigh
    from scipy.sparse.linalg import splu

    n = symmetric.shape[0]
    if n <= max(DENSE, 6 * count):
        return eigh(symmetric.toarray(), subset_by_index=[0, count - 1])
    shift, problem = SHIFT, None
    for _ in range(ATTEMPTS):
        try:
            shifted = (symmetric + shift * diags_array(np.ones(n))).tocsc()
            factor = splu(
                shifted,
                permc_spec="MMD_AT_PLUS_A",
                diag_pivot_thresh=0.0,
                options={"SymmetricMode": True},
            )
            rng = np.random.default_rng(0)
            _, vectors = largest_eigenpairs(factor.solve, n, count, TOLERANCE, rng)
            # More exact than 1 / value - shift, whose digits the constant function takes.
            values = (vectors * (symmetric @ vectors)).sum(axis=0)
            if np.isfinite(values).all():
                return values, vectors
            problem = "not finite"
        except (LinAlgError, RuntimeError, ValueError) as error:
            problem = error
        log.warning("%s: no eigenfunctions at shift %g (%s); raising it", name, shift, problem)
        shift *= 10.0
    raise GeometryError(
        f"{name}: the Laplacian's eigenfunctions could not be computed ({problem}). The mesh has "
        "many slivers or pieces of no area: remesh it, or take the largest part alone."
    )


def laplacian_coordinates(
    laplacian: csr_array, mass: Float[np.ndarray, " v"], vertices: Float[np.ndarray, "v 3"]
) -> Float[np.ndarray, "v 3"]:
    """M^-1 L x: twice the mean curvature along the normal, in one over the mesh's unit."""
    return (laplacian @ vertices) / mass[:, None]


def undirected_edges(faces: Int[np.ndarray, "f 3"]) -> Int[np.ndarray, "e 2"]:
    """Every edge once, its smaller vertex first, in order."""
    edges = directed_edges(faces).astype(np.int64)
    size = edges.max(initial=0) + 1
    # One number an edge sorts several times faster than two.
    found = np.unique(edges.min(axis=1) * size + edges.max(axis=1))
    return np.stack([found // size, found % size], axis=1)
