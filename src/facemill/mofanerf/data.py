"""From view packs, codes and split to batches of rays.

A batch is a pure function of (seed, step): a resumed run sees what an uninterrupted one would have
seen. Files are in the face frame (mm), batches in the scene's frame (50 mm are one unit).
"""

import dataclasses
import itertools
import logging
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Int, UInt8
from scipy.ndimage import binary_erosion
from scipy.spatial import cKDTree
from torch import Tensor

from facemill.data.landmarks import INNER_LIPS
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
class ShownFaces:
    """m vertices of each of b training scans, for the warp to learn from."""

    person: Int[Tensor, " b"]
    expression: Int[Tensor, " b"]
    vertices: Float[Tensor, "b m 3"]
    canonical: Float[Tensor, "b m 3"]  # the same vertices on the mean face
    predicted: Predicted | None = None  # vertices of as many faces that nobody was shown

    def to(self, device: torch.device) -> "ShownFaces":
        """The same on another device."""
        return ShownFaces(*_moved(self, device))


@dataclass(frozen=True)
class Batch:
    """r rays of each of b images with what they see, and vertices of those images' scans."""

    faces: ShownFaces
    origins: Float[Tensor, "b r 3"]
    directions: Float[Tensor, "b r 3"]  # camera z = 1
    guide: Float[Tensor, "b r"]  # depth of the surface, or of one near the ray; scene units
    colour: Float[Tensor, "b r 3"]  # over black, 0 to 1
    mask: Bool[Tensor, "b r"]  # whether the ray meets the head; guide is its depth then
    places: Float[Tensor, "b a 3"]  # that may be air (TrainingSet.perhaps_air); scene units
    air: Bool[Tensor, "b a"]  # which of them the image shows to be empty

    @property
    def rays(self) -> Rays:
        """The rays alone."""
        return Rays(self.origins, self.directions, self.guide)

    def to(self, device: torch.device) -> "Batch":
        """The same batch on another device."""
        return Batch(*_moved(self, device))


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
        scans, draws = self._drawn(step, config, images, "rays")
        drawn = [self._image(s, rng, config) for s, rng in zip(scans, draws, strict=True)]
        arrays = (np.stack(parts) for parts in zip(*drawn, strict=True))
        faces = self._faces(scans, draws, config, config.correspondence_points)
        return Batch(faces, *map(torch.from_numpy, arrays))

    def faces(self, step: int, config: TrainConfig, images: slice = slice(None)) -> ShownFaces:
        """The vertices of a step that teaches the warp alone; no image is read."""
        scans, draws = self._drawn(step, config, images, "faces")
        return self._faces(scans, draws, config, config.warp_points)

    def _drawn(
        self, step: int, config: TrainConfig, images: slice, stream: str
    ) -> tuple[list[tuple[int, int]], list[np.random.Generator]]:
        """The scans of some of a step's images, and random numbers for each."""
        numbers = range(config.images)[images]
        every = self.scans_at(config.seed, step, config.images)
        draws = [
            generator(config.seed, "mofanerf", stream, str(step), str(number)) for number in numbers
        ]
        return [every[number] for number in numbers], draws

    def _faces(
        self,
        scans: Sequence[tuple[int, int]],
        draws: Sequence[np.random.Generator],
        config: TrainConfig,
        points: int,
    ) -> ShownFaces:
        """So many vertices for each scan: its own, and some of a face that nobody was shown."""
        count = min(points, len(self.canonical))
        beyond = round(config.predicted_share * count)
        choice, moving = self.predicted.choice, config.moving_share
        rows = np.stack(
            [
                choice.draw(rng, expression, count - beyond, moving)
                for rng, (_, expression) in zip(draws, scans, strict=True)
            ]
        )
        vertices = np.stack([self.vertices[s][r] for s, r in zip(scans, rows, strict=True)])
        predicted = self.predicted.draw(draws, beyond, moving) if beyond else None
        return ShownFaces(
            *torch.tensor(scans).unbind(-1),
            torch.from_numpy(vertices),
            torch.from_numpy(self.canonical[rows]),
            predicted,
        )

    def _image(
        self, scan: tuple[int, int], rng: np.random.Generator, config: TrainConfig
    ) -> tuple[np.ndarray, ...]:
        """What a batch has of one image, in its order."""
        person, number = scan
        pack, expression = self.packs[person], self.split.expressions[number]
        view = self.split.train_views[rng.integers(len(self.split.train_views))]
        camera = pack.camera(view)
        image, depth = pack.image(expression, view), pack.depth(expression, view)
        wanted = self.ray_places(scan, camera, rng, config)
        pixels, near = choose_pixels(depth > 0, wanted, rng, config, camera)
        origins, directions = pixel_rays(camera, pixels)
        seen = image.reshape(-1, 4)[pixels]
        mask = seen[:, 3] > 0
        colour = seen[:, :3].astype(np.float32) / 255.0 * mask[:, None]
        guide = depth.ravel()[near] / UNIT
        asked = config.air_points if config.weights.empty else 0
        around = self.perhaps_air(scan, camera, rng, asked)
        air = in_the_air(around, depth, camera)
        return origins, directions, guide.astype(np.float32), colour, mask, _scene(around), air

    def ray_places(
        self,
        scan: tuple[int, int],
        camera: Camera,
        rng: np.random.Generator,
        config: TrainConfig,
    ) -> Float[np.ndarray, "n 2"]:
        """Image points that rays are to go through, beside those that lie anywhere on the head.

        A share lies round the projected landmarks (sec. 3.4). Of another share (ours) half are
        vertices drawn by how far the expression moves them; hidden ones count as well: behind
        closed lids they lie where pictures of this expression differ from others. The other half
        lies between the inner lips.
        """
        marks = camera.project(self.landmarks[scan])[0]
        count = int(config.landmark_share * config.rays)
        spread = rng.normal(size=(count, 2)) * config.landmark_spread * camera.height
        around = marks[rng.integers(68, size=count)] + spread
        moving = int(config.moving_rays * config.rays)
        vertices = self._moving(scan, rng, moving - moving // 2)
        lips = self._between_lips(scan, rng, moving // 2)
        return np.concatenate([around, camera.project(np.concatenate([vertices, lips]))[0]])

    def perhaps_air(
        self, scan: tuple[int, int], camera: Camera, rng: np.random.Generator, count: int
    ) -> Float[np.ndarray, "n 3"]:
        """Places (mm) round moving vertices, and as many between the inner lips and behind them."""
        around = self._moving(scan, rng, count - count // 2)
        around = around + rng.normal(size=around.shape) * AIR_SPREAD
        between = self._between_lips(scan, rng, count // 2)
        away = between - camera.centre
        away = away / np.linalg.norm(away, axis=1, keepdims=True)
        depth = rng.uniform(0.0, MOUTH_DEPTH, (len(between), 1))
        return np.concatenate([around, between + depth * away])

    def _between_lips(
        self, scan: tuple[int, int], rng: np.random.Generator, count: int
    ) -> Float[np.ndarray, "n 3"]:
        """Places (mm) within the inner lips' landmarks."""
        lips = self.landmarks[scan][INNER_LIPS]
        return rng.dirichlet(np.ones(len(lips)), count) @ lips

    def _moving(
        self, scan: tuple[int, int], rng: np.random.Generator, count: int
    ) -> Float[np.ndarray, "n 3"]:
        """Vertices of a scan (mm), drawn by how far its expression moves them."""
        rows = self.predicted.choice.draw(rng, scan[1], count, 1.0)
        return FACE_TO_MOFANERF.inverse().apply(self.vertices[scan][rows])


def _moved(batch: ShownFaces | Batch, device: torch.device) -> Iterator[Any]:
    parts = (getattr(batch, field.name) for field in dataclasses.fields(batch))
    return (None if part is None else part.to(device) for part in parts)


AIR_SPREAD = 12.0
"""Millimetres (standard deviation) from vertices to the places that may be air."""

MOUTH_DEPTH = 60.0
"""Millimetres behind the lips in which a mouth may be open."""

CLEAR = 3.0
"""Millimetres from a surface beyond which the air counts as clear."""


def in_the_air(
    points: Float[np.ndarray, "n 3"], depth: Float[np.ndarray, "h w"], camera: Camera
) -> Bool[np.ndarray, " n"]:
    """Whether an image with ``depth`` (mm; 0: no head) shows that nothing is at ``points`` (mm).

    They lie before the least depth of the pixels within CLEAR, and by as much before it: a ray that
    grazes a cheek is near to skin long before it meets it.
    """
    image, own = camera.project(points)
    column, row = np.floor(image).astype(np.int64).T
    height, width = depth.shape
    inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    reach = math.ceil(CLEAR * _pixels_per_mm(camera))
    window = np.arange(-reach, reach + 1)
    rows = (row[:, None, None] + window[:, None]).clip(0, height - 1)
    columns = (column[:, None, None] + window).clip(0, width - 1)
    near = depth[rows, columns]
    return inside & (own < np.where(near > 0, near, np.inf).min(axis=(1, 2)) - CLEAR)


def _pixels_per_mm(camera: Camera) -> float:
    """The scale of an image at the head."""
    return float(camera.intrinsics[0, 0] / np.linalg.norm(camera.centre))


def choose_pixels(
    head: Bool[np.ndarray, "h w"],
    places: Float[np.ndarray, "n 2"],
    rng: np.random.Generator,
    config: TrainConfig,
    camera: Camera,
) -> tuple[Int[np.ndarray, " r"], Int[np.ndarray, " r"]]:
    """Pixels of one image's rays, and for each the nearest pixel of the head, itself if on it.

    The first lie at ``places``. Of the others a share lies along the silhouette, on both sides of
    it by up to ``sampling.margin``, or anywhere; the rest lies on the head. A pixel that
    misses the head borrows the depth of the nearest one on it, as rays do whose surface is
    predicted: where these will ask, the field learns that there is nothing.
    """
    height, width = head.shape
    on = np.flatnonzero(head)
    if len(on) == 0:
        raise DataError("a view in which nothing is seen: check the cameras (config: views)")
    beside = int(config.background_share * (config.rays - len(places)))
    edge = np.argwhere(head & ~binary_erosion(head, border_value=1))[:, ::-1] + 0.5
    if len(edge) == 0:  # the head fills the picture
        edge = np.stack([on % width, on // width], axis=1) + 0.5
    margin = config.sampling.margin * _pixels_per_mm(camera)
    along = edge[rng.integers(len(edge), size=beside)] + rng.uniform(-margin, margin, (beside, 2))
    along[::4] = rng.uniform(0, (width, height), (len(along[::4]), 2))
    places = np.floor(np.concatenate([places, along])).astype(np.int64)
    places = np.clip(places, 0, (width - 1, height - 1))
    drawn = on[rng.integers(len(on), size=config.rays - len(places))]
    pixels = np.concatenate([places[:, 1] * width + places[:, 0], drawn])
    near, misses = pixels.copy(), np.flatnonzero(~head.ravel()[pixels])
    nearest = edge[cKDTree(edge).query(places[misses] + 0.5)[1]].astype(np.int64)
    near[misses] = nearest[:, 1] * width + nearest[:, 0]
    return pixels, near


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
