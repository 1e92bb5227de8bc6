"""From view packs, codes and split to batches of rays.

A batch is a pure function of (seed, step): a resumed run sees what an uninterrupted one would have
seen. Files are in the face frame (mm), batches in the scene's frame (50 mm are one unit).
"""

import dataclasses
import itertools
import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Int, UInt8
from torch import Tensor

from facemill.errors import DataError
from facemill.files import sha256
from facemill.mesh.frames import FACE_TO_MOFANERF
from facemill.mofanerf.config import TrainConfig
from facemill.mofanerf.face_model import CodesFile
from facemill.mofanerf.predicted import Predicted, PredictedFaces
from facemill.mofanerf.rays import UNIT, Rays, pixel_rays
from facemill.mofanerf.splits import ViewSplit, read_view_split
from facemill.randomness import generator
from facemill.render.cameras import Camera
from facemill.render.view_pack import ViewPack

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Batch:
    """r rays of each of b images with what they see, and m vertices of those images' scans."""

    person: Int[Tensor, " b"]
    expression: Int[Tensor, " b"]
    origins: Float[Tensor, "b r 3"]
    directions: Float[Tensor, "b r 3"]  # camera z = 1
    guide: Float[Tensor, "b r"]  # depth of the surface, or of one near the ray; scene units
    colour: Float[Tensor, "b r 3"]  # over black, 0 to 1
    mask: Bool[Tensor, "b r"]  # whether the ray meets the head; guide is its depth then
    vertices: Float[Tensor, "b m 3"]
    canonical: Float[Tensor, "b m 3"]  # the same vertices on the mean face
    predicted: Predicted | None = None  # vertices of as many faces that nobody was shown

    @property
    def rays(self) -> Rays:
        """The rays alone."""
        return Rays(self.origins, self.directions, self.guide)

    def to(self, device: torch.device) -> "Batch":
        """The same batch on another device."""
        parts = [getattr(self, field.name) for field in dataclasses.fields(self)]
        return Batch(*[None if part is None else part.to(device) for part in parts])


@dataclass(frozen=True)
class TrainingSet:
    """The training people's images, opened but not read, with codes and textures."""

    split: ViewSplit
    packs: tuple[ViewPack, ...]  # by person
    pairs: tuple[tuple[int, int], ...]  # (person, expression) of every scan there is
    shapes: Float32[np.ndarray, "p 50"]
    textures: UInt8[np.ndarray, "p 3 s s"]
    landmarks: dict[tuple[int, int], Float32[np.ndarray, "68 3"]]  # mm, by pair
    vertices: dict[tuple[int, int], Float32[np.ndarray, "m 3"]]  # scene units, by pair
    canonical: Float32[np.ndarray, "m 3"]  # scene units
    predicted: PredictedFaces
    codes_sha256: str
    sources: dict[str, str]  # checksum of each pack

    def scans_at(self, seed: int, step: int, count: int) -> list[tuple[int, int]]:
        """The scans of a step: every epoch goes through all of them in a new order, without gap."""
        chosen: list[tuple[int, int]] = []
        position = step * count
        while len(chosen) < count:
            epoch, offset = divmod(position, len(self.pairs))
            order = generator(seed, "mofanerf", "epoch", str(epoch)).permutation(len(self.pairs))
            part = order[offset : offset + count - len(chosen)]
            chosen += [self.pairs[i] for i in part]
            position += len(part)
        return chosen

    def batch(self, step: int, config: TrainConfig, images: slice = slice(None)) -> Batch:
        """The rays of a step, a random training view of each of its scans; or of some of them.

        Each image has random numbers of its own, so that processes which share a step draw what
        one alone would.
        """
        numbers = range(config.images)[images]
        every = self.scans_at(config.seed, step, config.images)
        scans = [every[number] for number in numbers]
        draws = [
            generator(config.seed, "mofanerf", "rays", str(step), str(number)) for number in numbers
        ]
        drawn = [self._image(s, rng, config) for s, rng in zip(scans, draws, strict=True)]
        origins, directions, guide, colour, mask = (np.stack(a) for a in zip(*drawn, strict=True))
        count = min(config.correspondence_points, len(self.canonical))
        beyond = round(config.predicted_share * count)
        count -= beyond
        rows = np.stack([rng.integers(len(self.canonical), size=count) for rng in draws])
        vertices = np.stack([self.vertices[s][r] for s, r in zip(scans, rows, strict=True)])
        person, expression = torch.tensor(scans).unbind(-1)
        arrays = (origins, directions, guide, colour, mask, vertices, self.canonical[rows])
        predicted = self.predicted.draw(draws, beyond) if beyond else None
        return Batch(person, expression, *map(torch.from_numpy, arrays), predicted)

    def _image(
        self, scan: tuple[int, int], rng: np.random.Generator, config: TrainConfig
    ) -> tuple[np.ndarray, ...]:
        """Rays of one image: origins, directions, guides, colours, mask."""
        person, number = scan
        pack, expression = self.packs[person], self.split.expressions[number]
        view = self.split.train_views[rng.integers(len(self.split.train_views))]
        camera = pack.camera(view)
        image, depth = pack.image(expression, view), pack.depth(expression, view)
        marks = camera.project(self.landmarks[scan])[0]
        pixels, near = choose_pixels(depth > 0, marks, rng, config, camera)
        origins, directions = pixel_rays(camera, pixels)
        seen = image.reshape(-1, 4)[pixels]
        mask = seen[:, 3] > 0
        colour = seen[:, :3].astype(np.float32) / 255.0 * mask[:, None]
        guide = np.where(mask, depth.ravel()[pixels], depth.ravel()[near]) / UNIT
        return origins, directions, guide.astype(np.float32), colour, mask


def choose_pixels(
    head: Bool[np.ndarray, "h w"],
    landmarks: Float[np.ndarray, "68 2"],
    rng: np.random.Generator,
    config: TrainConfig,
    camera: Camera,
) -> tuple[Int[np.ndarray, " r"], Int[np.ndarray, " r"]]:
    """Pixels of one image's rays, and for each a pixel of the head whose depth may guide it.

    A share lies round the projected landmarks (sec. 3.4), a share beside the head's silhouette or
    anywhere, the rest on the head. Where a pixel misses the head, the pixel it was drawn from
    lends its depth: there the field learns that nothing is before and behind the silhouette.
    """
    height, width = head.shape
    on = np.flatnonzero(head)
    if len(on) == 0:
        raise DataError("a view in which nothing is seen: check the cameras (config: views)")
    of_landmarks = int(config.landmark_share * config.rays)
    beside = int(config.background_share * (config.rays - of_landmarks))
    first = on[rng.integers(len(on), size=config.rays)]
    spread = rng.normal(size=(of_landmarks, 2)) * config.landmark_spread * height
    around = landmarks[rng.integers(68, size=of_landmarks)] + spread
    margin = config.sampling.margin * float(camera.intrinsics[0, 0]) / 800.0
    ring = first[of_landmarks : of_landmarks + beside]
    reach = rng.uniform(-2, 2, (beside, 2)) * margin
    shifted = np.stack([ring % width, ring // width], axis=1) + 0.5 + reach
    shifted[::4] = rng.uniform(0, (width, height), (len(shifted[::4]), 2))
    places = np.floor(np.concatenate([around, shifted])).astype(np.int64)
    places = np.clip(places, 0, (width - 1, height - 1))
    pixels = first.copy()
    pixels[: of_landmarks + beside] = places[:, 1] * width + places[:, 0]
    return pixels, first


def open_training_set(
    codes_path: str | Path, split_path: str | Path, views: str | Path, texture_size: int
) -> TrainingSet:
    """Open codes, split and the view packs ``<views>/<person>.zip`` of the training people.

    Held-out people are not opened. Textures are averaged to ``texture_size``. Raises DataError for
    an expression that the split names and a pack lacks (missing scans aside, which no pack has),
    and for files that do not belong together.
    """
    split, codes = read_view_split(split_path), CodesFile(codes_path)
    packs = [ViewPack(Path(views) / f"{person}.zip") for person in split.train_people]
    pairs = []
    for p, (person, pack) in enumerate(zip(split.train_people, packs, strict=True)):
        missing = [v for v in (*split.train_views, *split.test_views) if v not in pack.names]
        if missing:
            raise DataError(
                f"{pack.path}: no views {', '.join(missing[:3])} that {split_path} names. Delete "
                "the split to have it made from these views."
            )
        for e, expression in enumerate(split.expressions):
            if not split.trains_on(person, expression):
                continue
            if f"correspondence/{person}/{expression}" not in codes:
                log.info("%s: no scan of %s, skipped", person, expression)
            elif expression not in pack.expressions:
                raise DataError(
                    f"{pack.path}: no views of {expression}, which {codes_path} has a scan of. "
                    "Delete the pack to have it rendered again (config: views.expressions)."
                )
            else:
                pairs.append((p, e))
    if not pairs:
        raise DataError(f"{views}: no image to train on. See {split_path}.")
    people, names = split.train_people, split.expressions
    model, rows = codes.model(), codes.array("correspondence/vertices")
    shapes = np.stack([codes.shape(person) for person in people])
    every = itertools.product(range(len(people)), range(len(names)))
    untrained = tuple(pair for pair in every if pair not in set(pairs))
    return TrainingSet(
        split,
        tuple(packs),
        tuple(pairs),
        shapes,
        np.stack([averaged(codes.texture(person), texture_size) for person in people]),
        {(p, e): codes.array(f"landmarks/{people[p]}/{names[e]}") for p, e in pairs},
        {(p, e): _scene(codes.array(f"correspondence/{people[p]}/{names[e]}")) for p, e in pairs},
        _scene(model.canonical[rows]),
        PredictedFaces(model, shapes, untrained, rows),
        sha256(codes_path),
        {pack.path.stem: sha256(pack.path) for pack in packs},
    )


def averaged(texture: UInt8[np.ndarray, "h h 3"], size: int) -> UInt8[np.ndarray, "3 s s"]:
    """A texture by area averages on fewer texels, channels first."""
    factor = len(texture) // size
    mean = texture.reshape(size, factor, size, factor, 3).mean(axis=(1, 3))
    return np.round(mean).astype(np.uint8).transpose(2, 0, 1)


def _scene(points: Float[np.ndarray, "n 3"]) -> Float32[np.ndarray, "n 3"]:
    return FACE_TO_MOFANERF.apply(points).astype(np.float32)
