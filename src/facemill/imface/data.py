"""From packed samples on disk to ImFace's batches.

A batch is a pure function of (seed, step): a resumed run sees what an uninterrupted one would have
seen. Files are in the face frame (mm), batches in ImFace's unit ball.
"""

import dataclasses
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Int
from torch import Tensor

from facemill.data.expressions import NEUTRAL, mirror_image
from facemill.data.landmarks import mirrored_landmarks
from facemill.data.packs import SamplePack
from facemill.errors import DataError
from facemill.files import read_json, sha256
from facemill.imface.config import DeformedConfig
from facemill.imface.deform import Deformation, random_deformation
from facemill.mesh.frames import FACE_TO_IMFACE
from facemill.randomness import generator

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Batch:
    """n points of each of b scans, with what is known about those scans; unit ball."""

    identity: Int[Tensor, " b"]  # position in the training set's people
    expression: Int[Tensor, " b"]  # position in its expressions
    is_neutral: Bool[Tensor, " b"]
    points: Float[Tensor, "b n 3"]
    normals: Float[Tensor, "b n 3"]  # unit normal or gradient of the distance
    sdf: Float[Tensor, "b n"]  # positive in front of the face
    landmarks: Float[Tensor, "b 68 3"]  # of the scan
    neutral_landmarks: Float[Tensor, "b 68 3"]  # of the same person's neutral scan

    @property
    def rows(self) -> Float[Tensor, "b n 7"]:
        """Points, normals and distances side by side."""
        return torch.cat([self.points, self.normals, self.sdf.unsqueeze(-1)], dim=-1)

    def part(self, scans: slice, points: slice) -> "Batch":
        """Some points of some scans."""
        rows = {f.name: getattr(self, f.name)[scans] for f in dataclasses.fields(self)}
        rows |= {name: rows[name][:, points] for name in ("points", "normals", "sdf")}
        return Batch(**rows)

    def to(self, device: torch.device) -> "Batch":
        """The same batch on another device."""
        return Batch(*[getattr(self, f.name).to(device) for f in dataclasses.fields(self)])


def to_unit_ball(
    rows: Float32[np.ndarray, "*n 7"],
) -> tuple[Float32[np.ndarray, "*n 3"], Float32[np.ndarray, "*n 3"], Float32[np.ndarray, "*n"]]:
    """Sample rows (face frame, mm) to points, unit normals, signed distances in the unit ball."""
    points = FACE_TO_IMFACE.apply(rows[..., :3]).astype(np.float32)
    normals = FACE_TO_IMFACE.apply_to_normals(rows[..., 3:6]).astype(np.float32)
    return points, normals, rows[..., 6] * np.float32(FACE_TO_IMFACE.scale)


def landmarks_to_unit_ball(landmarks: Float[np.ndarray, "k 3"]) -> Float32[np.ndarray, "k 3"]:
    """Landmarks (face frame, mm) in the unit ball."""
    return FACE_TO_IMFACE.apply(landmarks).astype(np.float32)


@dataclass(frozen=True)
class TrainingSet:
    """The scans of the training people in the training expressions, opened but not read."""

    people: tuple[str, ...]
    expressions: tuple[str, ...]
    packs: tuple[SamplePack, ...]  # by person
    scans: tuple[tuple[int, int], ...]  # (person, expression) of every scan there is
    landmarks: dict[tuple[int, int], Float32[np.ndarray, "68 3"]]  # by scan, unit ball
    mirrored: tuple[bool, ...]  # by person: made by mirroring another one's scans
    deformed: tuple[Deformation | None, ...]  # by person: made by deforming another one's scans

    def with_deformed_people(self, config: DeformedConfig, seed: int) -> "TrainingSet":
        """``config.copies`` further people for each, of other shapes, with codes of their own.

        Mirror images, where they are wanted, are made of the result.
        """
        count, times = len(self.people), 1 + config.copies
        people, deformed = list(self.people), list(self.deformed)
        scans, landmarks = list(self.scans), dict(self.landmarks)
        for copy in range(1, times):
            drawn = []
            for name in self.people:
                draw = generator(seed, "imface", "deformed", name, str(copy))
                drawn.append(random_deformation(draw, config.size, config.length))
            for person, expression in self.scans:
                scan = (copy * count + person, expression)
                scans.append(scan)
                own = self.packs[person].landmarks(self.expressions[expression])
                landmarks[scan] = landmarks_to_unit_ball(drawn[person].points(own))
            people += [f"{name} deformed {copy}" for name in self.people]
            deformed += drawn
        return dataclasses.replace(
            self,
            people=tuple(people),
            packs=self.packs * times,
            scans=tuple(scans),
            landmarks=landmarks,
            mirrored=self.mirrored * times,
            deformed=tuple(deformed),
        )

    def with_mirror_images(self) -> "TrainingSet":
        """Twice the people: the mirror image of each is another person, with codes of its own.

        A jaw moved to the left is mirrored to one moved to the right; where nobody shows what the
        mirror image would show, that image is left out.
        """
        count = len(self.people)
        scans, landmarks = list(self.scans), dict(self.landmarks)
        for person, expression in self.scans:
            image = mirror_image(self.expressions[expression])
            if image in self.expressions:
                scan = (count + person, self.expressions.index(image))
                scans.append(scan)
                landmarks[scan] = mirrored_landmarks(self.landmarks[person, expression])
        return dataclasses.replace(
            self,
            people=self.people + tuple(f"{person} mirrored" for person in self.people),
            packs=self.packs * 2,
            scans=tuple(scans),
            landmarks=landmarks,
            mirrored=self.mirrored + (True,) * count,
            deformed=self.deformed * 2,
        )

    def without_deformed_people(self) -> "TrainingSet":
        """The same people in the same places, but no scans of deformed ones."""
        own = tuple(scan for scan in self.scans if self.deformed[scan[0]] is None)
        return dataclasses.replace(self, scans=own)

    @property
    def sources(self) -> tuple[int, ...]:
        """By person: whose scans were deformed, the first with this pack; oneself where none were.

        A mirror image is another person than what it mirrors.
        """
        first: dict[tuple[Path, bool], int] = {}
        whose = zip(self.packs, self.mirrored, strict=True)
        return tuple(
            first.setdefault((pack.path, mirrored), person)
            for person, (pack, mirrored) in enumerate(whose)
        )

    @property
    def template_landmarks(self) -> Float32[np.ndarray, "68 3"]:
        """Mean of the people's neutral landmarks, unit ball."""
        neutral = self.expressions.index(NEUTRAL)
        each = [self.landmarks[person, neutral] for person in range(len(self.people))]
        return np.mean(each, axis=0, dtype=np.float64).astype(np.float32)

    def fingerprint(self) -> dict[str, str]:
        """What identifies the samples: each pack's checksum as its manifest tells it."""
        return {
            person: pack.manifest.get("pack_sha256") or sha256(pack.path)
            for person, pack, mirrored, deformed in zip(
                self.people, self.packs, self.mirrored, self.deformed, strict=True
            )
            if not mirrored and deformed is None
        }

    def scans_at(self, seed: int, step: int, count: int) -> list[tuple[int, int]]:
        """The ``count`` scans of a step: every epoch goes through all of them in a new order.

        Epochs follow each other without a gap, so that batches are all of one size.
        """
        chosen = []
        position = step * count
        while len(chosen) < count:
            epoch, offset = divmod(position, len(self.scans))
            order = generator(seed, "imface", "epoch", str(epoch)).permutation(len(self.scans))
            part = order[offset : offset + count - len(chosen)]
            chosen += [self.scans[i] for i in part]
            position += len(part)
        return chosen

    def batch(
        self, seed: int, step: int, count: int, points: int, part: slice = slice(None)
    ) -> Batch:
        """``points`` rows from a random place in each of the ``count`` scans of a step.

        Only those of the scans in ``part`` are read, one process's share.
        """
        chosen = self.scans_at(seed, step, count)
        draw = generator(seed, "imface", "blocks", str(step))
        starts = [int(draw.integers(self.packs[person].rows)) for person, _ in chosen][part]
        chosen = chosen[part]
        blocks = np.empty((len(chosen), points, 7), np.float32)
        for block, start, (person, expression) in zip(blocks, starts, chosen, strict=True):
            pack = self.packs[person]
            name = self.expressions[expression]
            mirrored, deformation = self.mirrored[person], self.deformed[person]
            block[:] = pack.block(mirror_image(name) if mirrored else name, start, points)
            if deformation is not None:
                block[:] = deformation.samples(block)
            if mirrored:
                block[:, [0, 3]] *= -1  # x of points and normals
        xyz, normals, sdf = to_unit_ball(blocks)
        neutral = self.expressions.index(NEUTRAL)
        identity, expression = torch.tensor(chosen).unbind(-1)
        return Batch(
            identity,
            expression,
            expression == neutral,
            torch.from_numpy(xyz),
            torch.from_numpy(normals),
            torch.from_numpy(sdf),
            torch.from_numpy(np.stack([self.landmarks[scan] for scan in chosen])),
            torch.from_numpy(np.stack([self.landmarks[p, neutral] for p, _ in chosen])),
        )


def open_training_set(index: str | Path, samples: str | Path) -> TrainingSet:
    """Open the packs of all training people that ``index.json`` names, ``<samples>/<person>.npy``.

    Test people and unseen expressions are never opened or used. A scan that is missing is skipped
    with a log line, and so is a person without a neutral scan (the landmarks of all others are
    compared with it). Raises DataError for a split that contradicts itself or leaves nothing.
    """
    people, expressions = training_split(index)
    kept, packs, scans = [], [], []
    for person in people:
        pack = SamplePack(Path(samples) / f"{person}.npy")
        present = [e for e in expressions if e in pack.expressions]
        for expression in [e for e in expressions if e not in present]:
            log.info("%s: no scan of %s, skipped", person, expression)
        if NEUTRAL not in present:
            log.warning("%s: no neutral scan, the person is left out of training", person)
            continue
        scans += [(len(kept), expressions.index(expression)) for expression in present]
        kept.append(person)
        packs.append(pack)
    if not scans:
        raise DataError(f"{samples}: no scan to train on. See index.json for people and split.")
    landmarks = {
        (person, expression): landmarks_to_unit_ball(
            packs[person].landmarks(expressions[expression])
        )
        for person, expression in scans
    }
    return TrainingSet(
        tuple(kept),
        tuple(expressions),
        tuple(packs),
        tuple(scans),
        landmarks,
        mirrored=(False,) * len(kept),
        deformed=(None,) * len(kept),
    )


def training_split(index: str | Path) -> tuple[list[str], list[str]]:
    """Training people and expressions of ``index.json``, once nothing leaks between the splits."""
    hint = "Delete it to have data_index make it again."
    content: dict[str, Any] = read_json(index, hint)
    try:
        split, people = content["split"], content["people"]
        train, test = split["train"], set(split["test"])
        seen, unseen = split["seen_expressions"], set(split["unseen_expressions"])
        marked = {person for person, about in people.items() if about["split"] == "train"}
    except (KeyError, TypeError) as error:
        raise DataError(f"{index}: no {error} where an index has it. {hint}") from None
    leaks = sorted((test & set(train)) | (marked ^ set(train)) | (unseen & set(seen)))
    if leaks:
        raise DataError(f"{index}: {', '.join(leaks)} in two splits at once. {hint}")
    if NEUTRAL not in seen:
        raise DataError(
            f"{index}: {NEUTRAL} is not among the training expressions {', '.join(seen)}. "
            "ImFace needs everybody's neutral face: take it out of split.unseen_expressions."
        )
    return list(train), list(seen)
