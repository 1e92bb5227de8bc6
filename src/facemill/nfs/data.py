"""From files to batches: frames of one person on one mesh, labelled or not."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from facemill.data.index import load_index
from facemill.data.packs import FacePack
from facemill.errors import ConfigError, DataError
from facemill.files import sha256
from facemill.mesh.operators import Operators, read_operators
from facemill.nfs.config import ModelConfig, TrainConfig
from facemill.nfs.losses import FaceModel, Generic, Truth
from facemill.nfs.people import Labelled, read_people
from facemill.nfs.surface import Surface, surface_of
from facemill.randomness import generator

log = logging.getLogger(__name__)

VALIDATION_FRAMES = 8
"""Frames of each validation person, the same at every validation."""


@dataclass(frozen=True)
class Batch:
    """Frames of one person on one mesh; ``region`` is empty for unlabelled people."""

    surface: Surface
    truth: Truth
    region: str = ""


@dataclass
class TrainingSet:
    """Labelled people in their folder, and unlabelled ones by name.

    Meshes are read when first asked for, and stay in memory.
    """

    folder: Path
    labelled: Labelled
    operators: Path | None
    faces: Path | None
    unlabelled: tuple[str, ...]
    poisson: bool
    device: torch.device
    sources: dict[str, str]  # content of the unlabelled people's files, by name
    _surfaces: dict[str, Surface] = field(default_factory=dict)
    _unlabelled: dict[str, Batch] = field(default_factory=dict)  # with all frames of a person
    _generics: dict[str, Generic] = field(default_factory=dict)

    def __post_init__(self) -> None:
        def tensor(array: np.ndarray) -> Tensor:
            return torch.from_numpy(np.asarray(array)).to(self.device, torch.float32)

        model = self.labelled.model
        self._whole = FaceModel(
            tensor(model.neutral), tensor(model.identity), tensor(model.expression)
        )
        self._labels = torch.from_numpy(self.labelled.labels.astype(np.int64)).to(self.device)

    @property
    def expressions(self) -> Float[np.ndarray, "m e"]:
        """The training expressions, a row of weights each."""
        return self.labelled.expressions["train"]

    def surface(self, person: str, region: str) -> Surface:
        """The mesh of a labelled person (or of ``generic``) on a region."""
        name = f"{person}-{region}"
        if name not in self._surfaces:
            operators = read_operators(self.folder / f"{name}.npz")
            self._surfaces[name] = surface_of(operators, self.device, self.poisson)
        return self._surfaces[name]

    def face(self, vertices: Int[Tensor, " v"]) -> FaceModel:
        """The face model on some of its vertices."""
        whole = self._whole
        return FaceModel(
            whole.neutral[vertices], whole.identity[:, vertices], whole.expression[:, vertices]
        )

    def generic(self, region: str) -> Generic:
        """The mean face on a region, for BR."""
        if region not in self._generics:
            surface = self.surface("generic", region)
            self._generics[region] = Generic(surface, self.face(surface.source))
        return self._generics[region]

    def labelled_batch(
        self, person: str, region: str, expressions: Float[np.ndarray, "b e"], config: ModelConfig
    ) -> Batch:
        """A labelled person in given expressions, with all that is known of them."""
        surface = self.surface(person, region)
        face = self.face(surface.source)
        weights = self.labelled.identities[person]
        identity = self._padded(weights[None, : config.modes], config.identity_size)
        expression = self._padded(expressions, config.code)
        everybody = self._padded(weights[None], len(weights)).expand(len(expressions), -1)
        return Batch(
            surface,
            Truth(
                frames=face.vertices(everybody, expression),
                motion=face.motion,
                identity=identity[0],
                expression=expression,
                labels=self._labels[surface.source],
                face=face,
            ),
            region,
        )

    def unlabelled_batch(
        self, person: str, rng: np.random.Generator, size: int, config: ModelConfig
    ) -> Batch:
        """Some expressions of a person of the data set, and some of the model's to be cloned.

        Drawn with replacement if they are few.
        """
        if person not in self._unlabelled:
            self._unlabelled[person] = self._read(person)
        whole = self._unlabelled[person]
        frames = whole.truth.frames
        chosen = rng.choice(len(frames), size, replace=size > len(frames))
        some = frames[torch.from_numpy(chosen).to(self.device)]
        cloned = self._padded(self.expressions[self._rows(rng, size)], config.code)
        return replace(whole, truth=replace(whole.truth, frames=some, cloned=cloned))

    def batch(self, step: int, config: TrainConfig, model: ModelConfig) -> Batch:
        """The batch of a step: by seed and step alone.

        Unlabelled people come after the warm-up; before, their codes mean nothing to the decoder.
        """
        rng = generator(config.seed, "nfs", "batch", str(step))
        unlabelled = self.unlabelled and rng.random() < config.unlabelled_share
        if unlabelled and not config.is_warm(step):
            unknown = str(rng.choice(self.unlabelled))
            return self.unlabelled_batch(unknown, rng, config.batch, model)
        person = str(rng.choice(self.labelled.people["train"]))
        region = str(rng.choice(self.labelled.regions))
        rows = self._rows(rng, config.batch)
        return self.labelled_batch(person, region, self.expressions[rows], model)

    def validation(self, config: ModelConfig) -> list[Batch]:
        """The same frames of the validation people every time."""
        rows = self.labelled.expressions["test"][:VALIDATION_FRAMES]
        return [
            self.labelled_batch(person, region, rows, config)
            for person in self.labelled.people["validation"]
            for region in self.labelled.regions
        ]

    def _rows(self, rng: np.random.Generator, size: int) -> Int[np.ndarray, " b"]:
        """Some of the training expressions."""
        return rng.choice(len(self.expressions), size, replace=size > len(self.expressions))

    def _padded(self, rows: np.ndarray, length: int) -> Tensor:
        """Rows as float tensors with zeros behind."""
        full = torch.zeros(len(rows), length)
        full[:, : rows.shape[1]] = torch.from_numpy(np.asarray(rows, np.float32))
        return full.to(self.device)

    def _read(self, person: str) -> Batch:
        operators = read_operators(self.operators / f"{person}.npz")
        pack = FacePack(self.faces / f"{person}.npz")
        frames = torch.from_numpy(person_frames(operators, pack)).to(self.device)
        surface = surface_of(operators, self.device, self.poisson)
        motion = (frames - surface.vertices).square().sum(dim=2).mean(dim=0)
        return Batch(surface, Truth(frames, motion))


def person_frames(operators: Operators, pack: FacePack) -> Float[np.ndarray, "n v 3"]:
    """All expressions of a person on the vertices of their neutral's operators, canonical units.

    Expressions of another topology than the neutral are left out; none left is a DataError.
    """
    scans = [pack.vertices(expression) for expression in pack.expressions]
    same = [scan for scan in scans if len(scan) == operators.n_source]
    if len(same) < len(scans):
        log.info(
            "%s: %d expressions of another topology left out",
            pack.path.stem,
            len(scans) - len(same),
        )
    if not same:
        raise DataError(
            f"{pack.path}: no expression has the {operators.n_source} vertices of the neutral that "
            "its operators were made of. Delete the operators to have them made again."
        )
    return np.stack([operators.frame(scan, str(pack.path)) for scan in same]).astype(np.float32)


def open_training_set(
    people: str | Path,
    operators: str | Path | None,
    faces: str | Path | None,
    unlabelled: Sequence[str] = (),
    poisson: bool = False,
    device: torch.device | str = "cpu",
) -> TrainingSet:
    """Labelled people of a folder that nfs_data wrote, and ``unlabelled`` people of the data set.

    ``operators`` and ``faces`` are the folders of the latter's ``<person>.npz``.
    """
    labelled = read_people(Path(people) / "people.npz")
    held = {"operators": operators, "faces": faces}
    sources = {
        f"{name}/{person}": sha256(Path(folder) / f"{person}.npz")
        for name, folder in held.items()
        for person in unlabelled
    }
    return TrainingSet(
        Path(people),
        labelled,
        None if operators is None else Path(operators),
        None if faces is None else Path(faces),
        tuple(unlabelled),
        poisson,
        torch.device(device),
        sources,
    )


def require_training_people(people: Sequence[str], index: str | Path | None) -> None:
    """Raise a DataError where somebody may not be learnt from."""
    known = set() if index is None else set(load_index(index)["split"]["train"])
    leaked = [person for person in people if person not in known]
    if leaked:
        raise DataError(
            f"{index}: {', '.join(leaked)} are not among the training people; nobody else may be "
            "learnt from. Mend nfs.people or the split."
        )


def require_room(model: ModelConfig, labelled: Labelled) -> None:
    """Raise a ConfigError where a network does not fit the labelled people: codes shorter than what
    they are taught to hold, other pictures, more eigenfunctions than there are."""
    units, modes = len(labelled.model.units), len(labelled.model.identity)
    for name, there, needed in (("units", model.units, units), ("modes", model.modes, modes)):
        if there < needed:
            raise ConfigError(
                f"nfs.model.{name}: found {there}, but the face model {labelled.model.name} has "
                f"{needed}; expected at least that."
            )
    held = labelled.settings.operators
    if model.has_picture and model.picture_size != held.picture_size:
        raise ConfigError(
            f"nfs.model.picture_size: found {model.picture_size}, but the operators hold pictures "
            f"of {held.picture_size} pixels (nfs.operators.picture_size); expected the same."
        )
    if model.eigenfunctions is not None and not 2 <= model.eigenfunctions <= held.eigenfunctions:
        raise ConfigError(
            f"nfs.model.eigenfunctions: found {model.eigenfunctions}, expected null or 2 to the "
            f"{held.eigenfunctions} of nfs.operators.eigenfunctions."
        )
