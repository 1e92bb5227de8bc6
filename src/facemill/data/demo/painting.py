"""Painted skin: tone, blood, brows, lips, hair and eyes of one person as one square image.

The chart is the grid itself, so a texel knows its column and row and through them its place on the
mean head; what is painted at a place stays at that place of every face and expression.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFilter
from scipy.ndimage import map_coordinates

from facemill.data.demo import painted_parts as parts
from facemill.data.demo.cage import N_HALF, N_ROWS, ROWS
from facemill.data.demo.grid import MOUTH_CORNER, N_COLUMNS, SKIN_U, SKIN_V
from facemill.data.demo.hair import hair_cover
from facemill.data.demo.sculpt import mean_head
from facemill.data.demo.skin_colour import HAIR, IRIS, lab_to_srgb, skin_tone
from facemill.randomness import generator


@dataclass(frozen=True)
class Looks:
    """What a person's skin, hair and eyes look like."""

    tone: float
    hair: str
    iris: str
    blush: float
    beard: float
    lip_red: float
    freckles: int
    brow_thickness: float
    brow_height: float
    hair_cover: float
    hair_line: float
    lashes: float


def draw_looks(person: str, seed: int) -> Looks:
    """Looks drawn from the seed and the person's id; hair and iris go with the tone."""
    rng = generator(seed, "demo", "looks", person)
    # Golden-ratio steps by the id's number: even a handful of people spans the range of tones.
    number = int("".join(c for c in person if c.isdigit()) or 0)
    tone = float((rng.uniform(0, 0.12) + 0.618034 * number + 0.37 * seed + 0.25) % 1.0)
    dark = tone > 0.55
    hair = rng.choice(
        list(HAIR), p=[0.75, 0.2, 0, 0, 0, 0.05] if dark else [0.17, 0.25, 0.25, 0.1, 0.15, 0.08]
    )
    iris = rng.choice(
        list(IRIS), p=[0.75, 0.25, 0, 0, 0, 0] if dark else [0.15, 0.25, 0.16, 0.12, 0.22, 0.10]
    )
    return Looks(
        tone=tone,
        hair=str(hair),
        iris=str(iris),
        blush=float(rng.uniform(0.6, 1.5)),
        beard=float(max(0.0, rng.uniform(-0.8, 1.0))),
        lip_red=float(rng.uniform(0.6, 1.4)),
        freckles=int(rng.integers(15, 70) * (3 if hair == "auburn" else 1)),
        brow_thickness=float(rng.uniform(0.7, 1.35)),
        brow_height=float(rng.normal(0, 0.35)),
        hair_cover=float(rng.choice([1.0, 0.95, 0.72], p=[0.65, 0.2, 0.15])),
        hair_line=float(rng.uniform(-3.0, 2.5)),
        lashes=float(rng.uniform(0.5, 1.0)),
    )


@lru_cache(maxsize=2)
def _chart(size: int):
    """Column, row and place on the mean head of every texel of the skin's rectangle."""
    top = round((1 - SKIN_V[1]) * size)
    bottom = round((1 - SKIN_V[0]) * size)
    u = (np.arange(size) + 0.5) / size
    v = 1 - (np.arange(top, bottom) + 0.5) / size
    column = ((u - SKIN_U[0]) / (SKIN_U[1] - SKIN_U[0]) * 2 - 1) * N_HALF
    row = (v - SKIN_V[0]) / (SKIN_V[1] - SKIN_V[0]) * N_ROWS
    head = mean_head()
    columns = np.arange(-N_HALF, N_HALF + 1) % N_COLUMNS
    lower = head.vertices[head.grid.skin[:, columns]]
    upper = lower.copy()
    for (at_row, at_column), number in head.grid.upper_edge.items():
        upper[at_row, columns == at_column] = head.vertices[number]
    grid = np.meshgrid(np.clip(row, 0, N_ROWS - 1), column + N_HALF, indexing="ij")
    place = np.empty((len(row), size, 3), np.float32)
    for axis in range(3):
        for source, part in ((lower, row < ROWS["eye"]), (upper, row >= ROWS["eye"])):
            where = [g[part] for g in grid]
            place[part, :, axis] = map_coordinates(
                source[..., axis], where, order=1, mode="nearest"
            )
    return top, bottom, column.astype(np.float32), row.astype(np.float32), place


def _noise(rng: np.random.Generator, shape: tuple[int, int], cells: tuple[int, int]) -> np.ndarray:
    """Smooth noise of unit deviation with about ``cells`` waves, closed around the head."""
    values = rng.standard_normal((cells[0], cells[1])).astype(np.float32)
    values = np.concatenate([values, values[:, :1]], axis=1)
    image = Image.fromarray(values).resize((shape[1], shape[0]), Image.Resampling.BICUBIC)
    return np.asarray(image) / 0.75


def _spot(place: np.ndarray, centre, radii, sides: bool = True) -> np.ndarray:
    x = np.abs(place[..., 0]) if sides else place[..., 0]
    d = (
        (x - centre[0]) / radii[0],
        (place[..., 1] - centre[1]) / radii[1],
        (place[..., 2] - centre[2]) / radii[2],
    )
    return np.exp(-(d[0] ** 2) - d[1] ** 2 - d[2] ** 2)


def paint(person: str, seed: int, size: int) -> UInt8[np.ndarray, "size size 3"]:
    """The person's texture; row 0 of the image is v = 1."""
    looks = draw_looks(person, seed)
    rng = generator(seed, "demo", "texture", person)
    top, bottom, column, row, place = _chart(size)
    skin = _paint_skin(looks, rng, column, row, place)
    image = np.empty((size, size, 3))
    image[...] = skin_tone(looks.tone)
    image[top:bottom] = skin
    image[:top] = skin[0]
    rgb = lab_to_srgb(image)
    parts.paint_eyes(rgb, IRIS[looks.iris], rng)
    parts.paint_lids(rgb, lab_to_srgb(skin_tone(looks.tone) + np.array([-10, 9, 2])), looks.lashes)
    parts.paint_mouth_bag(rgb, lab_to_srgb(_lip_colour(looks) - [4, 0, 0]))
    parts.paint_teeth(rgb)
    return (rgb * 255 + 0.5).astype(np.uint8)


def _lip_colour(looks: Looks) -> np.ndarray:
    base = skin_tone(looks.tone)
    light = 1 - looks.tone
    return base + np.array([-8 - 3 * light, 5 + 6 * light, -1.5]) * [1, looks.lip_red, 1]


def _paint_skin(looks: Looks, rng, column, row, place) -> np.ndarray:
    shape = place.shape[:2]
    tone = skin_tone(looks.tone)
    light = 0.35 + 0.65 * (1 - looks.tone)
    lab = np.empty((*shape, 3), np.float32)
    lab[...] = tone
    mottle = 0.6 * _noise(rng, shape, (28, 32)) + 0.4 * _noise(rng, shape, (70, 80))
    pores = _noise(rng, shape, (300, 340))
    lab[..., 0] += 0.55 * mottle + 0.55 * pores
    lab[..., 1] += 0.7 * _noise(rng, shape, (18, 22)) * light
    front = np.clip((place[..., 2] - 20) / 30, 0, 1)
    blood = (
        1.0 * _spot(place, (42, -30, 76), (15, 13, 25))
        + 0.8 * _spot(place, (0, -37, 119), (9, 8, 10))
        + 0.5 * _spot(place, (14, -39, 104), (6, 7, 9))
        + 0.45 * _spot(place, (0, -97, 104), (15, 9, 20))
        + 0.7 * _spot(place, (82, -14, -14), (12, 32, 24))
        + 0.35 * _spot(place, (31, -8, 88), (13, 5, 20))
    )
    lab[..., 1] += looks.blush * light * 5.5 * blood
    lab[..., 0] -= looks.blush * 2.2 * blood
    socket = _spot(place, (24, 6, 88), (9, 8, 14)) + _spot(place, (38, 8, 84), (12, 7, 16))
    under = _spot(place, (28, -10, 88), (11, 3.5, 18))
    lab += socket[..., None] * np.array([-3.0, 1.6, 0.8]) + under[..., None] * [-2.5, 1.0, -1.5]
    dark = (
        30 * _spot(place, (6.3, -43.0, 107), (2.5, 1.7, 8))
        + 4 * _spot(place, (17.5, -38, 100), (1.8, 6, 6))
        + 9 * _spot(place, (71.5, -15, -9), (6, 9, 8))
        + 5 * _spot(place, (26, -69, 92), (3, 1.6, 8))
        + 3 * _spot(place, (0, -84, 101), (14, 3, 12))
    )
    beard_zone = np.clip((-44 - place[..., 1]) / 18, 0, 1) * np.clip(
        (place[..., 1] + 128) / 12, 0, 1
    )
    beard_zone *= np.clip((place[..., 2] - 4) / 16, 0, 1) * np.clip(
        (-0.9 * place[..., 1] - np.abs(place[..., 0]) * 0.62 - 22) / 14, 0, 1
    )
    beard = looks.beard * beard_zone * (1 + 0.25 * pores)
    lab += beard[..., None] * np.array([-7.0, -2.0, -4.5])
    lab[..., 0] -= dark
    lab[..., 1] += 0.12 * dark * light
    _paint_freckles(lab, looks, rng, place, front)
    _paint_lips(lab, looks, column, row, pores, rng)
    _paint_lash_lines(lab, looks, column, row)
    _paint_brows(lab, looks, rng, column, row)
    _paint_hair(lab, looks, rng, column, row)
    lab[..., 0] = np.clip(lab[..., 0], 3, 96)
    return lab


def _paint_freckles(lab, looks: Looks, rng, place, front) -> None:
    """Small soft brown spots on the face, and a few moles."""
    height, width = lab.shape[:2]
    image = Image.new("L", (width, height))
    draw = ImageDraw.Draw(image)
    scale = width / 1024
    for k in range(looks.freckles + 4):
        mole = k < 4
        x = rng.normal(0.5, 0.13 if not mole else 0.16) * width
        y = rng.normal(0.47 if not mole else 0.55, 0.09 if not mole else 0.15) * height
        r = (rng.uniform(2.2, 3.6) if mole else rng.uniform(0.8, 2.0)) * scale
        depth = int(rng.uniform(150, 255) if mole else rng.uniform(25, 80))
        draw.ellipse((x - r, y - r, x + r, y + r), fill=depth)
    spots = np.asarray(image.filter(ImageFilter.GaussianBlur(0.8 * scale)), np.float32) / 255
    lab += (spots * front)[..., None] * np.array([-17.0, 4.0, 3.0])


def _paint_lips(lab, looks: Looks, column, row, pores, rng) -> None:
    mouth = ROWS["mouth"]
    across = np.abs(column)[None, :] / (MOUTH_CORNER + 0.4)
    inside = np.clip(1 - across**2, 0, 1)
    # Borders in rows: cupid's bow above, a plain arc below.
    bow = 0.55 * np.exp(-(((np.abs(column) - 4.2) / 2.6) ** 2)) - 0.35 * np.exp(
        -((column / 1.8) ** 2)
    )
    up = (ROWS["upper_lip"] - mouth - 0.2) * inside**0.42 + bow[None, :] * (across < 1)
    down = (mouth - ROWS["lower_lip"] + 0.2) * inside**0.36
    t = row[:, None] - mouth
    edge = 0.45
    red = np.clip((up - t) / edge, 0, 1) * np.clip((t + down) / edge, 0, 1) * (across < 1)
    red = red * red * (3 - 2 * red)
    lines = _noise(rng, lab.shape[:2], (30, 260))
    colour = _lip_colour(looks)
    lips = colour + np.stack([1.1 * lines + 0.4 * pores, 0 * lines, 0 * lines], axis=-1)
    lips[..., 0] += 3.0 * np.exp(-(((t + 3.0) / 1.6) ** 2)) - 2.5 * (t > 0)
    lab += (red[..., None] * 0.92) * (lips - lab)
    line = np.exp(-((t / 0.30) ** 2)) * (across < 1.03)
    lab[..., 0] -= 17 * line * np.clip(lab[..., 0] / 60, 0.3, 1)


def _paint_lash_lines(lab, looks: Looks, column, row) -> None:
    t = row[:, None] - ROWS["eye"]
    s = (np.abs(column)[None, :] - 12) / 15
    along = np.clip((s + 0.02) / 0.12, 0, 1) * np.clip((1.06 - s) / 0.06, 0, 1)
    upper = np.where(t > -0.15, np.exp(-((t / (0.45 + 0.35 * np.clip(s, 0, 1))) ** 2)), 0)
    lower = np.where(t < 0, np.exp(-((t / 0.30) ** 2)), 0)
    lashes = along * np.maximum(looks.lashes * upper, 0.32 * lower)[...]
    lab += lashes[..., None] * (np.array([13.0, 3.0, 3.0]) - lab)
    crease = along * np.exp(-(((t - 4.7) / 0.55) ** 2))
    lab += crease[..., None] * np.array([-6.0, 1.5, 0.0])


def _paint_brows(lab, looks: Looks, rng, column, row) -> None:
    """Brows as short overlapping strokes that rise at the inner end and lie down outwards."""
    height, width = lab.shape[:2]
    scale = 2
    image = Image.new("L", (width * scale, height * scale))
    draw = ImageDraw.Draw(image)
    per_column = width * scale / N_COLUMNS
    per_row = height * scale / (row[0] - row[-1])
    strokes = int(330 * looks.brow_thickness)
    for side in (-1, 1):
        s = rng.uniform(0, 1, strokes) ** 0.9
        spread = rng.normal(0, 1, strokes)
        for a, b in zip(s, spread, strict=True):
            centre = np.interp(a, [0, 0.25, 0.62, 1], [79.3, 80.0, 81.2, 80.0]) + looks.brow_height
            half = looks.brow_thickness * np.interp(a, [0, 0.12, 0.55, 1], [0.75, 1.0, 0.75, 0.2])
            c = 7.2 + 23.0 * a
            r = centre + np.clip(b * 0.55, -1, 1) * half
            lean = np.interp(a, [0, 0.2, 0.6, 1], [1.25, 0.75, 0.15, -0.35]) + rng.normal(0, 0.16)
            length = rng.uniform(1.1, 2.1)
            x0 = (side * c + N_HALF) * per_column
            y0 = (row[0] - r) * per_row
            x1 = x0 + side * length * np.cos(lean) * per_column
            y1 = y0 - 0.75 * length * np.sin(lean) * per_row
            tone = int(rng.uniform(110, 215))
            draw.line((x0, y0, x1, y1), fill=tone, width=max(1, round(width / 512)))
    soft = image.filter(ImageFilter.GaussianBlur(0.9 * width / 1024 * scale))
    under = image.filter(ImageFilter.GaussianBlur(5.0 * width / 1024 * scale))
    strokes_map = np.asarray(soft.resize((width, height), Image.Resampling.BOX), np.float32) / 255
    shade = np.asarray(under.resize((width, height), Image.Resampling.BOX), np.float32) / 255
    colour = np.array(HAIR[looks.hair]) * [0.85, 0.9, 0.9]
    cover = np.clip(1.15 * strokes_map + 0.35 * shade, 0, 0.93)[..., None]
    lab += cover * (colour - lab)


def _paint_hair(lab, looks: Looks, rng, column, row) -> None:
    shape = lab.shape[:2]
    strands = 0.6 * _noise(rng, shape, (40, 420)) + 0.4 * _noise(rng, shape, (90, 700))
    clumps = _noise(rng, shape, (22, 90))
    cover = hair_cover(
        column[None, :], row[:, None], 0.35 * clumps + 0.5 * strands, looks.hair_line
    )
    colour = np.array(HAIR[looks.hair], np.float32)
    hair = np.empty_like(lab)
    hair[...] = colour
    hair[..., 0] += (2.0 + 0.10 * colour[0]) * strands + 1.5 * clumps
    lab += (looks.hair_cover * cover)[..., None] * (hair - lab)
