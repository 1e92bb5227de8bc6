"""NFS's numbers on people nobody trained on: cloning, cycles, neutrals, weights, segments."""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import permutations
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float

from facemill.data.expressions import NEUTRAL as NEUTRAL_SCAN
from facemill.data.packs import FacePack
from facemill.data.scans import NOSE_TIP
from facemill.errors import ConfigError
from facemill.mesh.frames import NFS_NOSE_TIP
from facemill.mesh.operators import read_operators
from facemill.metrics.scores import write_records
from facemill.nfs.baselines import blendshape_oracle, drawn_known_transfer
from facemill.nfs.cycle import by_nearest_points, cycle_metrics, still
from facemill.nfs.data import person_frames, require_room
from facemill.nfs.measures import (
    Case,
    drawn_mask,
    inner_mask,
    rig_metrics,
    unit_metrics,
    vertex_metrics,
)
from facemill.nfs.model import NFS, load_model
from facemill.nfs.people import Labelled, read_people
from facemill.nfs.retarget import Clone
from facemill.nfs.rig import codes_of, unit_offsets
from facemill.nfs.table import (
    CLONED,
    COLUMNS,
    CYCLE,
    CYCLE_SCANNED,
    DRIVEN,
    NEUTRAL,
    RIG,
    SELF,
    SELF_SCANNED,
    Value,
)

log = logging.getLogger(__name__)

CHUNK = 8
"""Frames that go through the network at a time."""


def evaluate(
    model_path: str | Path,
    people: str | Path,
    method: str,
    threads: int,
    out: str | Path,
    scanned: Sequence[str] = (),
    operators: str | Path | None = None,
    faces: str | Path | None = None,
) -> None:
    """Measure a model and its baselines on the labelled test people; a row per person and metric.

    Splits: self-retargeting (a person's expressions through the network onto the same mesh),
    expressions of one test person on another one, neutral onto itself, weights read and weights
    that drive. ``scanned``
    are test people of the data set, whose ``<person>.npz`` lie in the folders ``operators`` and
    ``faces``: they are measured on themselves, and expressions go over their meshes and back.
    """
    torch.set_num_threads(threads)
    model, _ = load_model(model_path)
    labelled = read_people(Path(people) / "people.npz")
    require_room(model.config, labelled)
    region = labelled.regions[-1]
    drawn = [
        person_case(labelled, Path(people), person, region) for person in labelled.people["test"]
    ]
    if not drawn:
        raise ConfigError("nfs.data.test_people: found 0, expected people to measure on")
    others = [
        scanned_case(person, Path(operators) / f"{person}.npz", Path(faces) / f"{person}.npz")
        for person in scanned
    ]
    network = Network(model)
    rows = [
        *_drawn_rows(network, labelled, drawn, method),
        *_scanned_rows(network, drawn, others, method),
    ]
    write_records(out, COLUMNS, rows)


def person_case(labelled: Labelled, folder: Path, person: str, region: str) -> Case:
    """A labelled test person's mesh, mask and true frames."""
    operators = read_operators(folder / f"{person}-{region}.npz")
    frames = labelled.frames(person, labelled.expressions["test"], operators.source)
    mask = drawn_mask(labelled, person, operators.mesh.vertices)
    return Case(person, operators, mask, frames)


def scanned_case(person: str, operators_path: str | Path, face_pack: str | Path) -> Case:
    """A person of the data set: operators of their neutral, all their registered expressions."""
    operators, pack = read_operators(operators_path), FacePack(face_pack)
    if pack.has_landmarks(NEUTRAL_SCAN):
        landmarks = np.asarray(pack.landmarks(NEUTRAL_SCAN), np.float64)
        nose_tip = operators.placed.apply(landmarks)[NOSE_TIP]
    else:  # the mesh lies on the mean face, whose nose tip is near its own
        nose_tip = NFS_NOSE_TIP
    frames = person_frames(operators, pack).astype(np.float64)
    return Case(person, operators, inner_mask(operators.mesh.vertices, nose_tip), frames)


class Network:
    """NFS as a way of cloning: what a mesh needs is computed once, and so are codes read again."""

    def __init__(self, model: NFS) -> None:
        self.model = model
        self._clones: dict[str, Clone] = {}
        self._read: dict[str, tuple[np.ndarray, torch.Tensor]] = {}

    def clone(self, case: Case) -> Clone:
        """A case's mesh, ready for encoding and decoding."""
        key = case.operators.fingerprint
        if key not in self._clones:
            self._clones[key] = Clone(self.model, case.operators, case.person)
        return self._clones[key]

    def codes(self, case: Case, frames: Float[np.ndarray, "b v 3"]) -> Float[torch.Tensor, "b z"]:
        """Expression codes of frames of a case; those read last are kept."""
        key = case.operators.fingerprint
        if key not in self._read or self._read[key][0] is not frames:
            self._read[key] = frames, self.clone(case).codes(frames, CHUNK)
        return self._read[key][1]

    def __call__(
        self, source: Case, frames: Float[np.ndarray, "b n 3"], target: Case
    ) -> Float[np.ndarray, "b v 3"]:
        """Frames of a source on a target."""
        return self.decoded(target, self.codes(source, frames))

    def decoded(self, case: Case, codes: Float[torch.Tensor, "b z"]) -> Float[np.ndarray, "b v 3"]:
        """A case in the expressions of codes."""
        return np.concatenate(list(self.clone(case).frames(codes, CHUNK)))


def _drawn_rows(
    network: Network, labelled: Labelled, cases: Sequence[Case], method: str
) -> Iterator[Value]:
    """People drawn from the face model: themselves, each other, neutrals, weights and segments."""
    for case in cases:
        neutral = replace(case, frames=case.operators.mesh.vertices[None])
        found = network(neutral, neutral.frames, neutral)
        yield from _values(NEUTRAL, method, case, vertex_metrics(found, neutral), 1)
        codes = network.codes(case, case.frames)
        anchors = {
            "copy_neutral": still(case, case.frames, case),
            "blendshape_oracle": _oracle(labelled, case),
        }
        yield from _compared(SELF, case, {method: network(case, case.frames, case), **anchors})
        of_rig = rig_metrics(labelled.expressions["test"], codes).items()
        yield from _values(RIG, method, case, ((name, "1", v) for name, v in of_rig), len(codes))
        logits = network.clone(case).target.logits
        if logits is not None:
            right = logits.argmax(dim=1).numpy() == labelled.labels[case.operators.source]
            share = [("segment_accuracy", "1", float(right.mean()))]
            yield from _values(RIG, method, case, share, len(right))
        driven = network.decoded(case, codes_of(network.model, labelled.expressions["test"]))
        yield from _compared(DRIVEN, case, {method: driven, **anchors})
        yield from _unit_rows(network, labelled, case, method)
        log.info("%s measured", case.person)
    for source, target in permutations(cases, 2):
        ways = {
            method: network(source, source.frames, target),
            "copy_neutral": still(source, source.frames, target),
            "nearest_point_transfer": by_nearest_points(source, source.frames, target),
            "known_transfer": drawn_known_transfer(
                labelled, source.person, labelled.expressions["test"], target.operators
            ),
            "blendshape_oracle": _oracle(labelled, target),
        }
        yield from _compared(CLONED, target, ways)


def _unit_rows(network: Network, labelled: Labelled, case: Case, method: str) -> Iterator[Value]:
    """A person driven by every unit alone."""
    units = labelled.model.expression[:, case.operators.source]
    ways = {
        method: unit_offsets(network.clone(case), len(units), CHUNK),
        "copy_neutral": np.zeros_like(units),
    }
    for by, found in ways.items():
        numbers = unit_metrics(found, units).items()
        yield from _values(DRIVEN, by, case, ((n, "%", v) for n, v in numbers), len(units))


def _scanned_rows(
    network: Network, drawn: Sequence[Case], scanned: Sequence[Case], method: str
) -> Iterator[Value]:
    """People of the data set on themselves, and cycles between them and drawn people."""
    for case in scanned:
        ways = {
            method: network(case, case.frames, case),
            "copy_neutral": still(case, case.frames, case),
        }
        yield from _compared(SELF_SCANNED, case, ways)
        log.info("%s measured", case.person)
    ways = {
        method: network,
        "copy_neutral": still,
        "nearest_point_transfer": by_nearest_points,
    }
    trips = [(CYCLE, a, b) for a in drawn for b in scanned]
    trips += [(CYCLE_SCANNED, b, a) for b in scanned for a in drawn]
    staying = {
        case.operators.fingerprint: _error(vertex_metrics(network(case, case.frames, case), case))
        for case in ((*drawn, *scanned) if trips else ())
    }
    for split, source, between in trips:
        own = staying[source.operators.fingerprint]
        for by, clone in ways.items():
            found = list(cycle_metrics(clone, source, between))
            if by == method and own > 0:
                found.append(("cycle_over_self", "1", _error(found) / own))
            yield from _values(split, by, source, found, len(source.frames), between.person)
        log.info("%s over %s and back measured", source.person, between.person)


def _error(metrics: Iterable[tuple[str, str, float]]) -> float:
    """The published measure among some metrics."""
    return next(value for name, _, value in metrics if name == "vertex_mse_inner")


def _compared(split: str, case: Case, ways: Mapping[str, np.ndarray]) -> Iterator[Value]:
    """Rows of what several methods made of a case's frames."""
    for by, found in ways.items():
        yield from _values(split, by, case, vertex_metrics(found, case), len(case.frames))


def _values(
    split: str,
    method: str,
    case: Case,
    metrics: Iterable[tuple[str, str, float]],
    n: int,
    over: str | None = None,
) -> Iterator[Value]:
    person = case.person if over is None else f"{case.person} over {over}"
    for metric, unit, number in metrics:
        yield Value("nfs", method, split, person, metric, unit, number, n)


def _oracle(labelled: Labelled, case: Case) -> np.ndarray:
    """The face model itself, at the true weights."""
    units = labelled.model.expression[:, case.operators.source]
    return blendshape_oracle(case.operators.mesh, units, labelled.expressions["test"])
