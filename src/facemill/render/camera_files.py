"""Camera files of others: Blender/MoFaNeRF JSON, FaceScape params.json, DTU, COLMAP text.

Every reader returns :class:`~facemill.render.cameras.Camera` by name; every writer takes the same.
Axes and half pixels are converted here and nowhere else.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from facemill.data.expressions import EXPRESSIONS
from facemill.errors import DataError
from facemill.files import read_json, reading_npz, require_file, write_json, write_npz, writing
from facemill.mesh.frames import FACE_TO_MOFANERF, Similarity
from facemill.render.cameras import OPENGL_AXES, Camera, pinhole

HINT = "Export the cameras again."

TO_HALF_PIXELS = np.array([[1.0, 0.0, 0.5], [0.0, 1.0, 0.5], [0.0, 0.0, 1.0]])
"""Image points counted from the first pixel's centre to points counted from its corner."""

TO_WHOLE_PIXELS = np.array([[1.0, 0.0, -0.5], [0.0, 1.0, -0.5], [0.0, 0.0, 1.0]])
"""The way back."""


# Blender / MoFaNeRF: camera to world, OpenGL axes, one opening angle for all views


def write_transforms(
    path: str | Path,
    views: Mapping[str, Mapping[str, Camera]],
    person: str,
    to_scene: Similarity = FACE_TO_MOFANERF,
) -> None:
    """Write MoFaNeRF's ``transforms_<split>_<id>.json``.

    ``views`` holds cameras by expression (``1_neutral``) and view name (``-30_0``). A frame's
    ``file_path`` is ``/<id>/<expression without its number>/<view>``, its ``expression`` counts
    from 0 in FaceScape's order; matrices are camera to world in the scene's frame
    (``FACE_TO_MOFANERF``: units of 50 mm, the cameras turn about the origin).
    """
    write_json(path, transforms(views, person, to_scene))


def transforms(
    views: Mapping[str, Mapping[str, Camera]],
    person: str,
    to_scene: Similarity = FACE_TO_MOFANERF,
) -> dict[str, Any]:
    """The content of :func:`write_transforms` as plain lists and numbers."""
    angles = {
        2.0 * math.atan(camera.width / (2.0 * float(camera.intrinsics[0, 0])))
        for cameras in views.values()
        for camera in cameras.values()
    }
    if not angles or max(angles) - min(angles) > 1e-9:
        raise DataError(
            f"transforms of {person}: {len(angles)} different opening angles; this format holds "
            "exactly one. Write one file per focal length."
        )
    frames = [
        {
            "file_path": f"/{person}/{expression.split('_', 1)[1]}/{name}",
            "expression": EXPRESSIONS.index(expression),
            "transform_matrix": scene_pose(camera, to_scene).tolist(),
        }
        for expression, cameras in views.items()
        for name, camera in cameras.items()
    ]
    return {"camera_angle_x": angles.pop(), "frames": frames}


def scene_pose(camera: Camera, to_scene: Similarity) -> Float[np.ndarray, "4 4"]:
    """Camera to scene, OpenGL axes; the rotation stays free of the scene's scale."""
    pose = camera.camera_to_world
    pose[:3, :3] = to_scene.rotation @ pose[:3, :3] @ OPENGL_AXES
    pose[:3, 3] = to_scene.apply(camera.centre)
    return pose


def read_transforms(
    path: str | Path, width: int, height: int, to_scene: Similarity = FACE_TO_MOFANERF
) -> dict[str, Camera]:
    """Cameras by ``file_path`` from a Blender-style JSON, back in the face frame (mm).

    The format does not say how large the images are, hence ``width`` and ``height``.
    """
    content = read_json(path, HINT)
    try:
        focal = width / (2.0 * math.tan(content["camera_angle_x"] / 2.0))
        poses = {f["file_path"]: np.array(f["transform_matrix"], float) for f in content["frames"]}
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path}: not a transforms file ({error!r}). {HINT}") from None
    back = to_scene.inverse()
    cameras = {}
    for name, pose in poses.items():
        if pose.shape != (4, 4):
            raise DataError(f"{path}: {name} has a matrix of shape {pose.shape}, expected (4, 4).")
        rotation = (back.rotation @ pose[:3, :3] @ OPENGL_AXES).T
        translation = -rotation @ back.apply(pose[:3, 3])
        extrinsics = np.concatenate([rotation, translation[:, None]], axis=1)
        camera = Camera(pinhole(focal, width, height), extrinsics, width, height)
        cameras[name] = camera.check(f"{path}: {name}")
    return cameras


# FaceScape multi-view: nine keys a view

FACESCAPE_KEYS = ("K", "Rt", "distortion", "width", "height", "matches", "valid", "sn", "ori")


def write_params(path: str | Path, cameras: Sequence[Camera]) -> None:
    """Write FaceScape's ``params.json``: nine keys ``<view>_K`` … per camera, no distortion.

    FaceScape's documents do not say where a pixel's centre lies. Its distortion coefficients stand
    in OpenCV's order, so OpenCV's first centre at 0 is assumed: half a pixel less than here.
    """
    content: dict[str, Any] = {}
    for view, camera in enumerate(cameras):
        values = (
            (TO_WHOLE_PIXELS @ camera.intrinsics).tolist(),
            camera.extrinsics.tolist(),
            [0.0] * 5,
            camera.width,
            camera.height,
            0,
            True,
            f"view{view:03d}",
            f"{view}.jpg",
        )
        content |= {f"{view}_{key}": v for key, v in zip(FACESCAPE_KEYS, values, strict=True)}
    write_json(path, content)


def read_params(path: str | Path) -> dict[int, Camera]:
    """Valid cameras by view number from FaceScape's ``params.json``.

    Views marked not valid are left out. The matrices are those of the undistorted image; images
    have to be undistorted with ``<view>_distortion`` before pixels are compared.
    """
    content = read_json(path, HINT)
    views = sorted({int(key.split("_")[0]) for key in content if key.split("_")[0].isdecimal()})
    if not views:
        raise DataError(f"{path}: no key of the form '0_K'; not a FaceScape camera file. {HINT}")
    cameras = {}
    for view in views:
        try:
            if not content.get(f"{view}_valid", True):
                continue
            intrinsics = TO_HALF_PIXELS @ np.array(content[f"{view}_K"], float)[:3, :3]
            extrinsics = np.array(content[f"{view}_Rt"], float)[:3, :4]
            size = int(content[f"{view}_width"]), int(content[f"{view}_height"])
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise DataError(
                f"{path}: view {view} cannot be read ({error!r}); expected K (3 x 3 or 4 x 4), "
                f"Rt (3 x 4), width and height. {HINT}"
            ) from None
        cameras[view] = Camera(intrinsics, extrinsics, *size).check(f"{path}: view {view}")
    return cameras


# DTU as used by IDR: 4 x 4 projections and the unit sphere


def write_dtu(
    path: str | Path, cameras: Sequence[Camera], unit_sphere_to_world: Similarity
) -> None:
    """Write IDR's ``cameras.npz``: ``world_mat_i`` = K [R | t], ``scale_mat_i`` = sphere to world.

    IDR sends its rays through whole pixel coordinates, so the first pixel's centre is at 0.
    """
    arrays = {}
    for view, camera in enumerate(cameras):
        world = np.eye(4)
        world[:3] = TO_WHOLE_PIXELS @ camera.intrinsics @ camera.extrinsics
        arrays[f"world_mat_{view}"] = world
        arrays[f"scale_mat_{view}"] = unit_sphere_to_world.matrix
    write_npz(path, arrays)


def read_dtu(path: str | Path, width: int, height: int) -> tuple[list[Camera], Similarity]:
    """Cameras in world units and the unit sphere's similarity to the world from ``cameras.npz``."""
    with reading_npz(path, HINT) as arrays:
        count = sum(key.startswith("world_mat_") and "inv" not in key for key in arrays.files)
        worlds = [np.asarray(arrays[f"world_mat_{view}"], float) for view in range(count)]
        sphere = np.asarray(arrays["scale_mat_0"], float)
    cameras = []
    for view, world in enumerate(worlds):
        intrinsics, extrinsics = decompose_projection(world[:3, :4])
        camera = Camera(TO_HALF_PIXELS @ intrinsics, extrinsics, width, height)
        cameras.append(camera.check(f"{path}: view {view}"))
    return cameras, Similarity.from_matrix(sphere)


def decompose_projection(
    projection: Float[np.ndarray, "3 4"],
) -> tuple[Float[np.ndarray, "3 3"], Float[np.ndarray, "3 4"]]:
    """Intrinsics and [R | t] of a projection matrix known up to scale (RQ decomposition).

    Signs are chosen so that focal lengths are positive and R is a proper rotation
    (Hartley and Zisserman, Multiple View Geometry, section 6.2.4).
    """
    from scipy.linalg import rq

    projection = projection * np.sign(np.linalg.det(projection[:, :3]))
    upper, rotation = rq(projection[:, :3])
    signs = np.diag(np.sign(np.diag(upper)))
    upper, rotation = upper @ signs, signs @ rotation
    translation = np.linalg.solve(upper, projection[:, 3])
    return upper / upper[2, 2], np.concatenate([rotation, translation[:, None]], axis=1)


# COLMAP text model: cameras.txt and images.txt, pixel centres at +0.5 as here


def write_colmap(folder: str | Path, cameras: Mapping[str, Camera]) -> None:
    """Write ``cameras.txt`` (a PINHOLE camera per image) and ``images.txt`` (poses, no points)."""
    folder = Path(folder)
    lines = ["# CAMERA_ID MODEL WIDTH HEIGHT fx fy cx cy"]
    images = ["# IMAGE_ID QW QX QY QZ TX TY TZ CAMERA_ID NAME; an empty line of points follows"]
    for number, (name, camera) in enumerate(cameras.items(), start=1):
        k = camera.intrinsics
        if abs(k[0, 1]) > 1e-9:
            raise DataError(f"{name}: a skew of {k[0, 1]:.3g}; COLMAP's PINHOLE model has none.")
        values = (k[0, 0], k[1, 1], k[0, 2], k[1, 2])
        lines.append(f"{number} PINHOLE {camera.width} {camera.height} {_numbers(values)}")
        pose = [*quaternion(camera.extrinsics[:, :3]), *camera.extrinsics[:, 3]]
        images += [f"{number} {_numbers(pose)} {number} {name}", ""]
    for file, content in (("cameras.txt", lines), ("images.txt", images)):
        with writing(folder / file) as part:
            part.write_text("\n".join(content) + "\n", encoding="utf-8")


def read_colmap(folder: str | Path) -> dict[str, Camera]:
    """Cameras by image name from COLMAP's text model (PINHOLE and SIMPLE_PINHOLE)."""
    folder = Path(folder)
    path = folder / "cameras.txt"
    try:
        lenses = dict(_colmap_lens(line, path) for line in _lines(path))
        path = folder / "images.txt"
        # After every image line stands one line of its points, which may be empty.
        images = [line.split(maxsplit=9) for line in _lines(path, every_other=True)]
        poses = [(name, number, np.array(pose, float)) for _, *pose, number, name in images]
    except ValueError as error:
        raise DataError(f"{path}: a line cannot be read ({error}). {HINT}") from None
    cameras = {}
    for name, number, pose in poses:
        if number not in lenses:
            raise DataError(f"{path}: {name} names camera {number}, which is not listed. {HINT}")
        extrinsics = np.concatenate([rotation_matrix(pose[:4]), pose[4:, None]], axis=1)
        cameras[name] = Camera(lenses[number][0], extrinsics, *lenses[number][1]).check(name)
    return cameras


def _colmap_lens(line: str, path: Path) -> tuple[str, tuple[np.ndarray, tuple[int, int]]]:
    """Camera id, intrinsics and size from a line of cameras.txt."""
    number, model, width, height, *values = line.split()
    if model not in ("PINHOLE", "SIMPLE_PINHOLE"):
        raise DataError(
            f"{path}: camera {number} is of model {model}; expected PINHOLE or SIMPLE_PINHOLE. "
            "Undistort the images with COLMAP first."
        )
    *focal, cx, cy = map(float, values)
    matrix = np.array([[focal[0], 0.0, cx], [0.0, focal[-1], cy], [0.0, 0.0, 1.0]])
    return number, (matrix, (int(width), int(height)))


def quaternion(rotation: Float[np.ndarray, "3 3"]) -> Float[np.ndarray, "4"]:
    """Unit quaternion (w, x, y, z) of a rotation matrix, w not negative."""
    from scipy.spatial.transform import Rotation

    x, y, z, w = Rotation.from_matrix(rotation).as_quat(canonical=True)
    return np.array([w, x, y, z])


def rotation_matrix(wxyz: Float[np.ndarray, "4"]) -> Float[np.ndarray, "3 3"]:
    """Rotation matrix of a quaternion (w, x, y, z)."""
    from scipy.spatial.transform import Rotation

    return Rotation.from_quat(np.roll(wxyz, -1)).as_matrix()


def _numbers(values: Sequence[float]) -> str:
    return " ".join(f"{float(value):.17g}" for value in values)


def _lines(path: Path, every_other: bool = False) -> list[str]:
    text = require_file(path, HINT).read_text(encoding="utf-8").splitlines()
    lines = [line.strip() for line in text if not line.startswith("#")]
    return lines[::2] if every_other else [line for line in lines if line]
