"""Where rays are expected to meet the head: the predicted mesh, cast once an image."""

import numpy as np
from jaxtyping import Float32
from scipy.ndimage import distance_transform_edt

from facemill.mesh.surface import Mesh
from facemill.render.cameras import Camera
from facemill.render.raycast import RayScene


def expected_depth(mesh: Mesh, camera: Camera, margin: float) -> Float32[np.ndarray, "h w"]:
    """Depth (mm) of ``mesh`` (face frame) at the pixel centres; 0 where no surface is near.

    Pixels beside the silhouette by up to ``margin`` mm take the depth of the nearest pixel on it,
    so that a head that is larger than predicted is not cut off.
    """
    hits = RayScene(mesh.vertices, mesh.faces, "predicted surface").see(camera)
    shape = (camera.height, camera.width)
    depth = hits.scatter(hits.distance.astype(np.float32)).reshape(shape)
    seen = depth > 0
    if not seen.any():
        return depth
    away, (row, column) = distance_transform_edt(~seen, return_indices=True)
    pixel = float(np.median(depth[seen])) / float(camera.intrinsics[0, 0])
    near = away * pixel <= margin
    return np.where(near, depth[row, column], 0.0).astype(np.float32)
