"""The frontal picture of a mesh that NFS's networks look at: one channel of flat shading."""

import numpy as np
from jaxtyping import UInt8

from facemill.mesh.normals import face_normals_and_areas
from facemill.mesh.surface import Mesh
from facemill.render.cameras import look_at
from facemill.render.raycast import RayScene

CAMERA_DISTANCE, FIELD_OF_VIEW, LIGHT_DISTANCE = 2.5, 60.0, 6.0
"""Canonical units and degrees: camera and point light stand on +z before the face (NFS release)."""

AMBIENT, DIFFUSE, GREY = 0.5, 0.5, 0.5
"""Light and colour of the skin; no gloss (grey as in the release, the light's shares ours)."""


def frontal_picture(mesh: Mesh, size: int = 256) -> UInt8[np.ndarray, "size size"]:
    """How dark a mesh (canonical units) looks from the front, 0 to 255; the background is 0.

    Each pixel shows the one face its centre meets, flatly shaded and inverted, as in the release;
    faces seen from behind show nothing. The release's three channels are equal, so one is kept.
    """
    focal = size / 2 / np.tan(np.radians(FIELD_OF_VIEW / 2))
    camera = look_at(np.array([0.0, 0.0, CAMERA_DISTANCE]), np.zeros(3), focal, size, size)
    hits = RayScene(mesh.vertices, mesh.faces).see(camera, precise=False)
    normals, _ = face_normals_and_areas(mesh)
    middles = np.asarray(mesh.vertices, np.float64)[mesh.faces].mean(axis=1)
    to_light = np.array([0.0, 0.0, LIGHT_DISTANCE]) - middles
    to_light /= np.linalg.norm(to_light, axis=1, keepdims=True)
    cosine = np.clip((normals * to_light).sum(axis=1), 0.0, 1.0)
    dark = 1.0 - GREY * (AMBIENT + DIFFUSE * cosine)
    dark[(normals * (camera.centre - middles)).sum(axis=1) <= 0] = 0.0
    levels = np.round(255.0 * dark[hits.face]).astype(np.uint8)
    return hits.scatter(levels).reshape(size, size)
