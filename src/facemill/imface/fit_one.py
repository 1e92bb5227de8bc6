"""Fitting a trained ImFace to raw scans: from a file of any frame to mesh, codes and errors.

Place the scan on the model's mean face, keep what is visible of it, sample what is certain about
its signed distance, find codes and a small motion together, extract, measure, draw. How and why:
docs/imface.md.
"""

import hashlib
import logging
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float, Float32

from facemill.data.align import Reference
from facemill.data.inputs import RawScan
from facemill.data.place import Placement, place
from facemill.data.raw_scan import Scan, read_raw_scan
from facemill.errors import ConfigError
from facemill.files import write_npz
from facemill.imface.config import ExtractionConfig, FitConfig
from facemill.imface.fit import TERMS, Codes, RawScans, fingerprint, fit_scans
from facemill.imface.model import ImFace, load_model
from facemill.imface.reconstruct import condition_of, gradient_normals, reconstruct
from facemill.mesh.crop import large_parts
from facemill.mesh.distance import distance_to_mesh
from facemill.mesh.frames import FACE_TO_IMFACE, NOSE_TIP, Similarity
from facemill.mesh.io import write_ply
from facemill.mesh.pseudo_samples import Oriented, pseudo_samples, visible_surface
from facemill.mesh.surface import Mesh
from facemill.metrics.scores import write_records
from facemill.randomness import generator
from facemill.training.device import choose_device, reproducible
from facemill.training.settings import from_settings

log = logging.getLogger(__name__)

CROP_RADIUS = 100.0
"""Of the ball that ImFace knows, mm."""

MEAN_RESOLUTION = 64
"""Grid of the mean face that scans are placed on."""

PLACING_POINTS = 8000
"""Points of a scan that look for its place."""

INNER_RADIUS = 80.0
"""mm about the nose tip: the inner face."""

SCORE_COLUMNS = ("scan", "metric", "unit", "value")


@dataclass(frozen=True)
class FitOneConfig:
    """How a raw scan is read and placed."""

    unit: Literal[
        "auto", "millimetres", "centimetres", "decimetres", "metres", "inches", "unknown"
    ] = "auto"  # of the scan's coordinates
    max_residual: float = 2.5  # mm, rms to the mean face; twice as much for landmarks
    refine_pose: bool = True  # find a small motion together with the codes
    share_identity: bool = False  # one identity code for all inputs
    points: int = 60_000  # samples of each scan, on the surface and off it

    def __post_init__(self) -> None:
        if not self.max_residual > 0:
            raise ConfigError(f"max_residual: found {self.max_residual}, expected above 0")
        if self.points < 100:
            raise ConfigError(f"points: found {self.points}, expected at least 100")


@dataclass(frozen=True)
class FitOneSettings:
    """The part of the configuration that imface_fit_one depends on."""

    fit: FitConfig = field(default_factory=FitConfig)
    extraction: ExtractionConfig = field(default_factory=ExtractionConfig)
    fit_one: FitOneConfig = field(default_factory=FitOneConfig)


@dataclass(frozen=True)
class Score:
    """One number about one scan."""

    scan: str
    metric: str
    unit: str
    value: float


@dataclass(frozen=True)
class FittedScan:
    """A scan and what was fitted to it, both in the face frame, mm."""

    name: str
    scan: Oriented
    mesh: Mesh
    normals: Float[np.ndarray, "v 3"]
    placement: Placement
    source_to_face: Similarity
    scores: list[Score]


@dataclass(frozen=True)
class SamplesInMemory:
    """Samples of raw scans with the face of a sample pack (:class:`facemill.imface.fit.Samples`).

    Landmarks that nobody gave are not-a-number.
    """

    path: Path
    rows: int
    scans: Mapping[str, Float32[np.ndarray, "rows 7"]]
    marks: Mapping[str, Float32[np.ndarray, "68 3"]]

    def block(self, expression: str, start: int, count: int) -> Float32[np.ndarray, "count 7"]:
        """``count`` rows from ``start`` on, going round at the end."""
        return self.scans[expression][np.arange(start, start + count) % self.rows]

    def landmarks(self, expression: str) -> Float32[np.ndarray, "68 3"]:
        """Landmarks in the face frame, mm."""
        return self.marks[expression]


def fit_one(
    model: str | Path,
    scans: Sequence[RawScan],
    settings: Mapping[str, Any],
    out: str | Path,
    threads: int | None = None,
    work: str | Path | None = None,
) -> list[FittedScan]:
    """Fit raw scans and write ``<out>/<scan>/`` for each (docs/data-layouts.md).

    ``settings`` holds ``fit``, ``extraction`` and ``fit_one``. All scans are read and placed before
    the first is fitted, so that what is wrong with one is said at once. With a folder ``work``,
    which is removed at the end, a run that was killed goes on with the codes it had found.
    """
    from facemill.imface.fit_one_pictures import error_picture, turntable

    config = from_settings(FitOneSettings, settings, "imface")
    network, _ = load_model(model)
    own = config.fit_one
    read = {raw.name: read_raw_scan(raw.scan, raw.landmarks) for raw in scans}
    device = choose_device(config.fit.device)
    with reproducible(device, threads or torch.get_num_threads()):
        network = network.to(device).requires_grad_(False)
        reference = mean_face(network, config.extraction)
        placed = {}
        for name, scan in read.items():
            rng = generator(config.fit.seed, "imface_fit_one", "place", name)
            points = scan.spread(PLACING_POINTS, rng)
            placed[name] = place(
                points, scan.landmarks, reference, own.unit, own.max_residual, str(scan.path)
            )
        depends_on = fingerprint(config, model, device)
        codes = _codes(network, read, placed, config, work and Path(work), depends_on)
        fitted = [
            _fitted(network, name, read[name], placed[name], codes, i, config)
            for i, name in enumerate(placed)
        ]
    for i, one in enumerate(fitted):
        folder = Path(out) / one.name
        error_picture(one, folder / "error_map.png")
        turntable(one, folder / "turntable.png")
        write_records(folder / "scores.csv", SCORE_COLUMNS, one.scores)
        back = one.source_to_face.inverse()
        in_scan = Mesh(back.apply(one.mesh.vertices), one.mesh.faces)
        write_ply(folder / "mesh_face_frame.ply", one.mesh, one.normals)
        write_ply(folder / "mesh.ply", in_scan, back.apply_to_normals(one.normals))
        write_npz(folder / "codes.npz", _arrays(one, codes, i))
    if work is not None:
        shutil.rmtree(work, ignore_errors=True)
    return fitted


def mean_face(model: ImFace, extraction: ExtractionConfig) -> Reference:
    """The face of the mean codes and the template's landmarks, face frame, mm."""
    config = replace(extraction, resolution=MEAN_RESOLUTION, visible=True)
    mesh = reconstruct(
        model,
        model.identity_codes.weight.mean(dim=0),
        model.expression_codes.weight.mean(dim=0),
        config,
    )
    landmarks = FACE_TO_IMFACE.inverse().apply(model.template_landmarks.cpu().numpy())
    return Reference(mesh, landmarks)


def _codes(
    model: ImFace,
    read: Mapping[str, Scan],
    placed: Mapping[str, Placement],
    config: FitOneSettings,
    work: Path | None,
    depends_on: Mapping[str, Any],
) -> Codes:
    """Codes and motions of all scans, together or one by one; ``work`` keeps those under way."""
    own = config.fit_one
    rows, marks = {}, {}
    for name, scan in read.items():
        to_face = placed[name].similarity
        rng = generator(config.fit.seed, "imface_fit_one", "samples", name)
        surface = visible_surface(scan.shape, to_face, CROP_RADIUS, own.points, rng, str(scan.path))
        rows[name] = pseudo_samples(surface, own.points, rng)
        marks[name] = np.full((68, 3), np.nan, np.float32)
        for number, point in scan.landmarks.items():
            marks[name][number] = to_face.apply(point)
    given = any(np.isfinite(known).any() for known in marks.values())
    fit = replace(
        config.fit,
        share_identity=own.share_identity,
        landmarks=config.fit.landmarks and given,
    )
    unknown = any(place.unit == "unknown" for place in placed.values())
    raw_scans = RawScans(pose_rate=2e-3 if own.refine_pose else 0.0, with_scale=unknown)

    def fitted(names: list[str]) -> Codes:
        samples = SamplesInMemory(read[names[0]].path, own.points, rows, marks)
        digest = hashlib.sha256()
        for name in names:
            digest.update(rows[name].tobytes() + marks[name].tobytes())
        known = {"scans": names, "samples": digest.hexdigest(), "raw": asdict(raw_scans)}
        of = {**depends_on, **known}
        return fit_scans(model, samples, names, fit, raw_scans, work and work / names[0], of)

    if own.share_identity:
        return fitted(list(read))
    each = [fitted([name]) for name in read]
    return Codes(
        torch.cat([codes.identity for codes in each]),
        torch.cat([codes.expression for codes in each]),
        {name: float(np.mean([codes.losses[name] for codes in each])) for name in each[0].losses},
        tuple(motion for codes in each for motion in codes.motions),
        None if each[0].detail is None else torch.cat([codes.detail for codes in each]),
    )


def _fitted(
    model: ImFace,
    name: str,
    scan: Scan,
    placement: Placement,
    codes: Codes,
    item: int,
    config: FitOneSettings,
) -> FittedScan:
    """Mesh and scores of one scan at its final place."""
    to_face = codes.motions[item].after(placement.similarity)
    own = codes.of(item)
    mesh = large_parts(reconstruct(model, own[0], own[1], config.extraction, own[2]))
    normals = gradient_normals(model, condition_of(model, *own), mesh.vertices)
    rng = generator(config.fit.seed, "imface_fit_one", "score", name)
    seen = visible_surface(
        scan.shape, to_face, CROP_RADIUS, config.fit_one.points, rng, str(scan.path)
    )
    distance, _, _ = distance_to_mesh(seen.points, mesh)
    inner = np.linalg.norm(seen.points - NOSE_TIP, axis=1) <= INNER_RADIUS
    scores = [
        Score(name, f"completeness_{what}{where}", "mm", float(value))
        for where, chosen in (("", distance), ("_inner", distance[inner]))
        if len(chosen)
        for what, value in (
            ("mean", chosen.mean()),
            ("median", np.median(chosen)),
            ("rms", np.sqrt((chosen**2).mean())),
            ("p95", np.quantile(chosen, 0.95)),
        )
    ]
    scores.append(Score(name, "alignment_surface_rms", "mm", placement.surface_residual))
    if placement.landmark_residual is not None:
        scores.append(Score(name, "alignment_landmark_rms", "mm", placement.landmark_residual))
    scores.append(Score(name, "millimetres_per_unit", "mm", to_face.scale))
    log.info(
        "%s: scan to reconstruction %.2f mm mean, %.2f mm median, %.2f mm at the 95th percentile",
        name, *(score.value for score in scores[:4] if not score.metric.endswith("rms")),
    )  # fmt: skip
    return FittedScan(name, seen, mesh, normals, placement, to_face, scores)


def _arrays(one: FittedScan, codes: Codes, item: int) -> dict[str, np.ndarray]:
    """What codes.npz holds: the layout of a fit file, and the way from the scan's frame."""
    names = [name for name in TERMS if name in codes.losses]
    own = {
        "vertices": one.mesh.vertices.astype(np.float32),
        "faces": one.mesh.faces.astype(np.int32),
        "identity_code": codes.identity[item].cpu().numpy(),
        "expression_code": codes.expression[item].cpu().numpy(),
        "losses": np.array([codes.losses[name] for name in names], np.float32),
        "source_to_face": one.source_to_face.matrix,
    }
    if codes.detail is not None:
        own["detail_code"] = codes.detail[item].cpu().numpy()
    return {f"{one.name}/{key}": value for key, value in own.items()} | {
        "loss_names": np.array(names)
    }
