"""NFS's numbers on people nobody trained on: cloning, neutrals, rig weights, segments."""

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import permutations
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float

from facemill.errors import ConfigError
from facemill.mesh.frames import FACE_TO_NFS
from facemill.mesh.laplacian import laplacian_coordinates
from facemill.mesh.operators import Operators, read_operators
from facemill.metrics.scores import write_records
from facemill.nfs.baselines import copy_neutral, nearest_point_transfer
from facemill.nfs.data import require_room
from facemill.nfs.model import NFS, Target, load_model
from facemill.nfs.people import Labelled, read_people
from facemill.nfs.surface import surface_of
from facemill.nfs.table import CLONED, COLUMNS, NEUTRAL, RIG, SELF, Value

log = logging.getLogger(__name__)

MILLIMETRES = 1.0 / FACE_TO_NFS.scale
INNER, OUTER = 1.0, 2.25
"""Distances from the nose tip, canonical units: the mask of the inner face is 1 up to the first
and falls to 0 at the second (PDB)."""


@dataclass(frozen=True)
class Case:
    """A test person on their mesh with all test expressions, canonical units."""

    person: str
    operators: Operators
    mask: Float[np.ndarray, " v"]
    frames: Float[np.ndarray, "b v 3"]


def evaluate(
    model_path: str | Path, people: str | Path, method: str, threads: int, out: str | Path
) -> None:
    """Measure a model and its baselines on the labelled test people; a row per person and metric.

    Splits: self-retargeting (a person's expressions through the network onto the same mesh),
    expressions of one test person on another one, neutral onto itself, rig weights.
    """
    torch.set_num_threads(threads)
    model, _ = load_model(model_path)
    labelled = read_people(Path(people) / "people.npz")
    require_room(model.config, labelled)
    region = labelled.regions[-1]
    cases = [
        person_case(labelled, Path(people), person, region) for person in labelled.people["test"]
    ]
    if not cases:
        raise ConfigError("nfs.data.test_people: found 0, expected people to measure on")
    with torch.no_grad():
        targets = [model.target(_surface(model, case.operators)) for case in cases]
        rows = list(_rows(model, labelled, cases, targets, method))
    write_records(out, COLUMNS, rows)


def person_case(labelled: Labelled, folder: Path, person: str, region: str) -> Case:
    """A test person's mesh, mask and true frames."""
    operators = read_operators(folder / f"{person}-{region}.npz")
    everything = np.arange(len(labelled.model.neutral))
    zero = np.zeros((1, len(labelled.model.units)))
    neutral = labelled.frames(person, zero, everything)[0]
    nose_tip = neutral[labelled.model.landmarks[30]]
    frames = labelled.frames(person, labelled.expressions["test"], operators.source)
    mask = inner_mask(operators.mesh.vertices, nose_tip)
    return Case(person, operators, mask, frames)


def inner_mask(
    vertices: Float[np.ndarray, "v 3"], nose_tip: Float[np.ndarray, "3"]
) -> Float[np.ndarray, " v"]:
    """1 near the nose tip, falling smoothly to 0 outside the face (PDB's quintic step)."""
    t = np.clip((np.linalg.norm(vertices - nose_tip, axis=1) - INNER) / (OUTER - INNER), 0.0, 1.0)
    return 1.0 - (10 * t**3 - 15 * t**4 + 6 * t**5)


def vertex_metrics(
    found: Float[np.ndarray, "b v 3"], case: Case
) -> Iterator[tuple[str, str, float]]:
    """Metric, unit and value of frames against the truth.

    ``vertex_mse_inner`` is the published measure read as canonical units: mean over vertices and
    coordinates of the squared residual times the mask. ``vertex_rms_inner`` is the root of the
    mean squared length, in mm, weighted by the mask. Laplacian coordinates are M^-1 L x.
    """
    difference = found - case.frames
    inside = difference * case.mask[:, None]
    yield "vertex_mse_inner", "1e-4 dm2", 1e4 * float((inside**2).mean())
    square = (difference**2).sum(axis=2)
    weight = np.broadcast_to(case.mask, square.shape)
    rms = np.sqrt((square * weight).sum() / weight.sum())
    yield "vertex_rms_inner", "mm", MILLIMETRES * float(rms)
    yield "vertex_max", "mm", MILLIMETRES * float(np.sqrt(square.max()))
    operators = case.operators
    mass = operators.mass.astype(np.float64)
    bent = [laplacian_coordinates(operators.laplacian, mass, one) for one in difference]
    yield "laplacian_rms", "1/dm", float(np.sqrt(np.mean([(b**2).sum(axis=1) for b in bent])))


def _rows(
    model: NFS, labelled: Labelled, cases: list[Case], targets: list[Target], method: str
) -> Iterator[Value]:
    codes = [model.codes(t, _tensor(case.frames)) for t, case in zip(targets, cases, strict=True)]

    def value(split: str, by: str, person: str, metric: str, unit: str, number: float, n: int):
        return Value("nfs", by, split, person, metric, unit, number, n)

    def compared(split: str, found: Mapping[str, Callable[[], np.ndarray]], case: Case):
        for by, make in found.items():
            for metric, unit, number in vertex_metrics(make(), case):
                yield value(split, by, case.person, metric, unit, number, len(case.frames))

    for case, target, code in zip(cases, targets, codes, strict=True):
        still = copy_neutral(case.operators.mesh, len(case.frames))
        found = {
            method: lambda target=target, code=code: _decoded(model, target, code),
            "copy_neutral": lambda still=still: still,
        }
        yield from compared(SELF, found, case)
        neutral = replace(case, frames=case.operators.mesh.vertices[None])
        own = model.codes(target, target.surface.vertices[None])
        found = {method: lambda target=target, own=own: _decoded(model, target, own)}
        yield from compared(NEUTRAL, found, neutral)
        for metric, number in rig_metrics(model, labelled, code).items():
            yield value(RIG, method, case.person, metric, "1", number, len(code))
        if target.logits is not None:
            right = target.logits.argmax(dim=1).numpy() == labelled.labels[case.operators.source]
            yield value(
                RIG, method, case.person, "segment_accuracy", "1", float(right.mean()), len(right)
            )
        log.info("%s measured", case.person)
    for i, j in permutations(range(len(cases)), 2):
        first, second = cases[i], cases[j]
        found = {
            method: lambda i=i, j=j: _decoded(model, targets[j], codes[i]),
            "copy_neutral": lambda j=j: copy_neutral(cases[j].operators.mesh, len(codes[j])),
            "nearest_point_transfer": lambda a=first, b=second: nearest_point_transfer(
                a.operators.mesh, a.frames, b.operators.mesh
            ),
        }
        yield from compared(CLONED, found, second)


def rig_metrics(
    model: NFS, labelled: Labelled, codes: Float[torch.Tensor, "b z"]
) -> dict[str, float]:
    """Predicted unit weights (cut to 0 .. 1) against the true ones.

    Correlation over all entries; mean absolute error over the entries that are not zero.
    """
    true = labelled.expressions["test"]
    found = codes[:, : true.shape[1]].clamp(0.0, 1.0).numpy().astype(np.float64)
    active = true > 0
    flat = found.std() < 1e-12
    correlation = 0.0 if flat else float(np.corrcoef(found.ravel(), true.ravel())[0, 1])
    return {
        "rig_correlation": correlation,
        "rig_error_active": float(np.abs(found - true)[active].mean()),
    }


def _decoded(model: NFS, target: Target, codes: torch.Tensor) -> np.ndarray:
    return model.decode(target, codes).numpy().astype(np.float64)


def _tensor(array: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.asarray(array, np.float32))


def _surface(model: NFS, operators: Operators):
    return surface_of(operators, poisson=model.config.decoder == "jacobian")
