"""Pictures of fits: the image, before, after, and views that the fit never saw."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, UInt8

from facemill.errors import DataError
from facemill.figures.layout import grid
from facemill.figures.sheets import readable
from facemill.files import read_json
from facemill.metrics.images import psnr
from facemill.mofanerf.baselines import Picture, over_black
from facemill.mofanerf.faces import Faces
from facemill.mofanerf.fit import bright
from facemill.mofanerf.fit_files import read_fit
from facemill.mofanerf.fit_people import (
    PeopleConfig,
    mean_codes,
    novel_camera,
    novel_views,
)
from facemill.mofanerf.prior import mean_appearance
from facemill.render.pixels import eight_bit
from facemill.render.view_pack import ViewPack
from facemill.training.device import choose_device, keep_freed_memory
from facemill.training.settings import from_settings

CELL = 192
"""Pixels of a cell, at least."""


def fit_figure(
    model: str | Path,
    codes: str | Path,
    views: str | Path,
    fits: Sequence[str | Path],
    settings: Mapping[str, Any],
    out: str | Path,
    rows: int = 3,
) -> None:
    """A row for each fitted person: image, mean face, fit, then truth and fit in two other views.

    ``fits`` are .npz files with their .json beside them, ``settings`` fields of PeopleConfig.
    """
    config = from_settings(PeopleConfig, settings, "mofanerf.fit_people")
    keep_freed_memory()
    faces = Faces(model, codes, choose_device(config.fit.device))
    if not fits:
        raise DataError("no fit to be drawn; raise mofanerf.fit_people.people.")
    neutral = mean_codes(faces, faces.expressions[0], mean_appearance(faces))
    pictures, labels, captions = [], [], []
    for fit in list(fits)[:rows]:
        fitted, report = read_fit(fit, model), read_json(Path(fit).with_suffix(".json"))
        person, expression, view = (report[key] for key in ("person", "expression", "view"))
        with ViewPack(Path(views) / f"{person}.zip") as pack:
            camera, image = pack.camera(view), pack.image(expression, view)
            before = faces.draw(neutral, camera, config.sampling)
            after = faces.draw(fitted.codes, fitted.camera, config.sampling).colour
            shown = [
                ("image", over_black(image), None),
                ("mean face", before.colour, image),
                ("fit", bright(after, fitted.brightness), image),
            ]
            # The nearest to 30 degrees off comes in pairs, from left and right or above and below.
            for name in sorted(novel_views(pack, view, config.novel_views))[-2:]:
                truth = pack.image(expression, name)
                own = novel_camera(fitted.camera, camera, pack.camera(name))
                seen = faces.draw(fitted.codes, own, config.sampling).colour
                shown.append(("other view, truth", over_black(truth), None))
                shown.append(("fit", bright(seen, fitted.brightness), truth))
        pictures.append([_cell(picture) for _, picture, _ in shown])
        captions.append([_caption(text, picture, truth) for text, picture, truth in shown])
        found = max(report["expressions"], key=report["expressions"].get)
        labels.append(f"{person}\n{readable(expression)}\n\nfound:\n{readable(found)}")
    grid(
        pictures,
        out,
        labels,
        title="Unseen people, fitted from one image each",
        subtitle="Decibels inside the face mask. The camera was known to "
        f"{config.noise_degrees:g}° and {config.noise_mm:g} mm before the fit",
        captions=captions,
        cell=1.15,
    )


def _caption(text: str, picture: Picture, truth: UInt8[np.ndarray, "h w 4"] | None) -> str:
    if truth is None:
        return text
    quality = psnr(picture.astype(np.float64), over_black(truth).astype(float), truth[..., 3] > 0)
    return f"{text}, {quality:.1f} dB"


def _cell(picture: Float32[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "s s 3"]:
    """8-bit colours, each pixel as a block, so that few pixels are shown as they are."""
    times = max(1, round(CELL / len(picture)))
    return eight_bit(picture).repeat(times, axis=0).repeat(times, axis=1)
