"""Does the refiner earn its place? Pictures against truth, and views against those beside them.

The same pictures go through every method: ``half_size`` is the coarse picture enlarged by bicubic
interpolation, ``refined`` what the refiner makes of it. How well views agree is measured on the
truth as well (method ``truth``): its error is what resampling alone gives.
"""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from facemill.errors import DataError
from facemill.metrics.images import image_metrics, unit_of
from facemill.metrics.scores import write_records
from facemill.mofanerf.pairs import BESIDE, Pair, PairKey, PairPack, PairSource
from facemill.mofanerf.refine import Refiner, enlarged, load_refiner, refined
from facemill.mofanerf.refine_config import RefineEvaluateConfig
from facemill.mofanerf.splits import read_view_split
from facemill.mofanerf.table import COLUMNS, ImageScore, split_name
from facemill.render.cameras import Camera, about_vertical
from facemill.render.reprojection import View, reprojection_error
from facemill.training.settings import from_settings

log = logging.getLogger(__name__)

METHODS = ("half_size", "refined")

TRUTH = "truth"


def evaluate_refiner(
    model: str | Path,
    pairs: str | Path,
    split_path: str | Path,
    method: str,
    settings: Mapping[str, Any],
    out: str | Path,
) -> list[ImageScore]:
    """Scores of a pack's held-out pictures, written as CSV for MoFaNeRF's table.

    ``method`` is the radiance field's name, which the names of the methods begin with; ``settings``
    are fields of RefineEvaluateConfig. Raises DataError for a refiner and pairs that do not belong
    together.
    """
    config = from_settings(RefineEvaluateConfig, settings, "mofanerf.refine.evaluate")
    refiner, _ = load_refiner(model)
    pack = PairPack(pairs)
    split = read_view_split(split_path)
    if refiner.config.surface and not pack.has_surface:
        raise DataError(
            f"{pairs}: no depth and normals beside the colour, which {model} looks at. Delete the "
            "pack to have it made again."
        )
    scores: list[ImageScore] = []
    for person, expression in dict.fromkeys((key.person, key.expression) for key in pack.keys):
        keys = [key for key in pack.keys if (key.person, key.expression) == (person, expression)]
        where = (split_name(split, person, expression), person, expression)
        for name, view, metric, value in scan_scores(refiner, pack, keys, config.turn):
            full = name if name == TRUTH else f"{method}_{name}"
            scores.append(
                ImageScore("mofanerf", full, *where, view, metric, unit_of(metric), value)
            )
        log.info("%s %s: %d pictures", person, expression, len(keys))
    write_records(out, COLUMNS, scores)
    return scores


def scan_scores(
    refiner: Refiner, pairs: PairSource, keys: Sequence[PairKey], turn: float
) -> list[tuple[str, str, str, float]]:
    """(method, view, metric, value) of pictures of one scan.

    Pictures beside held-out views (``<view>+<degrees>``) are compared with those alone: they may
    stand where training saw the head.
    """
    found = []
    seen: dict[str, tuple[Pair, dict[str, np.ndarray]]] = {}
    for key in keys:
        pair = pairs.read(key)
        truth = pair.truth[..., :3]
        made = both_methods(refiner, pair)
        seen[key.view] = pair, made | {TRUTH: truth}
        for method, picture in made.items() if BESIDE not in key.view else ():
            metrics = image_metrics(picture / 255.0, truth / 255.0, pair.mask)
            found += [(method, key.view, metric, value) for metric, value in metrics.items()]
    cameras = {view: pair.camera for view, (pair, _) in seen.items() if pair.camera is not None}
    for one, two in neighbours(cameras, turn):
        for method in (*METHODS, TRUTH):
            error = reprojection_error(*[_as_view(*seen[view], method) for view in (one, two)])
            found.append((method, one, "reprojection_error", error))
    return found


def _as_view(pair: Pair, pictures: Mapping[str, np.ndarray], method: str) -> View:
    assert pair.depth is not None and pair.camera is not None
    return View(pictures[method] / 255.0, pair.depth, pair.camera)


def both_methods(refiner: Refiner, pair: Pair) -> dict[str, UInt8[np.ndarray, "h2 w2 3"]]:
    """The coarse picture at its final size, without and with the refiner."""
    size = pair.truth.shape[:2]
    plain = (enlarged(pair.coarse, *size).permute(1, 2, 0).numpy() + 1) * 127.5
    given = pair.surface if refiner.config.surface else None
    return {
        "half_size": np.round(plain).astype(np.uint8),
        "refined": refined(refiner, pair.coarse, size, given),
    }


def neighbours(cameras: Mapping[str, Camera], turn: float) -> list[tuple[str, str]]:
    """Pairs of views of which the second is the first, turned by so many degrees of yaw."""
    rotations = {name: camera.extrinsics[:, :3] for name, camera in cameras.items()}
    return [
        (one, two)
        for one, a in rotations.items()
        for two, b in rotations.items()
        if np.allclose(a @ about_vertical(turn), b, atol=1e-6)
    ]
