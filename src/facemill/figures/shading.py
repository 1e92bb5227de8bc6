"""Shaded pictures of meshes: soft key, fill and rim light, ambient occlusion, no GPU.

Lights stand still relative to the camera, as in a portrait studio, so a head is lit alike from
every side. Lighting is computed in linear light and shown as sRGB.
"""

import numpy as np
from jaxtyping import Float, Float32, UInt8

from facemill.figures.colours import from_srgb, to_srgb
from facemill.mesh.surface import Mesh
from facemill.render.cameras import Camera, Number, orbit
from facemill.render.mesh_view import texels_per_pixel
from facemill.render.raycast import Hits, RayScene, vertex_normals
from facemill.render.texture import lookup, reduced, reduction

CLAY = np.array([206, 198, 190], np.uint8)
"""Albedo of a mesh without colours of its own (sRGB)."""

# Camera axes (x right, y down, z forward), pointing from the surface to the light.
KEY = np.array([-0.55, -0.62, -0.75], np.float32)
FILL = np.array([0.85, -0.05, -0.60], np.float32)
RIM = np.array([0.70, -0.45, 0.55], np.float32)

PORTRAIT_DISTANCE = 1100.0
"""mm; far enough for natural proportions, near enough not to look flat."""

EXPOSURE = 1.12
"""Brings the lightest clay close to white without clipping it."""

FACE_BOX = np.array([[-92.0, -114.0, -40.0], [92.0, 136.0, 42.0]])
"""Box round the face in the face frame (mm), the same for everybody so that sizes compare."""


def portrait_camera(
    points: Float[np.ndarray, "n 3"],
    yaw: Number = 0,
    size: int = 512,
    pitch: Number = 0,
    height: int | None = None,
    margin: float = 1.06,
) -> Camera:
    """A camera 1.1 m away that just sees all ``points`` (mm) in ``size`` x ``height`` pixels.

    Points may be a mesh's vertices or the two corners of a box such as :data:`FACE_BOX`.
    """
    low, high = points.min(axis=0).astype(np.float64), points.max(axis=0).astype(np.float64)
    if len(points) == 2:
        points = np.stack(np.meshgrid(*zip(low, high, strict=True)), axis=-1).reshape(-1, 3)
    height = size if height is None else height
    camera = orbit(yaw, pitch, PORTRAIT_DISTANCE, 1.0, size, height, (low + high) / 2)
    seen, _ = camera.project(points.astype(np.float64))
    low, high = seen.min(axis=0), seen.max(axis=0)
    focal = float(np.min(np.array([size, height]) / np.maximum(high - low, 1e-9))) / margin
    middle = ((low + high) / 2 - [size / 2, height / 2]) * focal
    intrinsics = np.array(
        [[focal, 0, size / 2 - middle[0]], [0, focal, height / 2 - middle[1]], [0, 0, 1]]
    )
    return Camera(intrinsics, camera.extrinsics, size, height)


def shade(
    mesh: Mesh,
    camera: Camera,
    colours: UInt8[np.ndarray, "v 3"] | None = None,
    texture: UInt8[np.ndarray, "h w 3"] | None = None,
    background: tuple[int, int, int] | None = None,
    contrast: float = 1.0,
    occlusion: bool = True,
    samples: int = 2,
) -> UInt8[np.ndarray, "r c 4"]:
    """Picture of ``mesh`` as RGBA with straight alpha, or opaque on ``background`` (sRGB).

    Coloured by ``texture`` (needs uv), else by vertex ``colours``, else like clay. ``contrast``
    below 1 flattens the light, so that colours which mean something (errors) stay readable.
    ``samples`` x ``samples`` rays per pixel.
    """
    fine = camera.resized(camera.width * samples, camera.height * samples)
    scene = RayScene(mesh.vertices, mesh.faces)
    # Colours need no more than single precision, from the rays on.
    rays = fine.rays
    hits = scene.see(fine, rays, precise=False)
    normals = vertex_normals(mesh.vertices, mesh.faces)
    openness = ambient_openness(scene, normals) if occlusion else np.ones(len(normals))
    values = np.concatenate([normals, openness[:, None]], axis=1).astype(np.float32)
    seen = hits.interpolate(values, mesh.faces)
    towards = -rays[hits.rays]
    light, gloss = studio_light(seen[:, :3], towards, seen[:, 3], camera)
    flat = light.mean() if len(light) else 1.0
    light = flat + contrast * (light - flat)
    albedo = from_srgb(_albedo(mesh, fine, hits, colours, texture))
    radiance = albedo * light + contrast * gloss[:, None]
    return _developed(hits.scatter(radiance), hits.mask, fine, samples, background)


def _albedo(
    mesh: Mesh,
    camera: Camera,
    hits: Hits,
    colours: UInt8[np.ndarray, "v 3"] | None,
    texture: UInt8[np.ndarray, "h w 3"] | None,
) -> Float32[np.ndarray, "n 3"]:
    """sRGB albedo (0 to 255) at the hits."""
    if texture is not None and mesh.uv is not None and mesh.faces_uv is not None:
        finer = texels_per_pixel(mesh, texture.shape[:2], camera)
        texture = reduced(texture, reduction(texture.shape[:2], finer))
        return lookup(texture, hits.interpolate(mesh.uv, mesh.faces_uv))
    if colours is not None:
        return hits.interpolate(colours.astype(np.float32), mesh.faces)
    return np.broadcast_to(CLAY.astype(np.float32), (len(hits.rays), 3))


def studio_light(
    normals: Float32[np.ndarray, "h 3"],
    towards: Float32[np.ndarray, "h 3"],
    openness: Float32[np.ndarray, " h"],
    camera: Camera,
) -> tuple[Float32[np.ndarray, "h 3"], Float32[np.ndarray, " h"]]:
    """Diffuse light (linear, about 0 to 1) and gloss at surface points.

    ``towards`` leads from the point to the camera; a normal that looks away is turned round, so
    that open sheets show their back, darker. ``openness`` is the unoccluded share of the sky.
    """
    normals, towards = _unit(normals), _unit(towards)
    facing = np.einsum("ij,ij->i", normals, towards)
    back = facing < 0
    normals = np.where(back[:, None], -normals, normals)
    facing = np.abs(facing)
    axes = camera.extrinsics[:, :3].astype(np.float32)
    key, fill, rim = (axes.T @ (d / np.linalg.norm(d)) for d in (KEY, FILL, RIM))
    sky = 0.5 + 0.5 * normals @ -axes[1]
    shadowed = 0.35 + 0.65 * openness
    ambient = openness * (0.16 + 0.16 * sky)
    # Wrapped lambert: light reaches a little round the edge, as it does under the skin.
    diffuse = 0.72 * shadowed * _wrapped(normals @ key, 0.35)
    diffuse_fill = 0.20 * openness * _wrapped(normals @ fill, 0.5)
    edge = (1.0 - facing) ** 3
    rim_light = 0.55 * edge * np.maximum(normals @ rim, 0.0)
    warm = np.array([1.03, 1.0, 0.96], np.float32)
    cool = np.array([0.95, 0.99, 1.05], np.float32)
    light = EXPOSURE * (
        (diffuse + ambient)[:, None] * warm + (diffuse_fill + rim_light)[:, None] * cool
    )
    half = _unit(key + towards)
    gloss = 0.05 * openness * np.maximum(np.einsum("ij,ij->i", normals, half), 0.0) ** 24
    return np.where(back[:, None], 0.45 * light, light), np.where(back, 0.0, gloss)


def _unit(vectors: Float32[np.ndarray, "n 3"]) -> Float32[np.ndarray, "n 3"]:
    """Vectors of length 1; zero stays zero."""
    length = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
    return vectors / np.maximum(length, 1e-12)[:, None]


def _wrapped(cosine: np.ndarray, wrap: float) -> np.ndarray:
    return np.maximum((cosine + wrap) / (1.0 + wrap), 0.0) ** 1.4


def ambient_openness(
    scene: RayScene, normals: Float[np.ndarray, "v 3"], directions: int = 48
) -> Float[np.ndarray, " v"]:
    """Share of the sky (cosine weighted) that each vertex sees, 0 to 1.

    The same fixed directions are used about every normal, so the result is smooth, not noisy.
    """
    # Fibonacci spiral on the disk, lifted to the hemisphere: cosine weighted (Malley's method).
    index = np.arange(directions) + 0.5
    radius, angle = np.sqrt(index / directions), index * np.pi * (3.0 - np.sqrt(5.0))
    local = np.stack([radius * np.cos(angle), radius * np.sin(angle), np.sqrt(1 - radius**2)], 1)
    # Tangent frames without a jump except at one point (Duff et al. 2017).
    x, y, z = normals.T
    sign = np.where(z >= 0, 1.0, -1.0)
    a = -1.0 / (sign + z)
    b = x * y * a
    first = np.stack([1.0 + sign * x * x * a, sign * b, -sign * x], axis=1)
    second = np.stack([b, sign + y * y * a, -y], axis=1)
    frames = np.stack([first, second, normals], axis=1).astype(np.float32)
    rays = np.einsum("dk,vkc->vdc", local.astype(np.float32), frames).reshape(-1, 3)
    # Rays start a little off the surface, lest they hit the faces round their own vertex.
    start = (scene.vertices + 0.3 * normals).astype(np.float32)
    blocked = scene.blocked(np.repeat(start, directions, axis=0), rays)
    return 1.0 - blocked.reshape(-1, directions).mean(axis=1)


def _developed(
    radiance: Float32[np.ndarray, "p 3"],
    mask: np.ndarray,
    camera: Camera,
    samples: int,
    background: tuple[int, int, int] | None,
) -> UInt8[np.ndarray, "r c 4"]:
    """Average the samples of each pixel in linear light and convert to sRGB."""
    shape = (camera.height // samples, samples, camera.width // samples, samples)
    colour = radiance.reshape(*shape, 3).mean(axis=(1, 3))
    alpha = mask.reshape(shape).mean(axis=(1, 3), dtype=np.float32)[..., None]
    if background is None:
        rgb = to_srgb(colour / np.maximum(alpha, 1e-6))
        return np.concatenate([rgb, np.round(alpha * 255).astype(np.uint8)], axis=2)
    paper = from_srgb(np.array(background, np.float32))
    rgb = to_srgb(colour + (1.0 - alpha) * paper)
    return np.concatenate([rgb, np.full_like(rgb[..., :1], 255)], axis=2)
