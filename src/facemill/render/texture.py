"""Textures: from uv to texels and back, bilinear lookup.

Row 0 is v = 1; texel (row r, column c) of an H x W image has its centre at u = (c + 0.5) / W,
v = 1 - (r + 0.5) / H. :func:`texels` is the one place where this is written down.
"""

import numpy as np
from jaxtyping import Float, Float32, UInt8


def texels(uv: Float[np.ndarray, "*n 2"], height: int, width: int) -> Float[np.ndarray, "*n 2"]:
    """Continuous (row, column) of uv, where whole numbers are texel centres."""
    return np.stack([(1.0 - uv[..., 1]) * height - 0.5, uv[..., 0] * width - 0.5], axis=-1)


def texel_uv(
    texel: Float[np.ndarray, "*n 2"], height: int, width: int
) -> Float[np.ndarray, "*n 2"]:
    """uv of continuous (row, column): the inverse of :func:`texels`."""
    return np.stack([(texel[..., 1] + 0.5) / width, 1.0 - (texel[..., 0] + 0.5) / height], axis=-1)


def lookup(
    texture: UInt8[np.ndarray, "h w c"] | Float32[np.ndarray, "h w c"],
    uv: Float[np.ndarray, "n 2"],
) -> Float32[np.ndarray, "n c"]:
    """Bilinear values at uv, clamped to the border; same numbers (0 to 255, say) as the texture."""
    height, width, channels = texture.shape
    texel = texels(uv.astype(np.float32), height, width)
    row = np.clip(texel[:, 0], 0, height - 1)
    column = np.clip(texel[:, 1], 0, width - 1)
    top = np.minimum(row.astype(np.int64), max(height - 2, 0))
    left = np.minimum(column.astype(np.int64), max(width - 2, 0))
    down, right = (row - top)[:, None], (column - left)[:, None]
    flat = texture.reshape(-1, channels)
    corner = top * width + left
    step_down = width if height > 1 else 0
    step_right = 1 if width > 1 else 0
    upper = flat[corner] * (1 - right) + flat[corner + step_right] * right
    corner += step_down
    lower = flat[corner] * (1 - right) + flat[corner + step_right] * right
    return (upper * (1 - down) + lower * down).astype(np.float32)


def reduced(texture: UInt8[np.ndarray, "h w c"], factor: int) -> UInt8[np.ndarray, "h2 w2 c"]:
    """The texture averaged over blocks of ``factor`` x ``factor`` texels, uv unchanged.

    Looking up a texture much finer than the image would pick single texels and flicker between
    views; a power of two that divides the texture keeps texel centres exact.
    """
    if factor == 1:
        return texture
    height, width, channels = texture.shape
    blocks = texture.reshape(height // factor, factor, width // factor, factor, channels)
    return np.round(blocks.mean(axis=(1, 3), dtype=np.float32)).astype(np.uint8)


def reduction(texture_shape: tuple[int, int], texels_per_pixel: float) -> int:
    """Largest power of two that divides the texture and leaves a texel for every pixel."""
    factor = 1
    while factor * 2 <= texels_per_pixel and all(n % (factor * 2) == 0 for n in texture_shape):
        factor *= 2
    return factor
