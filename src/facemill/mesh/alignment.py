"""Bringing one head onto another: similarity from paired points, then trimmed ICP."""

import numpy as np
from jaxtyping import Float

from facemill.errors import GeometryError
from facemill.mesh.frames import Similarity


def umeyama(
    source: Float[np.ndarray, "n 3"],
    target: Float[np.ndarray, "n 3"],
    with_scale: bool = True,
    weights: Float[np.ndarray, " n"] | None = None,
) -> Similarity:
    """The similarity that takes paired points ``source`` closest to ``target``.

    Least squares in closed form (Umeyama 1991, eq. 40 to 43); the rotation never mirrors.
    Raises GeometryError with fewer than three points, or points on one line.
    """
    source, target = np.asarray(source, np.float64), np.asarray(target, np.float64)
    weights = np.ones(len(source)) if weights is None else np.asarray(weights, np.float64)
    if len(source) < 3 or not (np.isfinite(source).all() and np.isfinite(target).all()):
        raise GeometryError(
            f"{len(source)} point pairs cannot fix a similarity; at least three pairs of finite "
            "points that do not lie on one line are needed."
        )
    weights = weights / weights.sum()
    source_mean, target_mean = weights @ source, weights @ target
    from_mean, to_mean = source - source_mean, target - target_mean
    u, d, vt = np.linalg.svd((to_mean * weights[:, None]).T @ from_mean)
    if d[1] <= 1e-9 * d[0]:
        raise GeometryError(
            "the points lie on one line (or in one spot), so that the turn about it is open; "
            "pick points that span the face."
        )
    # The sign of the last axis decides between rotation and mirror image.
    signs = np.array([1.0, 1.0, np.sign(np.linalg.det(u) * np.linalg.det(vt))])
    rotation = (u * signs) @ vt
    scale = 1.0
    if with_scale:
        scale = float((d * signs).sum() / (weights @ (from_mean**2).sum(axis=1)))
    return Similarity(scale, rotation, target_mean - scale * rotation @ source_mean)


def require_unmirrored(
    source: Float[np.ndarray, "n 3"], target: Float[np.ndarray, "n 3"], name: str
) -> None:
    """Raise a GeometryError where the mirror image of ``source`` fits ``target`` clearly better.

    Then left and right are exchanged, in the mesh or in the order of the points; ``name`` is where
    they are from.
    """
    mirrored = source * [-1.0, 1.0, 1.0]
    of_mirrored = rms(umeyama(mirrored, target).apply(mirrored) - target)
    if of_mirrored < 0.5 * rms(umeyama(source, target).apply(source) - target):
        raise GeometryError(
            f"{name}: the mirror image of the landmarks fits better than they do; left and right "
            "are exchanged (36 is the subject's right eye, at -x), or the mesh is mirrored."
        )


def rms(offsets: Float[np.ndarray, "n 3"]) -> float:
    """Root mean square length of offsets."""
    return float(np.sqrt((offsets**2).sum(axis=1).mean()))


def trimmed_icp(
    source: Float[np.ndarray, "n 3"],
    target: Float[np.ndarray, "m 3"],
    target_normals: Float[np.ndarray, "m 3"],
    start: Similarity,
    keep: float = 0.7,
    steps: int = 60,
    with_scale: bool = True,
    landmarks: tuple[Float[np.ndarray, "k 3"], Float[np.ndarray, "k 3"]] | None = None,
    landmark_weight: float = 0.3,
) -> tuple[Similarity, float]:
    """Improve ``start`` by pairing points with the nearest target points; the rms residual kept.

    Each step pairs every moved ``source`` point with its nearest ``target`` point, keeps the share
    ``keep`` with the smallest distances (hair, clothes and borders have no partner) and takes one
    Gauss-Newton step on the distances to the partners' tangent planes (Chen and Medioni 1992).
    Paired ``landmarks`` (source, target) join with a share ``landmark_weight`` of the weight and
    keep the surface from sliding. The residual is the rms distance to the tangent planes, in the
    target's unit.
    """
    from scipy.spatial import cKDTree

    tree = cKDTree(target)
    now, before, residual = start, np.inf, np.inf
    for _ in range(steps):
        moved = now.apply(source)
        distance, nearest = tree.query(moved)
        kept = np.argsort(distance)[: max(3, round(keep * len(source)))]
        points, normals = moved[kept], target_normals[nearest[kept]]
        height = ((points - target[nearest[kept]]) * normals).sum(axis=1)
        residual = float(np.sqrt((height**2).mean()))
        if abs(before - residual) < 1e-6 * residual:
            break
        before = residual
        weights = np.ones(len(kept))
        if landmarks is not None:
            at = now.apply(landmarks[0])
            share = landmark_weight / (1.0 - landmark_weight) * len(kept) / len(at)
            points = np.concatenate([points, np.repeat(at, 3, axis=0)])
            normals = np.concatenate([normals, np.tile(np.eye(3), (len(at), 1))])
            height = np.concatenate([height, (at - landmarks[1]).ravel()])
            weights = np.concatenate([weights, np.full(3 * len(at), share)])
        now = _plane_step(points, normals, height, weights, with_scale).after(now)
    return now, residual


def _plane_step(
    points: Float[np.ndarray, "n 3"],
    normals: Float[np.ndarray, "n 3"],
    height: Float[np.ndarray, " n"],
    weights: Float[np.ndarray, " n"],
    with_scale: bool,
) -> Similarity:
    """The small similarity about the points' middle that best takes the heights to zero.

    Linear in rotation vector, translation and growth: h + n.(w x p) + n.t + g n.p = 0.
    """
    from scipy.spatial.transform import Rotation

    middle = points.mean(axis=0)
    arms = points - middle
    columns = [np.cross(arms, normals), normals]
    if with_scale:
        columns.append((arms * normals).sum(axis=1, keepdims=True))
    jacobian = np.concatenate(columns, axis=1)
    normal_matrix = jacobian.T @ (weights[:, None] * jacobian)
    # Turns that do not show on the surface (a sphere's) stay where they are.
    solution = -np.linalg.lstsq(normal_matrix, jacobian.T @ (weights * height), rcond=1e-10)[0]
    scale = float(np.exp(solution[6])) if with_scale else 1.0
    rotation = Rotation.from_rotvec(solution[:3]).as_matrix()
    return Similarity(scale, rotation, middle + solution[3:6] - scale * rotation @ middle)
