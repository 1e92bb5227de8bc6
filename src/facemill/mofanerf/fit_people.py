"""Unseen people fitted from one image each: what is given, and what novel views then show.

Given are one image with its mask, 68 landmarks, and a camera that stands a few degrees and
millimetres off. Mesh and texture of the person, which shape and appearance otherwise come from, are
not used.
"""

import logging
import math
import shutil
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32
from scipy.spatial.transform import Rotation

from facemill.errors import DataError
from facemill.files import read_json
from facemill.mesh.frames import HEAD_CENTRE, Similarity
from facemill.metrics.images import image_metrics, unit_of
from facemill.metrics.scores import write_records
from facemill.mofanerf.baselines import Picture, over_black
from facemill.mofanerf.config import SamplingConfig, require_at_least
from facemill.mofanerf.face_model import SHAPE_DIM
from facemill.mofanerf.faces import FaceCodes, Faces
from facemill.mofanerf.fit import FittedImage, bright, fit_image
from facemill.mofanerf.fit_config import FitConfig
from facemill.mofanerf.fit_files import read_fit, write_fit
from facemill.mofanerf.prior import mean_appearance
from facemill.mofanerf.splits import ViewSplit, read_view_split
from facemill.mofanerf.table import COLUMNS, COST, ONE_IMAGE, ImageScore
from facemill.mofanerf.train import without_denormals
from facemill.randomness import generator
from facemill.render.cameras import Camera
from facemill.render.view_pack import ViewPack
from facemill.training.device import choose_device, keep_freed_memory, reproducible
from facemill.training.settings import from_settings

log = logging.getLogger(__name__)

TURN = 30.0
"""Degrees between the fitted view and those that are measured afterwards."""


@dataclass(frozen=True)
class PeopleConfig:
    """What is given of an unseen person, and what is measured."""

    view: str | None = None  # the fitted view; null: the one most from the front
    noise_degrees: float = 5.0  # the guessed camera's turn about the head's centre
    noise_mm: float = 15.0  # and its shift
    landmarks: bool = True  # the 68 landmarks' image points are given
    novel_views: int = 4  # views that are compared afterwards, those nearest to 30 degrees off
    fit: FitConfig = field(default_factory=FitConfig)
    sampling: SamplingConfig = field(default_factory=SamplingConfig)  # of what is compared

    def __post_init__(self) -> None:
        require_at_least(self, 0, "noise_degrees", "noise_mm")
        require_at_least(self, 1, "novel_views")


@dataclass(frozen=True)
class Given:
    """The scan and view of a person that are fitted."""

    person: str
    expression: str
    view: str


def fit_person(
    model: str | Path,
    codes: str | Path,
    split_path: str | Path,
    views: str | Path,
    person: str,
    settings: Mapping[str, Any],
    out: str | Path,
    report: str | Path,
    threads: int | None = None,
    work: str | Path | None = None,
) -> FittedImage:
    """Fit one image of a held-out person; write codes and camera (.npz) and the report (.json).

    ``views`` is the folder of view packs, ``settings`` fields of PeopleConfig. With a folder
    ``work``, which is removed at the end, a run that was killed goes on. Raises DataError
    for a person that training has seen, and where model, codes and views do not belong together.
    """
    config = from_settings(PeopleConfig, settings, "mofanerf.fit_people")
    split = read_view_split(split_path)
    if person not in split.test_people:
        raise DataError(
            f"{split_path}: {person} is not held out; images of "
            f"{', '.join(split.test_people)} are fitted."
        )
    device = choose_device(config.fit.device)
    with (
        ViewPack(Path(views) / f"{person}.zip") as pack,
        reproducible(device, threads or torch.get_num_threads()),
        without_denormals(),
    ):
        faces = Faces(model, codes, device)
        given = given_of(person, split, pack, config)
        truth = pack.camera(given.view)
        guess = disturbed(truth, person, config)
        marks = None
        if config.landmarks:
            places = faces.codes.array(f"landmarks/{person}/{given.expression}")
            marks = truth.project(places.astype(np.float64))[0]
        fitted = fit_image(
            faces,
            pack.image(given.expression, given.view),
            None,
            guess,
            marks,
            config.fit,
            f"{person}, {given.expression}, view {given.view}",
            work=work,
        )
    fitted.report.update(
        person=person,
        expression=given.expression,
        view=given.view,
        camera_error_before=camera_error(guess, truth),
        camera_error=camera_error(fitted.camera, truth),
    )
    write_fit(fitted, model, out, report)
    if work is not None:
        shutil.rmtree(work, ignore_errors=True)
    return fitted


def given_of(person: str, split: ViewSplit, pack: ViewPack, config: PeopleConfig) -> Given:
    """People take turns in the expressions; the view is the configured one or the frontal one."""
    present = [e for e in split.expressions if e in pack.expressions]
    if not present:
        raise DataError(f"{pack.path}: none of {', '.join(split.expressions)} to be fitted.")
    expression = present[split.test_people.index(person) % len(present)]
    frontal = max(pack.names, key=lambda name: -float(pack.camera(name).extrinsics[2, 2]))
    view = config.view or frontal
    if view not in pack.names:
        raise DataError(f"{pack.path}: no view {view}; it holds {', '.join(pack.names)}.")
    return Given(person, expression, view)


def disturbed(camera: Camera, person: str, config: PeopleConfig) -> Camera:
    """The camera after a turn of the head about its centre, and a shift, in drawn directions."""
    rng = generator(config.fit.seed, "mofanerf_fit", "camera", person)
    axis, way = (v / np.linalg.norm(v) for v in rng.normal(size=(2, 3)))
    turn = Rotation.from_rotvec(math.radians(config.noise_degrees) * axis).as_matrix()
    shift = HEAD_CENTRE - turn @ HEAD_CENTRE + config.noise_mm * way
    moved = camera.extrinsics @ Similarity(1.0, turn, shift).matrix
    return Camera(camera.intrinsics, moved, camera.width, camera.height)


def camera_error(found: Camera, truth: Camera) -> dict[str, float]:
    """Degrees between two cameras of one head, and mm between where they see its centre."""
    between = found.extrinsics[:, :3] @ truth.extrinsics[:, :3].T
    seen = [c.extrinsics @ np.array([*HEAD_CENTRE, 1.0]) for c in (found, truth)]
    return {
        "degrees": math.degrees(math.acos(np.clip((np.trace(between) - 1) / 2, -1, 1))),
        "mm": float(np.linalg.norm(seen[0] - seen[1])),
    }


def novel_camera(fitted: Camera, of: Camera, other: Camera) -> Camera:
    """Another camera of the rig as it stands to the fitted head.

    How the rig's cameras stand to each other is known, how the head stood to them was fitted.
    """
    whole = lambda camera: np.concatenate([camera.extrinsics, [[0, 0, 0, 1]]])  # noqa: E731
    moved = whole(other) @ np.linalg.inv(whole(of)) @ whole(fitted)
    return Camera(other.intrinsics, moved[:3], other.width, other.height)


def novel_views(pack: ViewPack, view: str, count: int) -> list[str]:
    """The views whose direction is nearest to 30 degrees off the fitted one."""
    axis = pack.camera(view).extrinsics[2, :3]

    def off(name: str) -> float:
        cosine = float(pack.camera(name).extrinsics[2, :3] @ axis)
        return abs(math.degrees(math.acos(np.clip(cosine, -1, 1))) - TURN)

    return sorted((name for name in pack.names if name != view), key=lambda n: (off(n), n))[:count]


def mean_codes(faces: Faces, expression: str, appearance: Float32[np.ndarray, " a"]) -> FaceCodes:
    """The mean shape with a trained expression and an appearance: what any fit has to beat."""
    return faces.with_expression(np.zeros(SHAPE_DIM, np.float32), appearance, expression)


def evaluate_fits(
    model: str | Path,
    codes: str | Path,
    views: str | Path,
    fits: Sequence[str | Path],
    method: str,
    settings: Mapping[str, Any],
    out: str | Path,
) -> list[ImageScore]:
    """Measure novel views of fitted people; ``fits`` are .npz files with their .json beside them.

    Methods: ``<method>_fitted``; ``<method>_mean_codes``, the mean face with the true expression in
    the true camera; ``<method>`` itself, which knows the person's mesh and texture.
    """
    config = from_settings(PeopleConfig, settings, "mofanerf.fit_people")
    keep_freed_memory()
    faces = Faces(model, codes, choose_device(config.fit.device))
    mean = mean_appearance(faces)
    scores: list[ImageScore] = []
    reports = [read_json(Path(fit).with_suffix(".json")) for fit in fits]
    for fit, report in zip(fits, reports, strict=True):
        fitted = read_fit(fit, model)
        person, expression, view = (report[key] for key in ("person", "expression", "view"))
        with ViewPack(Path(views) / f"{person}.zip") as pack:
            for name in novel_views(pack, view, config.novel_views):
                camera, image = pack.camera(name), pack.image(expression, name)
                own = novel_camera(fitted.camera, pack.camera(view), camera)
                seen: dict[str, tuple[FaceCodes, Camera, float]] = {
                    f"{method}_fitted": (fitted.codes, own, fitted.brightness),
                    f"{method}_mean_codes": (mean_codes(faces, expression, mean), camera, 1.0),
                    method: (faces.codes_of(person, expression), camera, 1.0),
                }
                of = (ONE_IMAGE, person, expression, name)
                for which, (face, where, brightness) in seen.items():
                    picture = bright(faces.draw(face, where, config.sampling).colour, brightness)
                    scores += _measured(which, of, picture, image)
    cost = statistics.median(report["seconds"] for report in reports)
    size = "{width} x {height}".format(**reports[0]["camera"])
    of = (COST, "", "", size, "fit_seconds", "s", cost)
    scores.append(ImageScore("mofanerf", f"{method}_fitted", *of))
    write_records(out, COLUMNS, scores)
    return scores


def _measured(
    method: str, of: tuple[str, str, str, str], picture: Picture, image: np.ndarray
) -> list[ImageScore]:
    truth, mask = over_black(image).astype(np.float64), image[..., 3] > 0
    metrics = image_metrics(picture.astype(np.float64), truth, mask)
    return [
        ImageScore("mofanerf", method, *of, name, unit_of(name), value)
        for name, value in metrics.items()
    ]
