"""A wild photo to a fitted face: prepare, take the light out, fit, draw it anew.

The light is taken out by the mean face's normals. In further rounds it is taken out by those of the
face that was fitted in the round before, and the fit is made again.
"""

import logging
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float, UInt8

from facemill.data.expressions import NEUTRAL
from facemill.errors import ConfigError, DataError
from facemill.files import writing
from facemill.mesh.frames import HEAD_CENTRE
from facemill.mesh.surface import Mesh
from facemill.mofanerf.faces import Faces
from facemill.mofanerf.fit import FittedImage, bright, fit_image
from facemill.mofanerf.fit_config import FitConfig
from facemill.mofanerf.fit_files import write_fit
from facemill.mofanerf.head_pose import LIMIT
from facemill.mofanerf.photo import (
    FindLandmarks,
    PreparedPhoto,
    description,
    neutral_light,
    prepare_photo,
    write_prepared,
)
from facemill.mofanerf.photo_files import read_photo
from facemill.mofanerf.prior import code_prior
from facemill.mofanerf.train import without_denormals
from facemill.render.cameras import orbit
from facemill.render.pixels import eight_bit
from facemill.render.views import DISTANCE, FOCAL, SIZE
from facemill.training.device import choose_device, reproducible
from facemill.training.settings import from_settings

log = logging.getLogger(__name__)

ERROR_GAIN = 4.0
"""Differences of colours are shown four times as large."""

MADE = ("codes.npz", "codes.json", "relit.png", "relit.json", "fitted.png")
MADE += ("views.png", "before_after.png")
"""Files of a fitted photo, in its folder."""


@dataclass(frozen=True)
class PhotoConfig:
    """How a photo is prepared and what is drawn of the face that was found."""

    size: int = 256  # pixels a side of the canonical picture
    focal: float | None = None  # pixels of the photo; None: its EXIF data, or 1.2 longer sides
    max_residual: float = LIMIT  # of the pose, share of the distance between the eyes
    rounds: int = 1  # of taking the light out and fitting; 0 fits the photo under its own light
    yaws: tuple[float, ...] = (-60.0, -30.0, 0.0, 30.0, 60.0)  # degrees, of the new views
    views_size: int = 192  # pixels of each
    starts: int | None = None  # of a fit; None: as fit.starts
    steps: int | None = None  # likewise
    device: Literal["auto", "cpu", "cuda"] = "auto"

    def __post_init__(self) -> None:
        for name, least in (("size", 32), ("rounds", 0), ("views_size", 16)):
            if getattr(self, name) < least:
                raise ConfigError(f"{name}: found {getattr(self, name)}, expected {least} or more")


@dataclass(frozen=True)
class PhotoSettings:
    """The parts of the configuration that a fitted photo depends on."""

    photo: PhotoConfig = field(default_factory=PhotoConfig)
    fit: FitConfig = field(default_factory=FitConfig)


def fit_photo(
    model: str | Path,
    codes: str | Path,
    photo: str | Path,
    settings: Mapping[str, Any],
    out: str | Path,
    landmarks: str | Path | None = None,
    mask: str | Path | None = None,
    detector: str | Path | None = None,
    figure: str | Path | None = None,
    threads: int | None = None,
    work: str | Path | None = None,
) -> None:
    """Fit a trained model to one photo and write ``MADE`` into the folder ``out``.

    ``settings`` holds ``photo`` and ``fit``. ``landmarks`` and ``mask`` default to the files beside
    the photo; where there are no landmarks, ``detector`` (a network's file) finds them. ``figure``
    is a picture of it all to write as well. With a folder ``work``, which is removed at the end, a
    run that was killed goes on. Raises DataError or GeometryError for a photo that cannot be used,
    before anything is fitted.
    """
    config = from_settings(PhotoSettings, settings, "mofanerf")
    faces = Faces(model, codes, choose_device(config.photo.device))
    prepared = prepare_photo(
        photo,
        neutral_landmarks(faces),
        config.photo.size,
        config.photo.focal,
        config.photo.max_residual,
        landmarks=landmarks,
        mask=mask,
        detect=None if detector is None else finder(detector, str(photo)),
    )
    log.info(
        "%s: landmarks %.1f pixels (rms) from the mean face's, mask from %s, focal length %s",
        photo, prepared.pose.residual, prepared.mask_from,
        "known" if prepared.focal_known else "guessed",
    )  # fmt: skip
    if cut_off(prepared):
        log.warning("%s: the head is cut off by the photo's border; its shape suffers", photo)
    with reproducible(faces.device, threads or torch.get_num_threads()), without_denormals():
        relit, fitted = fit_prepared(faces, prepared, config, Path(photo).stem, work)
    fitted = replace(fitted, report=fitted.report | about(prepared, relit))
    write_fit(fitted, model, Path(out) / "codes.npz", Path(out) / "codes.json")
    draw(faces, Path(photo), prepared, relit, fitted, config, Path(out), figure)
    if work is not None:
        shutil.rmtree(work, ignore_errors=True)


def fit_prepared(
    faces: Faces,
    prepared: PreparedPhoto,
    config: PhotoSettings,
    name: str,
    work: str | Path | None = None,
) -> tuple[PreparedPhoto, FittedImage]:
    """The picture that was fitted, its light taken out, and the fit.

    Each round takes the light out of the photo itself, by the best surface so far, and fits anew
    from the best pose so far.
    """
    wanted = {name: getattr(config.photo, name) for name in ("starts", "steps")}
    settings = replace(config.fit, **{k: v for k, v in wanted.items() if v is not None})
    prior = code_prior(faces, settings.floor)
    surface, camera = mean_face(faces), prepared.camera
    for number in range(max(1, config.photo.rounds)):
        posed = replace(prepared, camera=camera)
        relit = neutral_light(posed, surface) if config.photo.rounds else posed
        fitted = fit_image(
            faces,
            relit.colour,
            relit.mask,
            camera,
            prepared.landmarks,
            replace(settings, seed=settings.seed + number),
            name,
            prior,
            None if work is None else Path(work) / f"round {number + 1}",
        )
        surface, camera = faces.surface_of(fitted.codes), fitted.camera
    return relit, fitted


def neutral_landmarks(faces: Faces) -> Float[np.ndarray, "68 3"]:
    """Mean neutral landmarks of the training people (face frame, mm)."""
    names = [f"landmarks/{person}/{NEUTRAL}" for person in faces.train_people]
    found = [faces.codes.array(name) for name in names if name in faces.codes]
    if not found:
        raise DataError(
            f"{faces.codes.path}: no neutral landmarks of training people. Delete it to have "
            "mofanerf_codes make it again."
        )
    return np.mean(found, axis=0, dtype=np.float64)


def mean_face(faces: Faces) -> Mesh:
    """The neutral mean face of the model (face frame, mm)."""
    shape = np.zeros(len(faces.surfaces.basis), np.float32)
    return faces.surfaces.blend(shape, np.zeros(len(faces.expressions), np.float32))


def finder(detector: str | Path, name: str) -> FindLandmarks:
    """Landmarks by a network's file, which is loaded when it is first needed."""
    from facemill.mofanerf.detector import detect_landmarks, load_detector

    def detect(colour: UInt8[np.ndarray, "h w 3"]) -> Float[np.ndarray, "68 2"]:
        return detect_landmarks(colour, *load_detector(detector), name)

    return detect


def cut_off(prepared: PreparedPhoto) -> bool:
    """Whether the head touches the border of what the photo shows, other than at the neck."""
    from scipy.ndimage import binary_erosion

    edge = prepared.inside & ~binary_erosion(prepared.inside, iterations=2)
    above = np.arange(len(edge))[:, None] < prepared.landmarks[8, 1]
    return bool((edge & above & prepared.mask).sum() > 0.02 * len(edge))


def about(prepared: PreparedPhoto, relit: PreparedPhoto) -> dict[str, Any]:
    """What is known of the photo, and its light (null: not estimated), for the report."""
    return {"photo": description(prepared), "light": description(relit)["light"]}


def draw(
    faces: Faces,
    photo: Path,
    prepared: PreparedPhoto,
    relit: PreparedPhoto,
    fitted: FittedImage,
    config: PhotoSettings,
    out: Path,
    figure: str | Path | None = None,
) -> None:
    """Write the pictures: the prepared photo, the model's, new views, all side by side."""
    from facemill.figures.layout import grid
    from facemill.render.png import png

    sampling, size = config.fit.sampling, config.photo.size
    image = faces.draw(fitted.codes, fitted.camera, sampling)
    model = eight_bit(bright(image.colour, fitted.brightness))
    write_prepared(relit, out / "relit.png", out / "relit.json")
    alpha = eight_bit(image.opacity)[..., None]
    with writing(out / "fitted.png") as part:
        part.write_bytes(png(np.concatenate([model, alpha], axis=2)))
    error = np.abs(model.astype(int) - relit.colour) * relit.mask[..., None]
    shown = {
        "photo": squared(read_photo(photo).colour, size),
        "cut out": prepared.colour,
        "light taken out": relit.colour if config.photo.rounds else None,
        f"model, {fitted.report['psnr_masked']:.1f} dB": model,
        f"difference x {ERROR_GAIN:g}": np.clip(ERROR_GAIN * error, 0, 255).astype(np.uint8),
    }
    shown = {label: picture for label, picture in shown.items() if picture is not None}
    views = dict(
        zip(
            (f"{yaw:g}°" for yaw in config.photo.yaws),
            new_views(faces, fitted, config),
            strict=True,
        )
    )
    grid([list(shown.values())], out / "before_after.png", column_labels=list(shown))
    grid([list(views.values())], out / "views.png", column_labels=list(views))
    if figure is not None:
        rows = [list(shown.values()), [squared(view, size) for view in views.values()]]
        columns = max(map(len, rows))
        captions = [[*texts, *[""] * columns][:columns] for texts in (shown, views)]
        grid(rows, figure, ["one photo", "new views"], captions=captions, cell=1.15)


def new_views(
    faces: Faces, fitted: FittedImage, config: PhotoSettings
) -> list[UInt8[np.ndarray, "s s 3"]]:
    """The fitted face from the directions of the settings, with the photo's brightness."""
    size, pictures = config.photo.views_size, []
    for yaw in config.photo.yaws:
        camera = orbit(yaw, 0.0, DISTANCE, FOCAL * size / SIZE, size, size, HEAD_CENTRE)
        seen = faces.draw(fitted.codes, camera, config.fit.sampling).colour
        pictures.append(eight_bit(bright(seen, fitted.brightness)))
    return pictures


def squared(colour: UInt8[np.ndarray, "h w 3"], size: int) -> UInt8[np.ndarray, "s s 3"]:
    """A picture in the middle of a white square, its longer side filling it."""
    from PIL import Image

    height, width = colour.shape[:2]
    scale = size / max(height, width)
    small = Image.fromarray(colour).resize(
        (max(1, round(width * scale)), max(1, round(height * scale))), Image.Resampling.LANCZOS
    )
    square = Image.new("RGB", (size, size), "white")
    square.paste(small, ((size - small.width) // 2, (size - small.height) // 2))
    return np.array(square)
