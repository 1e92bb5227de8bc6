"""One textured mesh seen by one camera: unlit colours, mask, depth and normals.

Mask, depth and normals are those of the exact pixel centres. Colours are softened only where one
pixel sees two depths (nose before cheek, silhouettes), and the texture is averaged down to the
image's resolution beforehand: that is all the antialiasing an unlit image needs, at a fifth of the
rays of plain supersampling.
"""

import numpy as np
from jaxtyping import Bool, Float32, UInt8, UInt16

from facemill.mesh.surface import Mesh
from facemill.render.cameras import Camera
from facemill.render.raycast import Hits, RayScene, vertex_normals
from facemill.render.texture import lookup, reduced, reduction
from facemill.render.view_pack import DEPTH_UNITS


class MeshView:
    """A textured mesh made ready to be seen by many cameras of about one resolution."""

    def __init__(
        self, mesh: Mesh, texture: UInt8[np.ndarray, "h w 3"], camera: Camera, name: str = "mesh"
    ):
        self.scene = RayScene(mesh.vertices, mesh.faces, name)
        self.faces = mesh.faces
        self.normals = vertex_normals(mesh.vertices, mesh.faces).astype(np.float32)
        self.uv = mesh.uv if mesh.uv is not None else np.zeros((1, 2), np.float32)
        self.faces_uv = mesh.faces_uv if mesh.faces_uv is not None else np.zeros_like(mesh.faces)
        finer = texels_per_pixel(mesh, texture.shape[:2], camera)
        self.texture = reduced(texture, reduction(texture.shape[:2], finer))

    def render(
        self, camera: Camera
    ) -> tuple[UInt8[np.ndarray, "h w 4"], UInt16[np.ndarray, "h w"], UInt8[np.ndarray, "h w 3"]]:
        """RGBA image (straight alpha = mask), depth in 1/32 mm, normals as (n + 1) / 2."""
        shape = (camera.height, camera.width)
        hits = self.scene.see(camera)
        colours = self._colours(hits)
        self._soften(colours, hits, camera)
        opaque = np.full((len(colours), 1), 255, np.uint8)
        rgba = np.concatenate([np.round(colours).astype(np.uint8), opaque], axis=1)
        depth = np.round(hits.distance * DEPTH_UNITS).astype(np.uint16)
        normals = hits.interpolate(self.normals, self.faces)
        normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
        packed = np.round((normals + 1.0) * 127.5).astype(np.uint8)
        return (
            hits.scatter(rgba).reshape(*shape, 4),
            hits.scatter(depth).reshape(shape),
            hits.scatter(packed).reshape(*shape, 3),
        )

    def _colours(self, hits: Hits) -> Float32[np.ndarray, "h 3"]:
        return lookup(self.texture, hits.interpolate(self.uv, self.faces_uv))

    def _soften(self, colours: Float32[np.ndarray, "h 3"], hits: Hits, camera: Camera) -> None:
        """Replace, in place, colours at depth edges by the mean of what 2 x 2 finer rays hit."""
        edges = depth_edges(hits, camera)[hits.rays]
        pixels = camera.image_points(hits.rays[edges])
        if len(pixels) == 0:
            return
        quarter = np.array([[-0.25, -0.25], [0.25, -0.25], [-0.25, 0.25], [0.25, 0.25]])
        finer = (pixels[:, None] + quarter).reshape(-1, 2)
        fine = self.scene.see(camera, camera.directions(finer).astype(np.float32), precise=False)
        total = fine.scatter(self._colours(fine)).reshape(-1, 4, 3).sum(axis=1)
        count = fine.mask.reshape(-1, 4).sum(axis=1)
        colours[edges] = np.where(
            count[:, None] > 0, total / np.maximum(count, 1)[:, None], colours[edges]
        )


def depth_edges(hits: Hits, camera: Camera) -> Bool[np.ndarray, " p"]:
    """Pixels beside the background or beside a jump in depth of more than four pixel widths."""
    if len(hits.distance) == 0:
        return hits.mask
    depth = hits.scatter(hits.distance, background=np.inf).reshape(camera.height, camera.width)
    threshold = 4.0 * float(np.median(hits.distance)) / float(camera.intrinsics[0, 0])
    edge = np.zeros(depth.shape, bool)
    with np.errstate(invalid="ignore"):
        across = np.abs(np.diff(depth, axis=1)) > threshold
        down = np.abs(np.diff(depth, axis=0)) > threshold
    edge[:, 1:] |= across
    edge[:, :-1] |= across
    edge[1:] |= down
    edge[:-1] |= down
    return edge.ravel()


def texels_per_pixel(mesh: Mesh, texture_shape: tuple[int, int], camera: Camera) -> float:
    """How many texels lie side by side under one pixel, at the mesh's median triangle."""
    if mesh.uv is None or mesh.faces_uv is None:
        return 1.0
    corners = mesh.vertices[mesh.faces].astype(np.float64)
    area = np.linalg.norm(
        np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1
    )
    uv = mesh.uv[mesh.faces_uv].astype(np.float64)
    a, b = uv[:, 1] - uv[:, 0], uv[:, 2] - uv[:, 0]
    texels = np.abs(a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]) * texture_shape[0] * texture_shape[1]
    valid = (area > 0) & (texels > 0)
    if not valid.any():
        return 1.0
    millimetres_per_texel = np.sqrt(np.median(area[valid] / texels[valid]))
    distance = np.linalg.norm(camera.centre - mesh.vertices.mean(axis=0))
    return float(distance / camera.intrinsics[0, 0] / millimetres_per_texel)
