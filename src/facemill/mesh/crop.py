"""Exact clipping of a mesh to a ball (ImFace's crop)."""

import numpy as np
from jaxtyping import Bool, Float, Int

from facemill.errors import GeometryError
from facemill.mesh.connectivity import directed_edges, parts
from facemill.mesh.surface import Mesh


def crop_to_sphere(mesh: Mesh, centre: Float[np.ndarray, "3"], radius: float) -> Mesh:
    """The part of ``mesh`` inside the ball, cut where its edges cross the sphere.

    ImFace, preprocessing: triangles with three vertices inside stay, those with two or one are cut
    along the chord between their two crossing points. A crossing is the root of
    |a + t (b - a)|^2 = R^2 on the edge from the inside vertex a to the outside vertex b, and is
    one vertex for both triangles of that edge. Kept vertices come first, in their order, then the
    crossings; what no triangle uses is left out. Texture coordinates are not carried along.

    Raises GeometryError when nothing lies inside.
    """
    vertices = np.asarray(mesh.vertices, np.float64)
    inside = np.linalg.norm(vertices - centre, axis=1) <= radius
    crossings, edges, t = _crossings(vertices, mesh.faces, inside, centre, radius)
    faces = _clipped_faces(mesh.faces, inside, edges, len(vertices))
    # A vertex that lies on the sphere already is its own crossing; what collapses there is gone.
    own = np.concatenate([np.arange(len(vertices)), np.arange(len(edges)) + len(vertices)])
    own[len(vertices) :][t < 1e-9] = edges[t < 1e-9, 0]
    faces = own[faces]
    faces = faces[(faces != np.roll(faces, 1, axis=1)).all(axis=1)]
    if len(faces) == 0:
        raise GeometryError(
            f"no triangle inside the sphere of {radius:g} about {np.round(centre, 3).tolist()}; "
            "the mesh is in another frame or unit (the face frame is millimetres, nose tip at "
            "(0, 0, 40)). Check its landmarks and millimetres_per_unit."
        )
    return without_unused_vertices(Mesh(np.concatenate([vertices, crossings]), faces))


def without_unused_vertices(mesh: Mesh) -> Mesh:
    """The mesh with only the vertices that a face names, in their order."""
    used = np.zeros(len(mesh.vertices), bool)
    used[mesh.faces] = True
    number = np.cumsum(used) - 1
    return Mesh(mesh.vertices[used], number[mesh.faces])


def large_parts(mesh: Mesh, share: float = 0.05) -> Mesh:
    """The mesh without pieces that hold less than ``share`` of its faces and hang on nothing."""
    part = parts(mesh.faces, len(mesh.vertices))
    large = np.bincount(part) >= share * len(mesh.faces)
    return without_unused_vertices(Mesh(mesh.vertices, mesh.faces[large[part]]))


def _crossings(
    vertices: Float[np.ndarray, "v 3"],
    faces: Int[np.ndarray, "f 3"],
    inside: Bool[np.ndarray, " v"],
    centre: Float[np.ndarray, "3"],
    radius: float,
) -> tuple[Float[np.ndarray, "e 3"], Int[np.ndarray, "e 2"], Float[np.ndarray, " e"]]:
    """Points where edges leave the ball, those edges as (inside, outside), sorted, and t."""
    edges = directed_edges(faces).astype(np.int64)
    edges = edges[inside[edges[:, 0]] != inside[edges[:, 1]]]
    edges = np.where(inside[edges[:, :1]], edges, edges[:, ::-1])
    edges = np.unique(edges, axis=0)
    start = vertices[edges[:, 0]] - centre
    step = vertices[edges[:, 1]] - vertices[edges[:, 0]]
    # step^2 t^2 + 2 half t + below = 0, where below <= 0: the larger root is where the edge leaves.
    square = (step**2).sum(axis=1)
    half = (start * step).sum(axis=1)
    below = np.minimum((start**2).sum(axis=1) - radius**2, 0.0)
    root = np.sqrt(half**2 - square * below)
    # Of the two forms of the root each loses digits on one side of half = 0.
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.where(half > 0, -below / (half + root), (root - half) / square)
    t = np.clip(np.nan_to_num(t), 0.0, 1.0)
    points = start + t[:, None] * step
    points *= (radius / np.linalg.norm(points, axis=1))[:, None]
    return points + centre, edges, t


def _clipped_faces(
    faces: Int[np.ndarray, "f 3"],
    inside: Bool[np.ndarray, " v"],
    edges: Int[np.ndarray, "e 2"],
    n_vertices: int,
) -> Int[np.ndarray, "g 3"]:
    """Faces over the vertices followed by the crossings, each oriented as the face it came from."""
    count = inside[faces].sum(axis=1)
    keys = edges[:, 0] * n_vertices + edges[:, 1]

    def crossing(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return n_vertices + np.searchsorted(keys, a.astype(np.int64) * n_vertices + b)

    # One inside: turn the face until its first vertex is the inside one.
    one = faces[count == 1]
    a, b, c = _turned(one, inside[one].argmax(axis=1)).T
    tips = np.stack([a, crossing(a, b), crossing(a, c)], axis=1)

    # Two inside: turn it until the last vertex is the outside one; the rest is a quadrilateral.
    two = faces[count == 2]
    a, b, c = _turned(two, (~inside[two]).argmax(axis=1) + 1).T
    after_b, before_a = crossing(b, c), crossing(a, c)
    lower = np.stack([a, b, after_b], axis=1)
    upper = np.stack([a, after_b, before_a], axis=1)
    return np.concatenate([faces[count == 3], tips, lower, upper]).astype(np.int64)


def _turned(faces: np.ndarray, first: np.ndarray) -> np.ndarray:
    """Each face with its corner number ``first`` (modulo 3) in front, orientation kept."""
    return np.take_along_axis(faces, (first[:, None] + np.arange(3)) % 3, axis=1)
