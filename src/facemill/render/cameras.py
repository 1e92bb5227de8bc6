"""Pinhole cameras: project, unproject, cast rays, stand somewhere and look at something.

Axes are OpenCV's (x right, y down, z forward), extrinsics map world to camera, and pixel (row r,
column c) has its centre at image point (c + 0.5, r + 0.5). Other conventions live in
:mod:`facemill.render.camera_files`, which converts at the border.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float, Float32, Int

from facemill.errors import DataError

Number = float | int

OPENGL_AXES = np.diag([1.0, -1.0, -1.0])
"""OpenCV camera axes to OpenGL's (x right, y up, z backward) and back; its own inverse."""


@dataclass(frozen=True, eq=False)
class Camera:
    """A pinhole camera without distortion.

    ``intrinsics`` in pixels, ``extrinsics`` [R | t] from world (mm) to camera (mm).
    """

    intrinsics: Float[np.ndarray, "3 3"]
    extrinsics: Float[np.ndarray, "3 4"]
    width: int
    height: int

    def check(self, name: str) -> "Camera":
        """Return the camera itself, or raise a DataError if it is no proper pinhole camera."""
        rotation = self.extrinsics[:, :3]
        finite = np.isfinite(self.intrinsics).all() and np.isfinite(self.extrinsics).all()
        if not finite or self.width < 1 or self.height < 1:
            raise DataError(
                f"{name}: camera of {self.width} x {self.height} pixels with "
                f"{'finite' if finite else 'not-a-number'} matrices; expected at least one pixel "
                "and finite numbers. The camera file is damaged."
            )
        off = float(np.abs(rotation @ rotation.T - np.eye(3)).max())
        if off > 1e-4 or np.linalg.det(rotation) < 0:
            raise DataError(
                f"{name}: the camera's rotation is off by {off:.2g} from an orthonormal one "
                f"(determinant {np.linalg.det(rotation):+.3f}); expected a proper rotation. "
                "Check the axes convention of the file."
            )
        return self

    @cached_property
    def centre(self) -> Float[np.ndarray, "3"]:
        """Where the camera stands, mm in the world."""
        return -self.extrinsics[:, :3].T @ self.extrinsics[:, 3]

    @property
    def camera_to_world(self) -> Float[np.ndarray, "4 4"]:
        """Pose with OpenCV axes: camera coordinates to world."""
        pose = np.eye(4)
        pose[:3, :3] = self.extrinsics[:, :3].T
        pose[:3, 3] = self.centre
        return pose

    def project(
        self, points: Float[np.ndarray, "n 3"]
    ) -> tuple[Float[np.ndarray, "n 2"], Float[np.ndarray, " n"]]:
        """Image points (x, y) in pixels and camera z in mm of world points.

        Points with z <= 0 lie behind the camera; their image points mean nothing.
        """
        local = points.astype(np.float64) @ self.extrinsics[:, :3].T + self.extrinsics[:, 3]
        image = local @ self.intrinsics.T
        with np.errstate(divide="ignore", invalid="ignore"):
            return image[:, :2] / image[:, 2:], local[:, 2]

    def unproject(
        self, pixels: Float[np.ndarray, "n 2"], depth: Float[np.ndarray, " n"]
    ) -> Float[np.ndarray, "n 3"]:
        """World points of image points (x, y) at camera z (mm): the inverse of ``project``."""
        return self.centre + self.directions(pixels) * depth[:, None]

    def directions(self, pixels: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "n 3"]:
        """World directions through image points, scaled to camera z = 1.

        So the ray parameter at a hit is its depth, not its distance from the camera.
        """
        homogeneous = np.concatenate([pixels, np.ones((len(pixels), 1))], axis=1)
        return homogeneous @ np.linalg.inv(self.intrinsics).T @ self.extrinsics[:, :3]

    def image_points(self, pixels: Int[np.ndarray, " n"]) -> Float[np.ndarray, "n 2"]:
        """Centres (x, y) of pixels that are numbered row after row."""
        return np.stack([pixels % self.width, pixels // self.width], axis=1) + 0.5

    @property
    def pixel_centres(self) -> Float[np.ndarray, "p 2"]:
        """Image points of all pixel centres, row after row."""
        return self.image_points(np.arange(self.width * self.height))

    @property
    def rays(self) -> Float32[np.ndarray, "p 3"]:
        """Directions (camera z = 1) through all pixel centres, row after row.

        They are the sum of a part for the column and a part for the row, which costs far less than
        going through every pixel, so that nothing need be kept.
        """
        columns = np.stack([np.arange(self.width) + 0.5, np.zeros(self.width)], axis=1)
        rows = np.stack([np.zeros(self.height), np.arange(self.height) + 0.5], axis=1)
        corner = self.directions(np.zeros((1, 2)))
        down, across = self.directions(rows), self.directions(columns) - corner
        return (down[:, None] + across).reshape(-1, 3).astype(np.float32)

    def resized(self, width: int, height: int) -> "Camera":
        """The same view on another number of pixels: the image plane is scaled, nothing is cut."""
        scale = np.diag([width / self.width, height / self.height, 1.0])
        return Camera(scale @ self.intrinsics, self.extrinsics, width, height)

    def turned(self, degrees: Number, target: Float[np.ndarray, "3"]) -> "Camera":
        """The camera walked round the vertical through ``target`` (mm), by ``degrees`` of yaw."""
        rotation = self.extrinsics[:, :3] @ about_vertical(degrees)
        translation = self.extrinsics[:, 3] + (self.extrinsics[:, :3] - rotation) @ target
        extrinsics = np.concatenate([rotation, translation[:, None]], axis=1)
        return Camera(self.intrinsics, extrinsics, self.width, self.height)


def about_vertical(yaw: Number) -> Float[np.ndarray, "3 3"]:
    """What a yaw in degrees multiplies a camera's rotation by, from the right."""
    sine, cosine = np.sin(np.radians(yaw)), np.cos(np.radians(yaw))
    return np.array([[cosine, 0.0, -sine], [0.0, 1.0, 0.0], [sine, 0.0, cosine]])


def pinhole(focal: Number, width: int, height: int) -> Float[np.ndarray, "3 3"]:
    """Intrinsics of square pixels with the principal point in the middle of the image."""
    return np.array([[focal, 0.0, width / 2], [0.0, focal, height / 2], [0.0, 0.0, 1.0]])


def look_at(
    eye: Float[np.ndarray, "3"],
    target: Float[np.ndarray, "3"],
    focal: Number,
    width: int,
    height: int,
    up: Float[np.ndarray, "3"] | None = None,
) -> Camera:
    """Camera at ``eye`` that sees ``target`` (both mm) in the middle, ``up`` (+y) upwards."""
    forward = target - eye
    up = np.array([0.0, 1.0, 0.0]) if up is None else up
    right = np.cross(forward, up)
    if np.linalg.norm(right) < 1e-9 * np.linalg.norm(forward) * np.linalg.norm(up):
        raise DataError(
            "look_at: the viewing direction has no length or is parallel to up; "
            "move the eye or name another up direction."
        )
    forward = forward / np.linalg.norm(forward)
    right = right / np.linalg.norm(right)
    rotation = np.stack([right, np.cross(forward, right), forward])
    extrinsics = np.concatenate([rotation, -(rotation @ eye)[:, None]], axis=1)
    return Camera(pinhole(focal, width, height), extrinsics, width, height)


def orbit(
    yaw: Number,
    pitch: Number,
    distance: Number,
    focal: Number,
    width: int,
    height: int,
    target: Float[np.ndarray, "3"] | None = None,
) -> Camera:
    """Camera on a sphere of ``distance`` mm round ``target`` (the origin), looking at it.

    Angles in degrees. Yaw 0 looks at the face from the front, positive yaw stands on the subject's
    left (+x); positive pitch stands above. This is MoFaNeRF's rotation Rx(pitch) Ry(yaw) (OpenGL
    axes) written with OpenCV axes.
    """
    sin_pitch, cos_pitch = np.sin(np.radians(pitch)), np.cos(np.radians(pitch))
    about_x = np.array([[1, 0, 0], [0, cos_pitch, -sin_pitch], [0, sin_pitch, cos_pitch]])
    rotation = OPENGL_AXES @ about_x @ about_vertical(yaw)
    target = np.zeros(3) if target is None else target
    translation = np.array([0.0, 0.0, distance]) - rotation @ target
    extrinsics = np.concatenate([rotation, translation[:, None]], axis=1)
    return Camera(pinhole(focal, width, height), extrinsics, width, height)
