"""One texture for an ICT head: tiles packed into an atlas, skin recoloured, irises painted.

The model's uv run over seven tiles and the eyeballs lie on top of the face tile, so that every
part gets a cell of its own in one image. The skin is one person's real albedo, recoloured; the
variants are synthetic and nobody's skin.
"""

import logging
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8

from facemill.data.ict import REGIONS, SKIN, IctModel
from facemill.errors import DataError
from facemill.randomness import generator

log = logging.getLogger(__name__)

FACE_ALBEDO, HEAD_ALBEDO = "ict_face_albedo.jpg", "ict_headneck_albedo.jpg"

CELLS = {
    "face": (0, 5, 11, 16),
    "head": (11, 5, 16, 16),
    "eyeball_left": (0, 0, 4, 5),
    "eyeball_right": (4, 0, 8, 5),
    "teeth": (8, 0, 12, 5),
    "gums_tongue": (12, 0, 16, 5),
}
"""Cells of the atlas as (left, bottom, right, top) in sixteenths of its side, v upwards."""
MARGIN = 1.0 / 128.0
"""Border of each cell that repeats its edge, as a share of the atlas: filters never cross cells."""

LIGHT_SKIN, DARK_SKIN = np.array([0.89, 0.74, 0.65]), np.array([0.37, 0.23, 0.16])
IRISES = np.array([[0.28, 0.17, 0.09], [0.40, 0.27, 0.14], [0.36, 0.38, 0.22], [0.33, 0.46, 0.58]])
IRIS_SHARES = (0.45, 0.25, 0.12, 0.18)
MOUTH, SOCKET = np.array([0.42, 0.17, 0.16]), np.array([0.72, 0.48, 0.43])
TEETH, GUMS = np.array([0.88, 0.84, 0.74]), np.array([0.63, 0.32, 0.31])
IRIS_ANGLE, PUPIL_ANGLE = 21.0, 8.0
"""Seen from the eyeball's centre, degrees; the model's eyeball has a radius of 15.5 mm."""
UV_RADIUS = (0.0, 0.017, 0.071, 0.122, 0.170, 0.217, 0.257, 0.326, 0.399, 0.447, 0.496, 0.71)
UV_ANGLE = (0.0, 3.0, 12.9, 23.9, 35.3, 47.3, 57.8, 74.5, 89.0, 98.1, 107.4, 150.0)
"""How the angle from the front pole grows with distance in uv, measured on the mean eyeball."""


def cell_of(region: str) -> str:
    """The cell that holds a region; head, mouth and eye sockets share one tile."""
    return region if region in CELLS else "head"


def atlas_uv(model: IctModel) -> Float[np.ndarray, "t 2"]:
    """The model's tiled uv moved into the cells of the atlas."""
    uv = np.empty_like(model.uv)
    for number, region in enumerate(REGIONS):
        rows = np.unique(model.faces_uv[model.face_region == number])
        tile = np.floor(model.uv[rows].mean(axis=0))
        left, bottom, right, top = (side / 16.0 for side in CELLS[cell_of(region)])
        low = np.array([left, bottom]) + MARGIN
        size = np.array([right - left, top - bottom]) - 2.0 * MARGIN
        uv[rows] = low + (model.uv[rows] - tile) * size
    return uv


def textures_folder(named: str | None, model_folder: str | Path) -> Path | None:
    """Folder with the skin maps, or None: the config's, else ``ict_textures`` beside the model."""
    folder = Path(named) if named else Path(model_folder).parent / "ict_textures"
    there = all((folder / name).is_file() for name in (FACE_ALBEDO, HEAD_ALBEDO))
    if named and not there:
        raise DataError(
            f"ict.textures: {folder} lacks {FACE_ALBEDO} or {HEAD_ALBEDO}. Leave the key out for a "
            "plain skin colour."
        )
    return folder if there else None


def person_texture(
    model: IctModel, textures: Path | None, person: str, size: int, seed: int
) -> UInt8[np.ndarray, "h w 3"]:
    """The texture atlas of one person, ``size`` pixels a side, by seed and name alone."""
    rng = generator(seed, "ict-skin", person)
    if textures is None:
        log.info("%s: no skin maps, painted a plain skin colour (see ict.textures)", person)
        face = head = np.tile(0.5 * (LIGHT_SKIN + DARK_SKIN), (8, 8, 1))
    else:
        from facemill.mesh.io import read_texture

        face = read_texture(textures / FACE_ALBEDO) / 255.0
        head = read_texture(textures / HEAD_ALBEDO) / 255.0
    melanin = rng.beta(1.1, 1.6)
    tone = LIGHT_SKIN + (DARK_SKIN - LIGHT_SKIN) * melanin
    tone = tone * (1.0 + rng.normal(0.0, 0.012, 3))
    # The middle of the face is free of stubble and shadow: its colour is that of the skin.
    rows, columns = face.shape[:2]
    middle = face[rows // 8 : rows // 2, 3 * columns // 8 : 5 * columns // 8]
    gain = tone / np.median(middle, axis=(0, 1))
    offset = rng.normal(0.0, 0.005, 3)
    atlas = np.zeros((size, size, 3))
    _place(atlas, "face", face * gain + offset)
    _place(atlas, "head", _painted_sockets(model, head * gain + offset))
    atlas *= 1.0 + _skin_noise(model, size, rng)
    # Dark skin goes with brown eyes.
    shares = np.array(IRIS_SHARES) * [1.0, *(1.0 - melanin) ** np.array([0.5, 2.0, 2.0])]
    iris = IRISES[rng.choice(len(IRISES), p=shares / shares.sum())] * rng.uniform(0.8, 1.15)
    for eye in ("eyeball_left", "eyeball_right"):
        _place(atlas, eye, eye_image(max(64, size // 2), iris, generator(seed, "ict-eye", person)))
    _place(atlas, "teeth", np.tile(TEETH * rng.uniform(0.9, 1.03), (8, 8, 1)))
    _place(atlas, "gums_tongue", np.tile(GUMS * rng.uniform(0.85, 1.1), (8, 8, 1)))
    return np.clip(np.rint(atlas * 255.0), 0, 255).astype(np.uint8)


def _place(atlas: Float[np.ndarray, "h w 3"], cell: str, tile: Float[np.ndarray, "a b 3"]) -> None:
    """Resample a tile (row 0 on top) into its cell, edges repeated in the margin."""
    from PIL import Image

    size = len(atlas)
    left, bottom, right, top = (side / 16.0 for side in CELLS[cell])
    centre = (np.arange(size) + 0.5) / size
    columns = np.flatnonzero((centre >= left) & (centre < right))
    rows = np.flatnonzero((1.0 - centre >= bottom) & (1.0 - centre < top))
    inner = np.array([right - left, top - bottom]) - 2.0 * MARGIN
    width, height = (max(1, round(float(side) * size)) for side in inner)
    channels = [
        Image.fromarray(tile[..., k].astype(np.float32)).resize((width, height), Image.LANCZOS)
        for k in range(3)
    ]
    small = np.stack([np.asarray(channel) for channel in channels], axis=-1)
    x = np.clip((centre[columns] - left - MARGIN) / inner[0], 0, 1) * width - 0.5
    y = np.clip(1.0 - (1.0 - centre[rows] - bottom - MARGIN) / inner[1], 0, 1) * height - 0.5
    atlas[np.ix_(rows, columns)] = _bilinear(small, y, x)


def _bilinear(
    image: Float[np.ndarray, "a b 3"], y: Float[np.ndarray, " r"], x: Float[np.ndarray, " c"]
) -> Float[np.ndarray, "r c 3"]:
    """Samples on a grid of pixel rows ``y`` and columns ``x``, edges repeated."""
    y, x = np.clip(y, 0, image.shape[0] - 1), np.clip(x, 0, image.shape[1] - 1)
    top, left = np.floor(y).astype(int), np.floor(x).astype(int)
    below, right = np.minimum(top + 1, len(image) - 1), np.minimum(left + 1, image.shape[1] - 1)
    fy, fx = (y - top)[:, None, None], (x - left)[None, :, None]
    upper = image[top][:, left] * (1 - fx) + image[top][:, right] * fx
    lower = image[below][:, left] * (1 - fx) + image[below][:, right] * fx
    return upper * (1 - fy) + lower * fy


def _painted_sockets(
    model: IctModel, head: Float[np.ndarray, "h w 3"], resolution: int = 512
) -> Float[np.ndarray, "a b 3"]:
    """The head tile with the mouth's inside and the eye sockets in their own colours."""
    from PIL import Image, ImageDraw, ImageFilter

    steps = np.linspace(-0.5, 0.5, resolution)
    painted = _bilinear(head, (steps + 0.5) * (len(head) - 1), (steps + 0.5) * (head.shape[1] - 1))
    colours = {"mouth_socket": MOUTH, "eye_socket_left": SOCKET, "eye_socket_right": SOCKET}
    for region, colour in colours.items():
        mask = Image.new("L", (resolution, resolution))
        draw = ImageDraw.Draw(mask)
        corners = model.uv[model.faces_uv[model.face_region == REGIONS.index(region)]]
        pixels = np.stack([corners[..., 0] - 1.0, 1.0 - corners[..., 1]], axis=-1) * resolution
        for triangle in pixels:
            draw.polygon([tuple(corner) for corner in triangle], fill=255)
        # Widen by a few pixels, so that no skin colour bleeds in at the rim.
        painted[np.asarray(mask.filter(ImageFilter.MaxFilter(5))) > 0] = colour
    return painted


def _skin_noise(
    model: IctModel, size: int, rng: np.random.Generator, resolution: int = 96
) -> Float[np.ndarray, "h w 3"]:
    """Smooth relative changes of colour over the skin, continuous across the atlas's seams.

    A sum of plane waves of 40 to 160 mm in space, read off at the vertices and spread over the
    image, so that both sides of a seam agree.
    """
    from scipy.interpolate import LinearNDInterpolator, NearestNDInterpolator

    waves = rng.normal(size=(12, 3))
    waves *= (
        2
        * np.pi
        / rng.uniform(4.0, 16.0, 12)[:, None]
        / np.linalg.norm(waves, axis=1, keepdims=True)
    )
    phase = rng.uniform(0, 2 * np.pi, 12)
    share = rng.normal(0.0, 1.0, (12, 1)) * [0.012, 0.012, 0.012] + rng.normal(
        0.0, 1.0, (12, 1)
    ) * [0.003, -0.003, -0.003]
    values = np.cos(model.neutral @ waves.T + phase) @ share
    skin = np.isin(model.face_region, [REGIONS.index(name) for name in SKIN])
    rows, first = np.unique(model.faces_uv[skin], return_index=True)
    uv, at_uv = atlas_uv(model)[rows], values[model.faces[skin].ravel()[first]]
    grid = (np.arange(resolution) + 0.5) / resolution
    where = np.stack(np.meshgrid(grid, 1.0 - grid), axis=-1).reshape(-1, 2)
    small = LinearNDInterpolator(uv, at_uv)(where)
    outside = np.isnan(small[:, 0])
    small[outside] = NearestNDInterpolator(uv, at_uv)(where[outside])
    pixels = (np.arange(size) + 0.5) / size * resolution - 0.5
    return _bilinear(small.reshape(resolution, resolution, 3), pixels, pixels)


def eye_image(
    size: int, iris: Float[np.ndarray, "3"], rng: np.random.Generator
) -> Float[np.ndarray, "s s 3"]:
    """An eyeball on the model's polar uv: front pole in the middle, about 200 degrees across."""
    axis = (np.arange(size) + 0.5) / size - 0.5
    x, y = np.meshgrid(axis, -axis)
    radius = np.hypot(x, y)
    angle = np.interp(radius, UV_RADIUS, UV_ANGLE)
    around = np.arctan2(y, x)
    white = np.array([0.93, 0.91, 0.89]) * np.ones((size, size, 1))
    white -= np.array([0.02, 0.10, 0.11]) * _step(angle, 28.0, 75.0)[..., None]
    fibres = sum(
        rng.uniform(0.2, 1.0) * np.cos(n * around + rng.uniform(0, 2 * np.pi))
        for n in rng.integers(11, 61, 14)
    )
    shade = 1.0 + 0.05 * fibres * np.clip((angle - PUPIL_ANGLE) / 6.0, 0, 1)
    shade += 0.45 * np.exp(-(((angle - PUPIL_ANGLE - 2.5) / 3.0) ** 2))
    coloured = iris * shade[..., None]
    coloured *= 1.0 - 0.65 * _step(angle, IRIS_ANGLE - 4.0, IRIS_ANGLE)[..., None]
    image = (
        white
        + (coloured - white) * (1.0 - _step(angle, IRIS_ANGLE - 0.7, IRIS_ANGLE + 0.9))[..., None]
    )
    pupil = 1.0 - _step(angle, PUPIL_ANGLE - 0.6, PUPIL_ANGLE + 0.6)
    return np.clip(image * (1.0 - pupil[..., None]) + 0.02 * pupil[..., None], 0.0, 1.0)


def _step(x: np.ndarray, low: float, high: float) -> np.ndarray:
    """0 below ``low``, 1 above ``high``, smooth between."""
    t = np.clip((x - low) / (high - low), 0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)
