"""The zero level of a signed distance field as a mesh, with few queries of the field.

A field that changes by at most ``lipschitz`` per unit length cannot vanish within |f(c)|/lipschitz
of a point c. So blocks of grid points are asked at their centre first and only those that may hold
the surface are divided, down to single points; the rest keep the sign of their centre. A learned
field keeps no such bound exactly, therefore every cell that ends up with a sign change and a point
nobody asked is asked after all, until there is none: what comes out equals a dense extraction.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from facemill.errors import GeometryError
from facemill.mesh.grid import Grid
from facemill.mesh.surface import Mesh

Field = Callable[[np.ndarray], np.ndarray]
"""Signed distances (n,) of points (n, 3), in one frame and unit; batches are the field's matter."""


@dataclass(frozen=True)
class Extraction:
    """A mesh in the grid's frame, its triangles facing where the field grows, and what it cost."""

    mesh: Mesh
    queries: int


def extract(
    field: Field,
    grid: Grid,
    *,
    lipschitz: float = 1.0,
    radius: float | None = None,
) -> Extraction:
    """Zero level of ``field`` on ``grid``, coarse to fine.

    ``lipschitz`` is a bound of the field's gradient norm (1 for a true distance, else measured, see
    :func:`measured_lipschitz`). With ``radius`` only cells that touch the ball of this radius about
    the origin are looked at: the mesh then ends in a jagged rim of at most one cell outside the
    ball, to be cut by :func:`facemill.mesh.crop.crop_to_sphere`. Normals point to where the field
    is positive: for a face sheet, positive in front, that is +z. Raises GeometryError if the field
    has no zero on the grid.
    """
    wanted = _cells_of_ball(grid, radius)
    values, known, queries = _coarse_to_fine(field, grid, lipschitz, radius)
    while len(missing := np.argwhere(_undecided(values, known, wanted))):
        corners = np.unique(_corners(missing, grid.resolution))
        unknown = corners[~known.reshape(-1)[corners]]
        index = np.stack(np.unravel_index(unknown, values.shape), axis=-1)
        values.reshape(-1)[unknown] = field(grid.coordinates(index))
        known.reshape(-1)[unknown] = True
        queries += len(unknown)
    return Extraction(_march(values, wanted, grid), queries)


def extract_densely(field: Field, grid: Grid, *, radius: float | None = None) -> Extraction:
    """The plain way: every grid point asked. The measure of :func:`extract`, in result and cost."""
    values = np.asarray(field(grid.points()), np.float32).reshape(3 * (grid.resolution,))
    return Extraction(_march(values, _cells_of_ball(grid, radius), grid), values.size)


def measured_lipschitz(
    field: Field,
    radius: float,
    rng: np.random.Generator,
    *,
    n: int = 4096,
    step: float = 2e-3,
    quantile: float = 0.98,
    margin: float = 1.1,
) -> float:
    """A bound of |gradient| from ``n`` random short steps inside the ball of ``radius``.

    Along a random direction a gradient of norm g shows g |cos|; the mean square of that over three
    axes gives g, so each place is asked with three orthogonal steps. The ``quantile`` of the norms
    is widened by ``margin`` and at least 1; rare steeper spots are found by :func:`extract` itself.
    """
    points = rng.normal(size=(n, 3))
    points *= radius * rng.random((n, 1)) ** (1 / 3) / np.linalg.norm(points, axis=1, keepdims=True)
    steps = step * np.concatenate([np.zeros((1, 3)), np.eye(3)])
    values = field((points[None] + steps[:, None]).reshape(-1, 3)).reshape(4, n)
    norms = np.linalg.norm(values[1:] - values[0], axis=0) / step
    if not np.isfinite(norms).all():
        raise GeometryError(
            "the field gives values that are no finite numbers; its weights or codes are damaged. "
            "Train or fit again."
        )
    return max(1.0, margin * float(np.quantile(norms, quantile)))


def _coarse_to_fine(
    field: Field, grid: Grid, lipschitz: float, radius: float | None
) -> tuple[np.ndarray, np.ndarray, int]:
    """Values and which of them were asked, on the whole grid, and the number of questions."""
    n = grid.resolution
    size = 1 << max(0, (n // 16).bit_length() - 1)  # about 16 to 32 blocks along an axis
    whole = np.ones(3 * (-(-n // size) * size,), np.float32)  # a whole number of blocks
    values = whole[:n, :n, :n]
    known = np.zeros((n, n, n), bool)
    axis = np.arange(0, n, size)
    blocks = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1).reshape(-1, 3)
    queries = 0
    while True:
        # A cell is decided by its eight corners, so no point of a rejected block may have a zero
        # within one cell's diagonal: half the block's diagonal plus that.
        reach = np.sqrt(3.0) * grid.spacing * (size + 1) / 2
        centres = grid.coordinates(blocks + (size - 1) / 2)
        if radius is not None:
            inside = np.linalg.norm(centres, axis=1) <= radius + reach
            blocks, centres = blocks[inside], centres[inside]
        answers = np.asarray(field(centres), np.float32)
        queries += len(centres)
        if size == 1:
            values[tuple(blocks.T)] = answers
            known[tuple(blocks.T)] = True
            return np.ascontiguousarray(values), known, queries
        near = np.abs(answers) <= lipschitz * reach
        _fill(whole, blocks[~near] // size, np.sign(answers[~near]), size)
        size //= 2
        steps = size * np.stack(np.meshgrid(*3 * [np.arange(2)], indexing="ij"), -1).reshape(-1, 3)
        blocks = (blocks[near][:, None] + steps).reshape(-1, 3)
        blocks = blocks[(blocks < n).all(axis=1)]


def _fill(
    values: Float[np.ndarray, "w w w"],
    blocks: Int[np.ndarray, "b 3"],
    signs: Float[np.ndarray, " b"],
    size: int,
) -> None:
    """Give all points of rejected blocks, by number along each axis, the sign of their centre."""
    count = len(values) // size
    by_block = values.reshape(count, size, count, size, count, size)
    x, y, z = blocks.T
    by_block[x, :, y, :, z, :] = signs[:, None, None, None]


def _cells_of_ball(grid: Grid, radius: float | None) -> Bool[np.ndarray, "m m m"]:
    """Which cells have a corner inside the ball."""
    if radius is None:
        return np.ones(3 * (grid.resolution - 1,), bool)
    square = grid.coordinates(np.arange(grid.resolution)) ** 2
    inside = square[:, None, None] + square[:, None] + square <= radius**2
    return _over_corners(inside, np.logical_or)


def _undecided(
    values: Float[np.ndarray, "n n n"],
    known: Bool[np.ndarray, "n n n"],
    wanted: Bool[np.ndarray, "m m m"],
) -> Bool[np.ndarray, "m m m"]:
    """Cells with a sign change of which some corner was never asked."""
    positive = values > 0
    crossing = _over_corners(positive, np.logical_or) & ~_over_corners(positive, np.logical_and)
    return crossing & wanted & ~_over_corners(known, np.logical_and)


def _over_corners(
    values: Bool[np.ndarray, "n n n"], combine: Callable[[np.ndarray, np.ndarray], np.ndarray]
) -> Bool[np.ndarray, "m m m"]:
    """Combine the eight corner values of every cell, one axis after the other."""
    values = combine(values[1:], values[:-1])
    values = combine(values[:, 1:], values[:, :-1])
    return combine(values[:, :, 1:], values[:, :, :-1])


def _corners(cells: Int[np.ndarray, "c 3"], resolution: int) -> Int[np.ndarray, " p"]:
    """Flat grid indices of the corners of cells."""
    steps = np.stack(np.meshgrid(*3 * [np.arange(2)], indexing="ij"), -1).reshape(-1, 3)
    index = (cells[:, None] + steps).reshape(-1, 3)
    return np.ravel_multi_index(tuple(index.T), 3 * (resolution,))


def _march(
    values: Float[np.ndarray, "n n n"], wanted: Bool[np.ndarray, "m m m"], grid: Grid
) -> Mesh:
    """Marching cubes over the wanted cells, vertices in the grid's frame."""
    try:
        from skimage.measure import marching_cubes
    except ImportError:
        raise GeometryError(
            "extracting a surface needs scikit-image, which is not installed. "
            "Install it: pip install 'facemill[workflow]'"
        ) from None
    if not np.isfinite(values).all():
        raise GeometryError(
            "the field gives values that are no finite numbers; its weights or codes are damaged. "
            "Train or fit again."
        )
    mask = np.zeros(values.shape, bool)
    mask[1:, 1:, 1:] = wanted  # skimage names a cell by its upper corner
    nothing = (
        f"the field has no zero on the grid (values from {values.min():.3g} to {values.max():.3g})."
        " The model is untrained or the codes lie far outside what it was trained on."
    )
    if values.min() > 0 or values.max() < 0:
        raise GeometryError(nothing)
    try:
        vertices, faces, _, _ = marching_cubes(
            values, 0.0, mask=mask, gradient_direction="descent", allow_degenerate=False
        )
    except RuntimeError:
        raise GeometryError(nothing) from None
    return Mesh(grid.coordinates(vertices), faces.astype(np.int32))
