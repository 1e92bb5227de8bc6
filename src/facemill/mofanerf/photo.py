"""A wild photo made ready for fitting: pose, canonical frame, mask, light.

The canonical frame is the one of the training views (512 x 512, the head's centre in the middle,
1.5 pixels a millimetre there, head upright). The photo is turned, scaled and shifted into it, never
distorted, so that one pinhole camera in the face frame (mm) still describes it exactly.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, UInt8
from scipy import ndimage

from facemill.data.inputs import PHOTO_LANDMARKS, PHOTO_MASKS
from facemill.errors import DataError
from facemill.files import write_json, writing
from facemill.mesh.surface import Mesh
from facemill.mofanerf.head_pose import EYES, LIMIT, HeadPose, fit_pose, require_pose
from facemill.mofanerf.lighting import NEUTRAL, Light, estimate_light, relit
from facemill.mofanerf.photo_files import Photo, beside, read_landmarks, read_mask, read_photo
from facemill.mofanerf.photo_mask import estimate_mask, hull_mask
from facemill.render.cameras import Camera, pinhole
from facemill.render.pixels import eight_bit
from facemill.render.views import DISTANCE, FOCAL, HEAD_CENTRE, SIZE

FindLandmarks = Callable[[UInt8[np.ndarray, "h w 3"]], Float[np.ndarray, "68 2"]]
"""From an upright photo to its 68 image points: a detector."""

LEAST_EYES = 16.0
"""Pixels between the outer eye corners below which a face in a photo is too small."""


@dataclass(frozen=True)
class PreparedPhoto:
    """A photo in the canonical frame.

    ``colour`` is black outside ``mask``; ``inside`` is where the photo had pixels at all (the rest
    is letterbox); ``camera`` is in the face frame (mm); ``landmarks`` are image points of this
    picture. ``mask_from`` says where the mask is from: file, alpha or estimate.
    """

    colour: UInt8[np.ndarray, "h w 3"]
    mask: Bool[np.ndarray, "h w"]
    inside: Bool[np.ndarray, "h w"]
    camera: Camera
    landmarks: Float[np.ndarray, "68 2"]
    pose: HeadPose
    focal_known: bool
    mask_from: str
    light: Light | None = None


def prepare_photo(
    path: str | Path,
    model_landmarks: Float[np.ndarray, "68 3"],
    size: int = SIZE,
    focal: float | None = None,
    limit: float = LIMIT,
    mesh: Mesh | None = None,
    landmarks: str | Path | None = None,
    mask: str | Path | None = None,
    detect: FindLandmarks | None = None,
) -> PreparedPhoto:
    """Read a photo with the files beside it and bring it into the canonical frame.

    ``model_landmarks`` are 68 landmarks of the face frame (mm): of a mean face, or of the fitted
    one. ``focal`` in pixels of the photo; without it the file's, or a guess. ``limit`` is the
    largest pose residual as a share of the eyes' distance. With ``mesh`` (face frame, fitted or
    mean) the light is estimated on its normals and taken out. ``landmarks`` and ``mask`` name files
    that do not lie beside the photo; ``detect`` finds landmarks where there is no file.

    Raises DataError for files that are missing or wrong and GeometryError for landmarks that no
    pose explains.
    """
    photo = read_photo(path)
    height, width = photo.colour.shape[:2]
    points, source = _landmarks(path, photo, landmarks, detect)
    eyes = float(np.linalg.norm(points[EYES[0]] - points[EYES[1]]))
    extent = float(np.ptp(points, axis=0).max())
    if max(eyes, extent / 2) < LEAST_EYES:
        raise DataError(
            f"{path}: the face is {extent:.0f} pixels large; expected at least "
            f"{2 * LEAST_EYES:.0f}. Give a larger photo."
        )
    intrinsics = pinhole(focal or photo.focal, width, height)
    pose = fit_pose(points, model_landmarks, intrinsics, width, height)
    pose = require_pose(pose, source, limit)
    head, mask_from = _mask(path, photo, points, mask)
    move, camera = canonical(pose.camera, size)
    prepared = PreparedPhoto(
        *_moved(photo.colour, head, move, size),
        camera=camera,
        landmarks=points @ move[:, :2].T + move[:, 2],
        pose=pose,
        focal_known=focal is not None or photo.focal_known,
        mask_from=mask_from,
    )
    return prepared if mesh is None else neutral_light(prepared, mesh)


def canonical(camera: Camera, size: int = SIZE) -> tuple[Float[np.ndarray, "2 3"], Camera]:
    """The similarity of the image plane that brings a photo into the canonical frame.

    Returns the map from the photo's image points to the new ones and the new camera: turning the
    picture is turning the camera about its axis; scale and shift go into the intrinsics.
    """
    middle, depth = camera.project(HEAD_CENTRE[None])
    above, _ = camera.project(HEAD_CENTRE[None] + [[0.0, 50.0, 0.0]])
    up = (above - middle)[0]
    roll = math.atan2(up[0], -up[1]) if np.linalg.norm(up) > 1e-6 else 0.0
    # Near the axis of view 'up' says nothing; seen from far above, it is still the picture's up.
    turn = np.array([[math.cos(-roll), -math.sin(-roll)], [math.sin(-roll), math.cos(-roll)]])
    scale = FOCAL / DISTANCE * size / SIZE * float(depth[0]) / float(camera.intrinsics[0, 0])
    move = np.empty((2, 3))
    move[:, :2] = scale * turn
    move[:, 2] = size / 2 - move[:, :2] @ middle[0]
    intrinsics = np.diag([scale, scale, 1.0]) @ camera.intrinsics
    intrinsics[:2, 2] = move[:, :2] @ camera.intrinsics[:2, 2] + move[:, 2]
    about = np.eye(3)
    about[:2, :2] = turn
    return move, Camera(intrinsics, about @ camera.extrinsics, size, size)


def neutral_light(prepared: PreparedPhoto, mesh: Mesh) -> PreparedPhoto:
    """The photo with its light taken out, by the normals of a mesh in the face frame (mm).

    The light is estimated where landmarks enclose skin; strength and the skin's brightness cannot
    be told apart, so the mean brightness of that region stays.
    """
    normals = seen_normals(mesh, prepared.camera)
    colour = prepared.colour / 255.0
    region = prepared.mask & hull_mask(prepared.landmarks, prepared.mask.shape)
    light = estimate_light(colour, normals, region)
    flat = relit(colour, normals * prepared.mask[..., None], light, NEUTRAL)
    return replace(prepared, colour=eight_bit(flat), light=light)


def seen_normals(mesh: Mesh, camera: Camera) -> Float[np.ndarray, "h w 3"]:
    """Unit normals of a mesh at a camera's pixel centres (face frame), 0 where nothing is seen."""
    from facemill.render.raycast import RayScene, vertex_normals

    hits = RayScene(mesh.vertices, mesh.faces).see(camera)
    normals = hits.interpolate(vertex_normals(mesh.vertices, mesh.faces), mesh.faces)
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
    return hits.scatter(normals).reshape(camera.height, camera.width, 3)


def write_prepared(prepared: PreparedPhoto, picture: str | Path, about: str | Path) -> None:
    """Write the picture (PNG, RGBA: the mask as alpha) and what is known of it (JSON).

    The JSON holds the camera as in a view pack's ``cameras.json``, landmarks, pose residual, where
    focal length and mask are from, and the light's coefficients (null: not estimated).
    """
    from facemill.render.png import png

    alpha = np.where(prepared.mask, 255, 0).astype(np.uint8)
    with writing(picture) as part:
        part.write_bytes(png(np.concatenate([prepared.colour, alpha[..., None]], axis=2)))
    write_json(about, description(prepared))


def description(prepared: PreparedPhoto) -> dict[str, Any]:
    """What :func:`write_prepared` tells of a photo, as plain numbers."""
    camera, light = prepared.camera, prepared.light
    return {
        "camera": {
            "intrinsics": camera.intrinsics.tolist(),
            "extrinsics": camera.extrinsics.tolist(),
            "width": camera.width,
            "height": camera.height,
        },
        "landmarks": prepared.landmarks.tolist(),
        "landmark_residual_pixels": prepared.pose.residual,
        "landmark_residual_relative": prepared.pose.relative,
        "focal_known": prepared.focal_known,
        "mask_from": prepared.mask_from,
        "photo_inside": float(prepared.inside.mean()),
        "light": None if light is None else light.coefficients.tolist(),
    }


def _landmarks(
    path: str | Path, photo: Photo, named: str | Path | None, detect: FindLandmarks | None
) -> tuple[Float[np.ndarray, "68 2"], str]:
    """The photo's 68 image points, and the file (or photo and detector) that they are from."""
    height, width = photo.colour.shape[:2]
    file = named or beside(path, *PHOTO_LANDMARKS)
    if file is not None:
        return read_landmarks(file, width, height), str(file)
    if detect is not None:
        return detect(photo.colour), f"{path} (detected landmarks)"
    raise DataError(
        f"{path}: no landmarks beside it; expected {Path(path).stem}{PHOTO_LANDMARKS[0]} with 68 "
        "rows 'x y' in pixels of the upright photo. Any 68-point detector gives them."
    )


def _mask(
    path: str | Path,
    photo: Photo,
    landmarks: Float[np.ndarray, "68 2"],
    named: str | Path | None,
) -> tuple[Bool[np.ndarray, "h w"], str]:
    """The head's pixels: from a file, the photo's alpha, or an estimate."""
    height, width = photo.colour.shape[:2]
    file = named or beside(path, *PHOTO_MASKS)
    if file is not None:
        mask, source = read_mask(file, width, height), "file"
    elif photo.alpha is not None and photo.alpha.min() < 128 <= photo.alpha.max():
        mask, source = photo.alpha > 127, "alpha"
    else:
        return estimate_mask(photo.colour, landmarks), "estimate"
    face = hull_mask(landmarks, (height, width))
    share = float((mask & face).sum() / max(int(face.sum()), 1))
    if share < 0.5:
        raise DataError(
            f"{file or path}: the mask covers {100 * share:.0f} % of the face that the landmarks "
            "enclose. Is it inverted, or of another photo? White (or opaque) marks the head."
        )
    return mask, source


def _moved(
    colour: UInt8[np.ndarray, "h w 3"],
    mask: Bool[np.ndarray, "h w"],
    move: Float[np.ndarray, "2 3"],
    size: int,
) -> tuple[UInt8[np.ndarray, "s s 3"], Bool[np.ndarray, "s s"], Bool[np.ndarray, "s s"]]:
    """Colours (black outside the mask), mask and what was inside the photo, all after the move.

    Where the photo shrinks it is blurred first, so that no detail turns into noise.
    """
    scale = float(np.sqrt(abs(np.linalg.det(move[:, :2]))))
    sigma = 0.5 * math.sqrt(max(1.0 / scale**2 - 1.0, 0.0))
    back = np.linalg.inv(move[:, :2])
    rows, columns = np.indices((size, size))
    points = np.stack([columns, rows], axis=-1).reshape(-1, 2) + 0.5
    x, y = back @ (points - move[:, 2]).T
    place = np.stack([y, x]) - 0.5
    height, width = mask.shape
    inside = ((x >= 0) & (x <= width) & (y >= 0) & (y <= height)).reshape(size, size)

    def sampled(values: np.ndarray) -> np.ndarray:
        soft = ndimage.gaussian_filter(values.astype(np.float32), sigma) if sigma else values
        soft = soft.astype(np.float32)
        return ndimage.map_coordinates(soft, place, order=1, mode="nearest").reshape(size, size)

    seen = inside & (sampled(mask.astype(np.float32)) > 0.5)
    channels = np.stack([sampled(colour[..., c]) for c in range(3)], axis=2)
    pixels = np.clip(np.round(channels), 0, 255).astype(np.uint8)
    return pixels * seen[..., None], seen, inside
