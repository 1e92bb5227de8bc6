"""Pictures of MoFaNeRF: held-out views beside the truth with their errors, and new views."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from facemill.figures.layout import grid
from facemill.figures.sheets import readable
from facemill.mesh.frames import HEAD_CENTRE
from facemill.metrics.images import psnr
from facemill.mofanerf.baselines import over_black
from facemill.mofanerf.config import SamplingConfig
from facemill.mofanerf.evaluate import Item
from facemill.mofanerf.faces import Faces
from facemill.mofanerf.splits import ViewSplit, read_view_split
from facemill.mofanerf.table import PAIRS, SEEN, UNSEEN
from facemill.render.cameras import orbit
from facemill.render.pixels import eight_bit
from facemill.render.view_pack import ViewPack
from facemill.render.views import DISTANCE, FOCAL, SIZE
from facemill.training.device import choose_device
from facemill.training.settings import from_settings

ERROR_GAIN = 4.0
"""Differences of colours are shown four times as large."""


@dataclass(frozen=True)
class FigureConfig:
    """What the figure shows."""

    rows: int = 2  # images of each of the three splits
    yaws: tuple[float, ...] = (-60.0, -30.0, 0.0, 30.0, 60.0)  # of the strip, degrees
    size: int = 256  # pixels of the strip's pictures
    sampling: SamplingConfig = SamplingConfig()  # noqa: RUF009 - frozen


def novel_views(
    model: str | Path,
    codes: str | Path,
    split_path: str | Path,
    views: str | Path,
    settings: Mapping[str, Any],
    out: str | Path,
) -> None:
    """Save truth, model and error in held-out views, and below them each split's faces anew.

    The strip's cameras lie on nobody's grid, at a size of their own.
    """
    config = from_settings(FigureConfig, settings, "mofanerf.figures")
    faces = Faces(model, codes, choose_device("auto"))
    split = read_view_split(split_path)
    rows, labels, captions = [], [], []
    for shown in _shown(split, config.rows):
        pictures, texts = [], []
        for item in shown:
            with ViewPack(Path(views) / f"{item.person}.zip") as pack:
                camera = pack.camera(item.view)
                image = pack.image(item.expression, item.view)
            truth, mask = over_black(image), image[..., 3] > 0
            seen = faces.render(item.person, item.expression, camera, config.sampling).colour
            error = np.clip(ERROR_GAIN * np.abs(seen - truth), 0, 1)
            pictures += [eight_bit(truth), eight_bit(seen), eight_bit(error)]
            quality = psnr(seen.astype(np.float64), truth.astype(np.float64), mask)
            texts += ["truth", f"model, {quality:.1f} dB", f"difference x {ERROR_GAIN:g}"]
        rows.append([_enlarged(picture, config.size) for picture in pictures])
        captions.append(texts)
        labels.append(_label(shown))
    for shown in _shown(split, 1):
        item = shown[0]
        rows.append(_strip(faces, item, config))
        captions.append([f"{yaw:g}°" for yaw in config.yaws])
        labels.append(f"{item.person}\n{readable(item.expression)}\nnew views")
    columns = max(map(len, rows))
    for row, texts in zip(rows, captions, strict=True):
        row += [None] * (columns - len(row))
        texts += [""] * (columns - len(texts))
    grid(rows, out, labels, captions=captions, cell=1.15)


def _shown(split: ViewSplit, count: int) -> list[list[Item]]:
    """A row of items for each split: seen pairs, held-out pairs, unseen people."""
    expressive = split.expressions[min(1, len(split.expressions) - 1)]
    pairs = {
        SEEN: [(person, split.expressions[0]) for person in split.train_people],
        PAIRS: list(split.test_pairs),
        UNSEEN: [(person, expressive) for person in split.test_people],
    }
    rows = [
        [Item(name, *pair, split.test_views[i % len(split.test_views)]) for i, pair in shown]
        for name, shown in ((name, list(enumerate(of[:count]))) for name, of in pairs.items())
    ]
    return [row for row in rows if row]


def _label(items: list[Item]) -> str:
    where = items[0].split.replace(", ", ",\n")
    return where + "\n\n" + "\n".join(f"{i.person} {readable(i.expression)}" for i in items)


def _strip(faces: Faces, item: Item, config: FigureConfig) -> list[UInt8[np.ndarray, "h w 3"]]:
    focal = FOCAL * config.size / SIZE
    pictures = []
    for yaw in config.yaws:
        camera = orbit(yaw, 0.0, DISTANCE, focal, config.size, config.size, HEAD_CENTRE)
        seen = faces.render(item.person, item.expression, camera, config.sampling)
        pictures.append(eight_bit(seen.colour))
    return pictures


def _enlarged(picture: UInt8[np.ndarray, "h w 3"], size: int) -> UInt8[np.ndarray, "s s 3"]:
    """Each pixel as a block, so that a picture of few pixels is shown as it is."""
    times = max(1, round(size / len(picture)))
    return picture.repeat(times, axis=0).repeat(times, axis=1)
