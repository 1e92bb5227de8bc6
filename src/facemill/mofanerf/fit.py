"""Fitting MoFaNeRF to one image: the networks stand still, pose and codes move (sec. 3.5).

Several starts on small images, the best one then up a pyramid. The surface round which rays are
sampled is predicted anew from the codes as they change. What differs from the release, and why:
docs/mofanerf.md.
"""

import hashlib
import logging
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, UInt8

from facemill.files import content_hash
from facemill.mesh.frames import HEAD_CENTRE
from facemill.metrics.images import psnr
from facemill.mofanerf.faces import FaceCodes, Faces
from facemill.mofanerf.fit_config import FitConfig
from facemill.mofanerf.fit_steps import Task
from facemill.mofanerf.fit_target import Level, checked_image, checked_landmarks, pyramid
from facemill.mofanerf.fit_unknowns import Decoder, Unknowns, branch, motion, posed_camera, start
from facemill.mofanerf.landmark_model import LandmarkModel
from facemill.mofanerf.prior import CodePrior, code_prior
from facemill.render.cameras import Camera
from facemill.training.loop import sources
from facemill.training.settings import to_settings

log = logging.getLogger(__name__)

CODE = ("canonical", "compositing", "face_model", "fit", "fit_losses", "fit_steps", "fit_target")
CODE += ("fit_unknowns", "landmark_model", "layers", "model", "prior", "rays", "render", "surface")
"""Modules that decide what is found."""


@dataclass(frozen=True)
class FittedImage:
    """What a fit found.

    ``camera`` is the image's camera in the face frame (mm) as it stands to the fitted head;
    ``brightness`` the factor on rendered colours. ``report`` holds plain numbers, ready for JSON.
    """

    codes: FaceCodes
    camera: Camera
    brightness: float
    report: dict[str, Any]


def fit_image(
    faces: Faces,
    image: UInt8[np.ndarray, "h w _"],
    mask: Bool[np.ndarray, "h2 w2"] | None,
    camera: Camera,
    landmarks: Float[np.ndarray, "_ _"] | None = None,
    settings: FitConfig = FitConfig(),  # noqa: B008 - frozen
    name: str = "image",
    prior: CodePrior | None = None,
    work: str | Path | None = None,
) -> FittedImage:
    """Find pose, brightness and the three codes of the face in one image.

    ``faces`` is the trained model with its codes; its weights are frozen here. ``image`` is RGBA,
    or RGB with ``mask`` (True on the head); what lies outside the mask is background and shall be
    empty. ``camera`` (face frame, mm, of this image's size) is the guess that the pose starts
    from. ``landmarks`` are 68 image points (pixels, not-a-number where unknown) which lead the
    first half of the fit. ``settings.seed`` and ``name``, which stands in messages, say which
    pixels and samples are drawn. ``prior`` saves making the training people's distribution again
    for many images. With a folder ``work`` the same call goes on where it was killed, to the bit
    with as many threads; whoever owns the folder removes it. The report's seconds are those of all
    runs.

    Raises DataError where image, mask, camera and landmarks do not belong together, TrainingError
    when the loss is no finite number.
    """
    began = time.perf_counter()
    pixels, seen = checked_image(image, mask, camera, name)
    marks = checked_landmarks(landmarks, name)
    faces.model.requires_grad_(False)
    prior = prior or code_prior(faces, settings.floor)
    levels = pyramid(pixels, seen, camera, settings.levels, faces.device)
    known, marked = None, None
    if marks is not None:
        known = torch.from_numpy(marks.astype(np.float32)).to(faces.device)
        marked = LandmarkModel(faces.codes, faces.surfaces, faces.device)
    decoder = Decoder(faces, prior)
    of = fingerprint(faces, settings, pixels, seen, camera, marks)
    folder = None if work is None else Path(work)
    task = Task(faces, prior, decoder, settings, camera, known, marked, name, folder, of)
    unknowns, tried = best_start(task, levels)
    shares = np.array(settings.level_shares) / sum(settings.level_shares)
    counts = [max(1, round(settings.steps * share)) for share in shares]
    trail = task.descend("all levels", unknowns, levels, counts, stop=True)
    codes, posed = decoder.numbers(unknowns), posed_camera(camera, unknowns.pose)
    brightness = float(unknowns.brightness.detach().exp())
    picture = bright(faces.draw(codes, posed, settings.sampling).colour, brightness)
    quality = [psnr(picture.astype(np.float64), pixels / 255.0, where) for where in (None, seen)]
    report = {
        "name": name,
        "seconds": time.perf_counter() - began + sum(task.earlier),
        "start_losses": tried,
        "steps": len(trail.totals),
        "stopped": "settled" if len(trail.totals) < sum(counts) else "all steps done",
        "losses": trail.terms,
        "psnr": quality[0],
        "psnr_masked": quality[1],
        "landmark_residual_pixels": task.landmark_residual(unknowns),
        **_described(faces, unknowns, codes, posed),
    }
    log.info(
        "%s: %.1f dB in the mask after %d steps and %.0f s (from %s)",
        name, quality[1], report["steps"], report["seconds"], min(tried, key=tried.get),
    )  # fmt: skip
    return FittedImage(codes, posed, brightness, report)


def best_start(task: Task, levels: list[Level]) -> tuple[Unknowns, dict[str, float]]:
    """Where the descent begins, and the losses of what was tried, by expression.

    A loss has a valley for every expression. So pose, skin and shape settle first with an even mix,
    on the coarsest level; then all expressions are compared on the next one, where a mouth has more
    than a few pixels, and the best few descend. The best of them goes on.
    """
    faces, config = task.faces, task.config
    common = start(faces, task.prior)
    counts = [config.start_steps]
    task.descend("mean face", common, levels[:1], counts, stop=False, hold_mix=True)
    level = levels[min(1, len(levels) - 1)]
    branches = [branch(common, row) for row in range(len(faces.expressions))]
    ranked = sorted(branches, key=lambda unknowns: task.loss(unknowns, level))[: config.starts]
    tried: dict[str, float] = {}
    for unknowns in ranked:
        row = next(i for i, of in enumerate(branches) if of is unknowns)
        expression = faces.expressions[row]
        task.descend(f"from {expression}", unknowns, [level], counts, stop=False)
        tried[expression] = task.loss(unknowns, level)
    return ranked[int(np.argmin(list(tried.values())))], tried


def fingerprint(
    faces: Faces,
    settings: FitConfig,
    pixels: UInt8[np.ndarray, "h w 3"],
    seen: Bool[np.ndarray, "h w"],
    camera: Camera,
    marks: Float[np.ndarray, "68 2"] | None,
) -> dict[str, Any]:
    """What a fit depends on; another one does not take up this one's work."""
    image = hashlib.sha256()
    for array in (pixels, seen, camera.intrinsics, camera.extrinsics, marks):
        image.update(b"" if array is None else np.ascontiguousarray(array).tobytes())
    return {
        "settings": to_settings(settings),
        "code": content_hash(sources(Path(__file__).parent, CODE)),
        "model": dict(faces.checksums),
        "image": image.hexdigest(),
        "device": faces.device.type,
    }


def bright(
    picture: Float32[np.ndarray, "h w 3"], brightness: float
) -> Float32[np.ndarray, "h w 3"]:
    """A rendered picture with a fit's brightness, colours from 0 to 1."""
    return np.clip(picture * np.float32(brightness), 0.0, 1.0)


def _described(
    faces: Faces, unknowns: Unknowns, codes: FaceCodes, camera: Camera
) -> dict[str, Any]:
    """Pose and codes as plain numbers."""
    moved = motion(unknowns.pose)
    turned = np.clip((np.trace(moved.rotation) - 1) / 2, -1, 1)
    centre = moved.apply(HEAD_CENTRE) - HEAD_CENTRE
    return {
        "brightness": float(unknowns.brightness.detach().exp()),
        "pose": {
            "twist": unknowns.pose.detach().cpu().tolist(),
            "rotation_degrees": float(np.degrees(np.arccos(turned))),
            "translation_mm": float(np.linalg.norm(centre)),
        },
        "camera": {
            "intrinsics": camera.intrinsics.tolist(),
            "extrinsics": camera.extrinsics.tolist(),
            "width": camera.width,
            "height": camera.height,
        },
        "expressions": dict(zip(faces.expressions, codes.mix.tolist(), strict=True)),
        "expression_beside_mix": float(unknowns.residual.detach().norm()),
        "shape_norm": float(unknowns.shape.detach().norm()),
        "shape_code": codes.shape.tolist(),
        "expression_code": codes.expression.tolist(),
        "appearance_code": codes.appearance.tolist(),
    }
