"""Does the refiner earn its place? Pictures against truth, and views against their neighbours.

The same people, expressions and views go through every method: ``coarse`` is the coarse picture
enlarged by bicubic interpolation, ``refined`` what the refiner makes of it. How well views agree is
measured on the truth as well (method ``truth``): its error is what resampling alone gives.
"""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from facemill.errors import DataError
from facemill.metrics.images import image_metrics, unit_of
from facemill.metrics.scores import Score, write_scores
from facemill.mofanerf.pairs import PairKey, PairSource
from facemill.mofanerf.refine import Refiner, enlarged, load_refiner, refined
from facemill.render.reprojection import View, reprojection_error
from facemill.render.view_pack import ViewPack

log = logging.getLogger(__name__)

METHODS = ("coarse", "refined")


def evaluate_refiner(
    model: str | Path,
    pairs: PairSource,
    views: Mapping[str, str | Path],
    keys: Sequence[PairKey],
    out: str | Path,
) -> list[Score]:
    """Scores of every person's expressions, means over their views, written as CSV.

    ``views`` are view packs by person, from which depth and cameras come. Metrics are those of
    :func:`~facemill.metrics.images.image_metrics` and ``reprojection_error`` between views of one
    pitch that stand side by side, where there are such. Raises DataError for keys without views.
    """
    refiner, _ = load_refiner(model)
    scores: list[Score] = []
    for person, expression in dict.fromkeys((key.person, key.expression) for key in keys):
        if person not in views:
            raise DataError(f"{person}: pairs to evaluate, but no view pack. Render the views.")
        chosen = [k for k in keys if (k.person, k.expression) == (person, expression)]
        with ViewPack(views[person]) as pack:
            rows = expression_scores(refiner, pairs, pack, chosen)
        scores += [
            Score("mofanerf", method, person, expression, metric, unit, value)
            for method, metric, unit, value in rows
        ]
        log.info("%s %s: %d views", person, expression, len(chosen))
    write_scores(out, scores)
    return scores


def expression_scores(
    refiner: Refiner, pairs: PairSource, pack: ViewPack, keys: Sequence[PairKey]
) -> list[tuple[str, str, str, float]]:
    """(method, metric, unit, value) of one person's expression, means over the views ``keys``."""
    found: dict[tuple[str, str], list[float]] = {}
    pictures: dict[str, dict[str, np.ndarray]] = {}
    for key in keys:
        pair = pairs.read(key)
        truth = pair.truth[..., :3] / 255.0
        made = both_methods(refiner, pair.coarse, truth.shape[:2], pair.surface)
        for method, picture in made.items():
            for metric, value in image_metrics(picture / 255.0, truth, pair.mask).items():
                found.setdefault((method, metric), []).append(value)
        pictures[key.view] = {**made, "truth": pair.truth[..., :3]}
    for one, two in neighbours(list(pictures)):
        for method in (*METHODS, "truth"):
            sides = [
                View(
                    pictures[name][method] / 255.0,
                    pack.depth(keys[0].expression, name),
                    pack.camera(name),
                )
                for name in (one, two)
            ]
            error = reprojection_error(*sides)
            found.setdefault((method, "reprojection_error"), []).append(error)
    return [
        (method, metric, unit_of(metric), float(np.mean(values)))
        for (method, metric), values in found.items()
    ]


def both_methods(
    refiner: Refiner,
    coarse: UInt8[np.ndarray, "h w 3"],
    size: tuple[int, int],
    surface: np.ndarray | None,
) -> dict[str, UInt8[np.ndarray, "h2 w2 3"]]:
    """The coarse picture at its final size, without and with the refiner."""
    plain = (enlarged(coarse, *size).permute(1, 2, 0).numpy() + 1) * 127.5
    given = surface if refiner.config.surface else None
    return {
        "coarse": np.round(plain).astype(np.uint8),
        "refined": refined(refiner, coarse, size, given),
    }


def neighbours(names: Sequence[str]) -> list[tuple[str, str]]:
    """Pairs of view names ``<pitch>_<i>`` and ``<pitch>_<i + 1>`` that are both there."""
    there = set(names)
    pairs = []
    for name in names:
        pitch, number = name.rsplit("_", 1)
        following = f"{pitch}_{int(number) + 1}"
        if following in there:
            pairs.append((name, following))
    return pairs
