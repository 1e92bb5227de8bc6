"""How well dense correspondence holds, in millimetres, where the truth is known.

Scans of one topology have it: vertex i of one is vertex i of all. Points of a scan A (its 68
landmarks; its visible vertices) are carried to the reconstruction of a scan B and compared with the
same landmarks and vertices of scan B. Beside it stands what needs no model: the nearest point in
space on the same reconstruction. docs/metrics.md has the definitions.
"""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from facemill.data.expressions import NEUTRAL
from facemill.data.packs import FacePack
from facemill.errors import ConfigError, DataError
from facemill.files import read_json, reading_npz
from facemill.imface.correspondence import match, on_template, seen_vertices, template_places
from facemill.imface.interpolate import FIT_AGAIN, ScanCodes, codes_of, read_codes
from facemill.imface.model import ImFace, load_model
from facemill.mesh.surface import Mesh
from facemill.metrics.tables import Row, as_markdown, write_table
from facemill.randomness import generator
from facemill.training.settings import from_settings

log = logging.getLogger(__name__)

NEAREST = "nearest_in_space"
"""The method that matches a point with the nearest point of the other surface as it stands."""


@dataclass(frozen=True)
class CorrespondenceConfig:
    """How much is compared."""

    points: int = 5000  # visible vertices of a scan that are carried, at most
    seed: int = 0  # of their choice

    def __post_init__(self) -> None:
        if self.points < 1:
            raise ConfigError(f"points: found {self.points}, expected at least 1")


@dataclass(frozen=True)
class FittedScan:
    """What is known of a scan, and what a model makes of it; face frame, mm."""

    name: str
    scan: Mesh  # in its own vertex order
    landmarks: Float[np.ndarray, "68 3"]
    seen: Bool[np.ndarray, " v"]  # its visible vertices
    codes: ScanCodes
    surface: Mesh  # the reconstruction
    template: Mesh  # the reconstruction in the template space


def correspondence_table(
    index: str | Path,
    faces: str | Path,
    methods: Mapping[str, tuple[str | Path, str | Path]],
    settings: Mapping[str, Any],
    out: str | Path,
) -> list[Row]:
    """Mean errors over pairs of scans of unseen people, as a tidy CSV.

    ``faces`` holds ``<person>.npz``; ``methods`` gives each variant's model and its folder of fits.
    Pairs are every test person and the next one with the same expression, and every person's
    neutral scan and each other expression. The way without a model runs on the first variant's
    reconstructions. Raises DataError where no pair is left.
    """
    config = from_settings(CorrespondenceConfig, settings, "imface.correspondence")
    split = read_json(index)["split"]
    expressions = [*split["seen_expressions"], *split["unseen_expressions"]]
    found: dict[tuple[str, str, str], list[float]] = {}
    for number, (method, (model, fits)) in enumerate(methods.items()):
        network, _ = load_model(model)
        network.requires_grad_(False)
        scans = {
            expression: [
                scan
                for person in split["test"]
                if (scan := _read(network, Path(faces), Path(fits), person, expression))
            ]
            for expression in expressions
        }
        for kind, a, b in pairs(scans, split["unseen_expressions"]):
            questions = questions_of(a, b, config)
            errors = {method: errors_of(questions, through_template(network, a, b))}
            if number == 0:
                errors[NEAREST] = errors_of(questions, through_space(b))
            for name, values in errors.items():
                log.info("%s, %s to %s: %s", name, a.name, b.name, _listed(values))
                for metric, value in values.items():
                    found.setdefault((name, kind, metric), []).append(value)
    if not found:
        raise DataError(
            f"{index}: no two fitted scans of test people to compare; correspondence needs two "
            "people or two expressions. Add test people to the split."
        )
    rows = [
        Row("imface", name, kind, metric, "mm", float(np.mean(values)), len(values))
        for (name, kind, metric), values in found.items()
    ]
    write_table(out, rows)
    log.info("%s\n\n%s", out, as_markdown(rows))
    return rows


def pairs(
    scans: Mapping[str, Sequence[FittedScan]], unseen: Sequence[str]
) -> Iterator[tuple[str, FittedScan, FittedScan]]:
    """(split, from, to): each person to the next, and everybody's neutral scan to the others.

    ``scans`` by expression. One person alone has nobody next to it.
    """
    neutral = {scan.name.split("/")[0]: scan for scan in scans.get(NEUTRAL, ())}
    for expression, those in scans.items():
        ending = f"{'unseen' if expression in unseen else 'seen'} expressions"
        for a, b in zip(those, [*those[1:], *those[:1]], strict=True):
            if a is not b:
                yield f"unseen people to each other, {ending}", a, b
        for b in those:
            a = neutral.get(b.name.split("/")[0])
            if expression != NEUTRAL and a is not None:
                yield f"unseen people, neutral to {ending}", a, b


Questions = Mapping[str, tuple[Float[np.ndarray, "n 3"], Float[np.ndarray, "n 3"]]]
"""Points of one scan, and where they truly are in another, by what they are."""


def questions_of(a: FittedScan, b: FittedScan, config: CorrespondenceConfig) -> Questions:
    """The landmarks of both scans; their common visible vertices where they are of one topology."""
    questions = {"landmark_transfer": (a.landmarks, b.landmarks)}
    if not np.array_equal(a.scan.faces, b.scan.faces):
        log.info("%s and %s have other triangles: landmarks only", a.name, b.name)
        return questions
    common = np.flatnonzero(a.seen & b.seen)
    rng = generator(config.seed, "imface_correspondence", a.name, b.name)
    chosen = rng.permutation(common)[: config.points]
    return questions | {"correspondence": (a.scan.vertices[chosen], b.scan.vertices[chosen])}


Carrier = Callable[[Float[np.ndarray, "n 3"]], Float[np.ndarray, "n 3"]]
"""Points of one scan to the places that a method takes for theirs in another."""


def through_template(model: ImFace, a: FittedScan, b: FittedScan) -> Carrier:
    """The nearest point of b's reconstruction in the template space."""
    return lambda points: match(template_places(model, a.codes, points), b.template).interpolate(
        b.surface.vertices, b.surface.faces
    )


def through_space(b: FittedScan) -> Carrier:
    """The nearest point of b's reconstruction where both scans stand: no model is asked."""
    return lambda points: match(points, b.surface).interpolate(b.surface.vertices, b.surface.faces)


def errors_of(questions: Questions, carry: Carrier) -> dict[str, float]:
    """Mean and median distance, mm, between where points are carried and where they belong."""
    points, truth = (np.concatenate([pair[i] for pair in questions.values()]) for i in (0, 1))
    distances = np.linalg.norm(carry(points) - truth, axis=1)
    ends = np.cumsum([len(points) for points, _ in questions.values()])
    errors = dict(zip(questions, np.split(distances, ends[:-1]), strict=True))
    return {
        f"{name}_{word}": float(of(values))
        for name, values in errors.items()
        if len(values)
        for word, of in (("mean", np.mean), ("median", np.median))
    }


def _read(
    model: ImFace, faces: Path, fits: Path, person: str, expression: str
) -> FittedScan | None:
    """A scan from its face pack and its fit; None where the fit has none of this expression."""
    fit, pack = fits / f"{person}.npz", FacePack(faces / f"{person}.npz")
    codes = read_codes(fit)
    if expression not in codes:
        log.info("%s: no %s, left out", fit, expression)
        return None
    with reading_npz(fit, FIT_AGAIN) as arrays:
        surface = Mesh(arrays[f"{expression}/vertices"], arrays[f"{expression}/faces"])
    found = codes_of(codes, expression, fit)
    return FittedScan(
        f"{person}/{expression}",
        pack.registered(expression),
        pack.landmarks(expression),
        seen_vertices(pack, expression),
        found,
        surface,
        on_template(model, found, surface),
    )


def _listed(values: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.2f} mm" for name, value in values.items())
