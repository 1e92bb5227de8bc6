"""Where the camera stood: head pose and distance from 68 landmarks.

A first guess by weak perspective in closed form, then Gauss-Newton steps on the reprojection error
with a robust weight for every landmark. The result is a camera in the face frame (OpenCV axes, mm).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float
from scipy.spatial.transform import Rotation

from facemill.data.expressions import NEUTRAL
from facemill.data.packs import FacePack
from facemill.errors import DataError, GeometryError
from facemill.mesh.frames import NOSE_TIP
from facemill.render.cameras import Camera

JAW, EYES = slice(0, 17), (36, 45)
"""Landmarks of the jaw line, and the outer eye corners."""

JAW_WEIGHT = 0.3
"""Of the jaw line: detectors find it on the visible outline, no fixed place of the head."""

STEPS = 60
"""Most Gauss-Newton steps; ten are usual."""

LIMIT = 0.08
"""Largest residual, as a share of the distance between the outer eye corners, that is believed."""

BEHIND = -0.3
"""Least z of the unit vector from the nose tip to the camera. Mirrored landmarks fit a face seen
through the back of the head; a true camera sees no eyes from there."""


@dataclass(frozen=True)
class HeadPose:
    """A camera in the face frame and how well it explains the landmarks.

    ``residual`` is the weighted root mean square reprojection error in pixels, ``relative`` the
    same as a share of the distance between the outer eye corners.
    """

    camera: Camera
    residual: float
    relative: float


def mean_landmarks(
    packs: Sequence[str | Path], expression: str = NEUTRAL
) -> Float[np.ndarray, "68 3"]:
    """Mean of several people's 68 landmarks (face frame, mm): the model for an unknown face.

    ``packs`` are face packs, of training people; those without the expression are passed over.
    """
    opened = [FacePack(path) for path in packs]
    each = [pack.landmarks(expression) for pack in opened if expression in pack.expressions]
    if not each:
        raise DataError(
            f"head pose: none of {len(opened)} face packs holds {expression}; there is no mean "
            "face to compare landmarks with. Prepare people who have it."
        )
    return np.mean(each, axis=0, dtype=np.float64)


def weak_perspective(
    image: Float[np.ndarray, "n 2"],
    model: Float[np.ndarray, "n 3"],
    weights: Float[np.ndarray, " n"],
) -> tuple[float, Float[np.ndarray, "3 3"], Float[np.ndarray, "2"]]:
    """Scale (pixels per mm), rotation and shift with image = scale (R model)_xy + shift.

    The affine map by least squares, then the nearest scaled rotation: y down, z forward. Raises
    GeometryError where the points do not fix it (all in one place or on a line).
    """
    share = (weights / weights.sum())[:, None]
    middle, centre = (share * model).sum(axis=0), (share * image).sum(axis=0)
    root = np.sqrt(share)
    affine, _, rank, _ = np.linalg.lstsq(root * (model - middle), root * (image - centre))
    u, stretch, vt = np.linalg.svd(affine.T, full_matrices=False)
    if rank < 3 or not stretch[1] > 1e-9:
        raise GeometryError(
            "head pose: the landmarks lie on a line or in one place; expected the 68 points of a "
            "face. Run the landmark detector again."
        )
    rows = u @ vt
    rotation = np.stack([rows[0], rows[1], np.cross(rows[0], rows[1])])
    scale = float(stretch.mean())
    return scale, rotation, centre - scale * (rotation @ middle)[:2]


def fit_pose(
    image: Float[np.ndarray, "68 2"],
    model: Float[np.ndarray, "68 3"],
    intrinsics: Float[np.ndarray, "3 3"],
    width: int,
    height: int,
) -> HeadPose:
    """The camera that sees the landmarks ``model`` (face frame, mm) at ``image`` (pixels).

    Residuals are weighted by Geman and McClure's function with a scale from their median, so that
    a few wrong landmarks do not turn the head. Raises GeometryError for landmarks that fix no pose.
    """
    weights = np.ones(68)
    weights[JAW] = JAW_WEIGHT
    focal = float(np.sqrt(intrinsics[0, 0] * intrinsics[1, 1]))
    scale, rotation, shift = weak_perspective(image, model, weights)
    ray = np.linalg.solve(intrinsics, [*shift, 1.0])
    translation = focal / scale * ray
    robust = weights
    for _ in range(STEPS):
        error, jacobian = _reprojection(model, rotation, translation, intrinsics, image)
        length = np.linalg.norm(error, axis=1)
        spread = max(2.0 * float(np.median(length)), 1e-6 * scale)
        robust = weights * (spread**2 / (spread**2 + length**2)) ** 2
        root = np.sqrt(robust)[:, None]
        step = np.linalg.lstsq(
            (root[..., None] * jacobian).reshape(-1, 6), -(root * error).ravel()
        )[0]
        rotation = Rotation.from_rotvec(step[:3]).as_matrix() @ rotation
        translation = translation + step[3:]
        if np.abs(step[:3]).max() < 1e-10 and np.abs(step[3:]).max() < 1e-7:
            break
    if not (np.isfinite(translation).all() and translation[2] > 0):
        raise GeometryError(
            "head pose: the fit put the head behind the camera; the landmarks are no face in the "
            "68-point scheme. Run the landmark detector again."
        )
    error, _ = _reprojection(model, rotation, translation, intrinsics, image)
    residual = float(np.sqrt((weights * (error**2).sum(axis=1)).sum() / weights.sum()))
    extrinsics = np.concatenate([rotation, translation[:, None]], axis=1)
    eyes = float(np.linalg.norm(model[EYES[0]] - model[EYES[1]]) * focal / translation[2])
    return HeadPose(Camera(intrinsics, extrinsics, width, height), residual, residual / eyes)


def require_pose(pose: HeadPose, name: str, limit: float = LIMIT) -> HeadPose:
    """The pose itself, or a GeometryError if it does not explain the landmarks of ``name``."""
    advice = (
        "They may be of another scheme, mirrored, in the order 'y x', or of the photo before its "
        "rotation."
    )
    if pose.relative > limit:
        raise GeometryError(
            f"{name}: no head pose explains the landmarks: residual {pose.residual:.1f} pixels, "
            f"{100 * pose.relative:.0f} % of the distance between the eyes; expected at most "
            f"{100 * limit:.0f} %. {advice}"
        )
    towards = pose.camera.centre - NOSE_TIP
    if towards[2] < BEHIND * np.linalg.norm(towards):
        raise GeometryError(
            f"{name}: the landmarks are those of a face seen from behind; expected one seen from "
            f"the front or the side. {advice}"
        )
    return pose


def _reprojection(
    model: Float[np.ndarray, "n 3"],
    rotation: Float[np.ndarray, "3 3"],
    translation: Float[np.ndarray, "3"],
    intrinsics: Float[np.ndarray, "3 3"],
    image: Float[np.ndarray, "n 2"],
) -> tuple[Float[np.ndarray, "n 2"], Float[np.ndarray, "n 2 6"]]:
    """Reprojection error in pixels and its derivative by (rotation about the camera's axes, shift).

    A left perturbation: x_camera = exp(w) R x + t + d, so d x / d w = -[R x] and d x / d d = 1.
    """
    turned = model @ rotation.T
    local = turned + translation
    depth = np.where(np.abs(local[:, 2]) < 1e-9, 1e-9, local[:, 2])
    projected = local @ intrinsics.T / depth[:, None]
    # d(u, v) / d local: (K_row - projected * third row) / depth
    by_point = (intrinsics[None, :2] - projected[:, :2, None] * intrinsics[None, 2:]) / depth[
        :, None, None
    ]
    x, y, z = turned.T
    zero = np.zeros_like(x)
    cross = np.stack(
        [
            np.stack([zero, z, -y], axis=1),
            np.stack([-z, zero, x], axis=1),
            np.stack([y, -x, zero], axis=1),
        ],
        axis=1,
    )
    jacobian = np.concatenate([by_point @ cross, by_point], axis=2)
    return projected[:, :2] - image, jacobian
