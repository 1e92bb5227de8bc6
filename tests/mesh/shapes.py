"""Analytic surfaces and plain twins that several tests of this folder measure against."""

import json
from pathlib import Path

import numpy as np

from facemill.mesh.frames import nose_tip_similarity
from facemill.mesh.surface import Mesh


def grid(half: float, step: float) -> tuple[np.ndarray, np.ndarray]:
    """Points (v, 2) of a square grid about the origin and its triangles, facing +z."""
    n = round(2 * half / step) + 1
    axis = np.linspace(-half, half, n)
    points = np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1).reshape(-1, 2)
    i = (np.arange(n - 1)[:, None] * n + np.arange(n - 1)).reshape(-1)
    faces = np.concatenate([np.stack([i, i + n, i + n + 1], 1), np.stack([i, i + n + 1, i + 1], 1)])
    return points, faces


def graph(h, half: float, step: float) -> Mesh:
    """The surface z = h(x, y) over a square."""
    points, faces = grid(half, step)
    return Mesh(np.column_stack([points, h(points[:, 0], points[:, 1])]), faces)


def sphere(radius: float = 10.0, subdivisions: int = 3, centre=(0.0, 0.0, 0.0)) -> Mesh:
    """A closed sphere."""
    import trimesh

    ball = trimesh.creation.icosphere(subdivisions, radius)
    return Mesh(np.array(ball.vertices) + centre, np.array(ball.faces, np.int64))


def joined(*meshes: Mesh) -> Mesh:
    """Several meshes as one."""
    first = np.cumsum([0, *(len(mesh.vertices) for mesh in meshes)])
    return Mesh(
        np.concatenate([mesh.vertices for mesh in meshes]),
        np.concatenate([mesh.faces + n for mesh, n in zip(meshes, first, strict=False)]),
    )


def triangle_distance(
    points: np.ndarray, a: np.ndarray, b: np.ndarray, c: np.ndarray
) -> np.ndarray:
    """Distance from each point to its own triangle: the plane if its foot lies inside, else edges.

    The plain way, one case after the other; (n, 3) each or anything that broadcasts to it.
    """

    def to_edge(p, start, end):
        along = end - start
        t = ((p - start) * along).sum(-1) / np.maximum((along**2).sum(-1), 1e-300)
        return np.linalg.norm(p - start - np.clip(t, 0, 1)[..., None] * along, axis=-1)

    normal = np.cross(b - a, c - a)
    normal = normal / np.maximum(np.linalg.norm(normal, axis=-1, keepdims=True), 1e-300)
    foot_inside = np.ones(np.broadcast_shapes(points.shape, a.shape)[:-1], bool)
    for start, end in ((a, b), (b, c), (c, a)):
        foot_inside &= (np.cross(end - start, points - start) * normal).sum(-1) >= 0
    edges = np.minimum.reduce([to_edge(points, s, e) for s, e in ((a, b), (b, c), (c, a))])
    plane = np.abs(((points - a) * normal).sum(-1))
    return np.where(foot_inside, plane, edges)


def brute_force_distance(points: np.ndarray, mesh: Mesh) -> np.ndarray:
    """Distance to the nearest of all triangles, a chunk of points at a time, float64.

    A triangle is left out only where its bounding sphere lies farther off than the nearest vertex.
    """
    corners = np.asarray(mesh.vertices, np.float64)[mesh.faces]
    centre = corners.mean(axis=1)
    reach = np.linalg.norm(corners - centre[:, None], axis=2).max(axis=1)
    result = np.empty(len(points))
    for start in range(0, len(points), 500):
        some = np.asarray(points[start : start + 500], np.float64)
        square = (some**2).sum(1)[:, None] + (centre**2).sum(1) - 2 * some @ centre.T
        between = np.sqrt(np.maximum(square, 0))
        bound = (between + reach).min(axis=1)
        point, face = np.nonzero(between - reach <= bound[:, None] + 1e-6)
        distance = triangle_distance(some[point], *corners[face].transpose(1, 0, 2))
        nearest = np.full(len(some), np.inf)
        np.minimum.at(nearest, point, distance)
        result[start : start + 500] = nearest
    return result


SKIN = ("face", "head_neck", "mouth_socket", "eye_socket_left", "eye_socket_right")


def ict_head(
    open_data: Path, expression: str = "", parts: tuple[str, ...] = SKIN, modes: int = 20
) -> tuple[Mesh, np.ndarray]:
    """A head drawn from the ICT model, face frame, mm, and its landmarks."""
    with np.load(open_data / "ict" / "ict_face_model_light.npz") as packed:
        model = {name: packed[name] for name in packed.files}  # every look into the file unpacks
        weights = np.clip(np.random.default_rng(0).normal(size=modes), -2.5, 2.5)
        vertices = model["neutral"].astype(np.float64)
        for k, weight in enumerate(weights):
            vertices += weight * model["id_scale"][k] * model["id_modes_q"][k]
        if expression:
            table = json.loads((open_data / "ict" / "expressions_facescape20.json").read_text())
            names = model["exp_names"].tolist()
            for name, weight in table.get("expressions", table)[expression].items():
                j = names.index(name)
                vertices += weight * model["exp_scale"][j] * model["exp_modes_q"][j]
        names = model["region_names"].tolist()
        region = model["vert_region"][model["tris"]][:, 0]
        faces = model["tris"][np.isin(region, [names.index(part) for part in parts])]
        landmarks = vertices[model["landmarks68"]]
    used, faces = np.unique(faces, return_inverse=True)
    to_face = nose_tip_similarity(landmarks[30], 10.0)
    return Mesh(to_face.apply(vertices[used]), faces.reshape(-1, 3)), to_face.apply(landmarks)
