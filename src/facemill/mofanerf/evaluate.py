"""MoFaNeRF's numbers: images that nobody trained on, beside the truth and beside baselines.

Three splits, all in held-out views: training people in pairs of person and expression that were
trained on, in pairs that were held out, and unseen people, whose codes come from projection and the
texture network alone. The metrics are those of :mod:`facemill.metrics.images`.
"""

import logging
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float32

from facemill.errors import DataError
from facemill.metrics.images import image_metrics, psnr, unit_of
from facemill.metrics.scores import write_records
from facemill.mofanerf import baselines
from facemill.mofanerf.config import EvaluateConfig, ModelConfig
from facemill.mofanerf.faces import Faces
from facemill.mofanerf.model import MoFaNeRF, macs_per_point
from facemill.mofanerf.render import Cost, render_image
from facemill.mofanerf.splits import ViewSplit, read_view_split
from facemill.mofanerf.surface import expected_depth
from facemill.mofanerf.table import COLUMNS, COST, PAIRS, REFERENCE, SEEN, UNSEEN, ImageScore
from facemill.render.view_pack import ViewPack
from facemill.training.device import choose_device
from facemill.training.record import peak_memory_mb
from facemill.training.settings import from_settings

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Item:
    """An image to be compared with the truth."""

    split: str
    person: str
    expression: str
    view: str


def evaluate(
    model: str | Path,
    codes: str | Path,
    split_path: str | Path,
    views: str | Path,
    method: str,
    settings: Mapping[str, Any],
    out: str | Path,
    with_baselines: bool = True,
) -> list[ImageScore]:
    """Render and measure all items and write a row for each image and metric as CSV.

    ``settings`` are fields of EvaluateConfig. Raises DataError where model, codes and views do not
    belong together.
    """
    config = from_settings(EvaluateConfig, settings, "mofanerf.evaluate")
    faces = Faces(model, codes, choose_device(config.device))
    split = read_view_split(split_path)
    packs = {
        person: ViewPack(Path(views) / f"{person}.zip")
        for person in (*split.train_people, *split.test_people)
    }
    shapes = {person: faces.codes.shape(person) for person in packs}
    mean = baselines.mean_texture(faces.codes, split) if with_baselines else None
    scores: list[ImageScore] = []
    costs: list[tuple[Cost, float]] = []
    for item in items(split, packs, config):
        camera = packs[item.person].camera(item.view)
        image = packs[item.person].image(item.expression, item.view)
        truth, mask = baselines.over_black(image), image[..., 3] > 0
        began = time.perf_counter()
        seen = faces.render(
            item.person, item.expression, camera, config.sampling, config.rays_at_once
        )
        costs.append((seen.cost, time.perf_counter() - began))
        pictures = {method: seen.colour}
        if mean is not None:
            row = faces.row(item.expression)
            pictures["mean_face"] = baselines.textured_mesh(
                baselines.mean_mesh(faces.surfaces, row), mean, camera
            )
            pictures["nearest_view"] = baselines.nearest_training_view(
                packs, split, shapes, item.person, item.expression, item.view
            )
            if item.split != SEEN:  # there it would be what the truth was rendered from
                pictures["textured_mesh"] = baselines.textured_mesh(
                    faces.surface(item.person, item.expression),
                    faces.codes.texture(item.person),
                    camera,
                )
        for name, picture in pictures.items():
            scores += _measured(name, item, picture, truth, mask)
    if not scores:
        raise DataError(f"{views}: no image to compare; see {split_path}.")
    scores += _costs(method, costs, faces)
    scores += _reference(method, faces, packs, split, config)
    write_records(out, COLUMNS, scores)
    return scores


def items(
    split: ViewSplit, packs: Mapping[str, ViewPack], config: EvaluateConfig
) -> Iterator[Item]:
    """What is compared: seen pairs of some training people, held-out pairs, unseen people.

    Where not all views of a scan are asked for, scans take turns, so that all views come up.
    """
    shown = split.train_people[: config.people or None]
    scans = [
        (SEEN, person, expression)
        for person in shown
        for expression in split.expressions
        if split.trains_on(person, expression)
    ]
    scans += [(PAIRS, *pair) for pair in split.test_pairs]
    scans += [(UNSEEN, person, e) for person in split.test_people for e in split.expressions]
    count = min(config.views, len(split.test_views)) or len(split.test_views)
    for number, (name, person, expression) in enumerate(scans):
        if expression in packs[person].expressions:
            for turn in range(count):
                view = split.test_views[(number * count + turn) % len(split.test_views)]
                yield Item(name, person, expression, view)


def _measured(
    method: str,
    item: Item,
    picture: Float32[np.ndarray, "h w 3"],
    truth: Float32[np.ndarray, "h w 3"],
    mask: Bool[np.ndarray, "h w"],
) -> list[ImageScore]:
    rows = image_metrics(picture.astype(np.float64), truth.astype(np.float64), mask)
    of = (item.split, item.person, item.expression, item.view)
    return [
        ImageScore("mofanerf", method, *of, name, unit_of(name), value)
        for name, value in rows.items()
    ]


def _costs(method: str, costs: Sequence[tuple[Cost, float]], faces: Faces) -> list[ImageScore]:
    """Means over the frames rendered, and what the published networks would have computed."""
    pixels = costs[0][0].pixels
    size = f"{round(pixels**0.5)} x {round(pixels**0.5)}"
    calls = statistics.fmean(cost.calls / cost.pixels for cost, _ in costs)
    values = {
        "network_calls_per_pixel": ("1", calls),
        "network_calls_per_ray": (
            "1",
            statistics.fmean(cost.calls / max(cost.rays, 1) for cost, _ in costs),
        ),
        "frame_gmac": ("10^9", statistics.fmean(cost.macs / 1e9 for cost, _ in costs)),
        "frame_seconds": ("s", statistics.median(seconds for _, seconds in costs)),
        "peak_memory": ("MB", peak_memory_mb(faces.device)),
    }
    rows = [
        ImageScore("mofanerf", method, COST, "", "", size, name, unit, value)
        for name, (unit, value) in values.items()
    ]
    published = ImageScore(
        "mofanerf", "published", COST, "", "", size, "frame_gmac", "10^9",
        pixels * published_macs_per_ray() / 1e9,
    )  # fmt: skip
    return [*rows, published]


def published_macs_per_ray() -> int:
    """Multiply-adds of a ray as published: 64 coarse samples, 128 fine ones (computed)."""
    with torch.device("meta"):
        model = MoFaNeRF(ModelConfig(profile="faithful"), 1)
    return 64 * macs_per_point(model.coarse) + 128 * macs_per_point(model.fine)


def _reference(
    method: str,
    faces: Faces,
    packs: Mapping[str, ViewPack],
    split: ViewSplit,
    config: EvaluateConfig,
) -> list[ImageScore]:
    """How far a frame is from many even samples on every ray, and what is saved (fast alone)."""
    if not config.reference_samples or faces.model.config.profile == "faithful":
        return []
    person, expression, view = split.train_people[0], split.expressions[0], split.test_views[0]
    camera = packs[person].camera(view)
    side = min(config.reference_size, camera.width)
    camera = camera.resized(side, side)
    codes = faces.condition(person, expression)
    sampling = config.sampling
    guide = expected_depth(faces.surface(person, expression), camera, sampling.margin)
    dense = render_image(faces.model, camera, codes, sampling, None, 1024, config.reference_samples)
    shown = render_image(faces.model, camera, codes, sampling, guide, config.rays_at_once)
    more = replace(sampling, spread=2 * sampling.spread, samples=2 * sampling.samples)
    doubled = render_image(faces.model, camera, codes, more, guide, config.rays_at_once)
    values = {
        "reference_agreement": ("dB", psnr(shown.colour, dense.colour)),
        "samples_doubled_agreement": ("dB", psnr(doubled.colour, shown.colour)),
        "evaluations_saved": ("1", dense.cost.calls / shown.cost.calls),
    }
    return [
        ImageScore("mofanerf", method, REFERENCE, person, expression, view, name, unit, value)
        for name, (unit, value) in values.items()
    ]
