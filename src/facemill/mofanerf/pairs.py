"""Pairs of coarse and true pictures that the refiner learns from, and the pack they travel in.

A pair is known by its person, expression and view, never by its place in a folder. Whatever can
name its pairs and make each of them is a :class:`PairSource`: a folder of pictures in the published
layout, views made worse on purpose, renders of a radiance field. Training reads packs alone, which
need numpy only.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float16, UInt8

from facemill.errors import DataError
from facemill.files import open_npy, read_json, sha256, write_json, writing
from facemill.mofanerf.refine import surface_channels
from facemill.randomness import generator
from facemill.render.view_pack import ViewPack

AGAIN = "Delete the pack to have it made again."


class PairKey(NamedTuple):
    """Whose picture it is, with which expression, seen by which camera (``<pitch>_<i>``)."""

    person: str
    expression: str
    view: str

    def __str__(self) -> str:
        return "/".join(self)


@dataclass(frozen=True)
class Pair:
    """A coarse picture, the truth, and what is known of the surface at the coarse one's size.

    Truth is RGBA, black where alpha is 0; alpha is the mask. The surface's channels are those of
    :func:`~facemill.mofanerf.refine.surface_channels`.
    """

    coarse: UInt8[np.ndarray, "h w 3"]
    truth: UInt8[np.ndarray, "h2 w2 4"]
    surface: Float16[np.ndarray, "h w 4"] | None = None

    @property
    def mask(self) -> Bool[np.ndarray, "h2 w2"]:
        """Where the truth shows the head."""
        return self.truth[..., 3] > 127


@runtime_checkable
class PairSource(Protocol):
    """Anything that names pairs and makes each of them; all pairs are of one size."""

    keys: Sequence[PairKey]

    def read(self, key: PairKey) -> Pair:
        """The pair of this name."""


class DegradedViews:
    """Pairs from rendered views: the truth, and the view at half size, blurred and noisy.

    They stand in for the renders of a coarse radiance field where there are none: the refiner, its
    training and its tests can be judged without one. Depth and normals are halved likewise.
    """

    def __init__(
        self,
        packs: Mapping[str, str | Path],
        seed: int,
        sigma: float = 0.7,
        noise: float = 3.0,
    ) -> None:
        """``packs`` are view packs by person; ``sigma`` is the blur in coarse pixels, ``noise`` the
        standard deviation in 8-bit colours. Noise depends on the seed and the pair's name alone."""
        self.packs = {person: ViewPack(path) for person, path in packs.items()}
        self.seed, self.sigma, self.noise = seed, sigma, noise
        self.keys = tuple(
            PairKey(person, expression, view)
            for person, pack in self.packs.items()
            for expression in pack.expressions
            for view in pack.names
        )

    def read(self, key: PairKey) -> Pair:
        """The view and its worse copy."""
        from scipy.ndimage import gaussian_filter

        pack = self.packs[key.person]
        truth = pack.image(key.expression, key.view)
        truth = truth * (truth[..., 3:] > 0)
        half = _halved(truth[..., :3].astype(np.float32))
        half = gaussian_filter(half, (self.sigma, self.sigma, 0))
        rng = generator(self.seed, "degraded", *key)
        seen = _halved(truth[..., 3:].astype(np.float32)) > 0
        half += seen * rng.normal(0, self.noise, half.shape)
        surface = surface_channels(
            pack.depth(key.expression, key.view)[::2, ::2],
            pack.normals(key.expression, key.view)[::2, ::2],
            pack.camera(key.view).extrinsics[:, :3],
        )
        return Pair(
            np.clip(np.round(half), 0, 255).astype(np.uint8), truth, surface.astype(np.float16)
        )


class PairFolder:
    """Pictures in the published layout, paired by relative path.

    ``<coarse>/<person>/<expression>/<pitch>_<i>.png`` and ``<truth>/`` alike, where the two folders
    are called ``train`` and ``gt`` (MoFaNeRF) or ``train_A`` and ``train_B`` (pix2pixHD).
    """

    NAMES = (("train", "gt"), ("train_A", "train_B"))

    def __init__(self, folder: str | Path) -> None:
        """Find the pairs; a picture without its partner is a DataError that names it."""
        folder = Path(folder)
        both = [(folder / a, folder / b) for a, b in self.NAMES]
        there = [pair for pair in both if all(side.is_dir() for side in pair)]
        if not there:
            raise DataError(
                f"{folder}: neither train and gt nor train_A and train_B lie in it. Name the "
                "folder that holds coarse pictures and truth side by side."
            )
        self.coarse, self.truth = there[0]
        sides = [self._pictures(side) for side in there[0]]
        alone = sorted(sides[0].keys() ^ sides[1].keys())
        if alone or not sides[0]:
            first = f"{alone[0]}.png has no partner" if alone else "no picture at all"
            raise DataError(
                f"{folder}: {first} ({len(alone)} such; {len(sides[0])} pictures in "
                f"{self.coarse.name}, {len(sides[1])} in {self.truth.name}). Pictures are paired "
                "by <person>/<expression>/<view>.png: add the missing ones or remove these."
            )
        self.keys = tuple(sorted(sides[0]))

    def read(self, key: PairKey) -> Pair:
        """Both pictures; without an alpha channel the mask is what is not black."""
        coarse = _picture(self.coarse / f"{key}.png")
        truth = _picture(self.truth / f"{key}.png")
        if truth.shape[2] == 3:
            alpha = np.where(truth.any(axis=2, keepdims=True), 255, 0).astype(np.uint8)
            truth = np.concatenate([truth, alpha], axis=2)
        return Pair(coarse[..., :3], truth * (truth[..., 3:] > 0))

    @staticmethod
    def _pictures(side: Path) -> dict[PairKey, Path]:
        found = {}
        for path in side.rglob("*.png"):
            parts = path.relative_to(side).with_suffix("").parts
            if len(parts) != 3:
                raise DataError(
                    f"{path}: expected {side.name}/<person>/<expression>/<view>.png. Move or "
                    "remove it."
                )
            found[PairKey(*parts)] = path
        return found


def write_pairs(folder: str | Path, source: PairSource, keys: Sequence[PairKey]) -> None:
    """Write some of a source's pairs as a pack: arrays of all pictures and ``pairs.json``.

    ``coarse.npy`` uint8 (n, h, w, 3), ``truth.npy`` uint8 (n, H, W, 4), ``surface.npy`` float16
    (n, h, w, 4) where the source knows it. Raises DataError for a key that comes twice and for
    pictures of several sizes.
    """
    if not keys or len(set(keys)) < len(keys):
        raise DataError(f"{folder}: {len(keys)} pairs, {len(set(keys))} different ones; name each.")
    with writing(folder) as part:
        part.mkdir(parents=True)
        arrays: dict[str, np.ndarray] = {}
        for number, key in enumerate(keys):
            pair = source.read(key)
            for name, picture in vars(pair).items():
                if picture is None:
                    continue
                if number == 0:
                    shape, path = (len(keys), *picture.shape), part / f"{name}.npy"
                    arrays[name] = np.lib.format.open_memmap(path, "w+", picture.dtype, shape)
                if name not in arrays or picture.shape != arrays[name].shape[1:]:
                    raise DataError(
                        f"{key}: {name} of shape {picture.shape}, others differ; all pairs of a "
                        "pack have one size. Make the pictures again at one size."
                    )
                arrays[name][number] = picture
        for array in arrays.values():
            array.flush()
        sums = {name: sha256(part / f"{name}.npy") for name in arrays}
        write_json(part / "pairs.json", {"pairs": [list(key) for key in keys], "sha256": sums})


class PairPack:
    """Reads what :func:`write_pairs` wrote; a :class:`PairSource` itself. Arrays stay on disk."""

    def __init__(self, folder: str | Path) -> None:
        """Open the pack; files that do not belong together are a DataError."""
        self.folder = Path(folder)
        about = read_json(self.folder / "pairs.json", AGAIN)
        try:
            self.keys = tuple(PairKey(*key) for key in about["pairs"])
            self.checksums: dict[str, str] = dict(about["sha256"])
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(
                f"{self.folder}: its pairs.json lacks or misstates {error}. {AGAIN}"
            ) from None
        self._place = {key: number for number, key in enumerate(self.keys)}
        self._arrays = {n: open_npy(self.folder / f"{n}.npy", AGAIN) for n in self.checksums}
        if not {"coarse", "truth"} <= self._arrays.keys():
            raise DataError(f"{self.folder}: no coarse pictures or no truth. {AGAIN}")
        for name, array in self._arrays.items():
            if len(array) != len(self.keys):
                raise DataError(
                    f"{self.folder}: {len(array)} pictures in {name}.npy, {len(self.keys)} pairs "
                    f"in pairs.json. {AGAIN}"
                )

    @property
    def people(self) -> tuple[str, ...]:
        """Whose pictures these are."""
        return tuple(dict.fromkeys(key.person for key in self.keys))

    @property
    def has_surface(self) -> bool:
        """Whether depth and normals are there."""
        return "surface" in self._arrays

    def read(self, key: PairKey) -> Pair:
        """The pair of this name."""
        if key not in self._place:
            raise DataError(f"{self.folder}: no pair {key}; it holds {len(self.keys)} others.")
        number = self._place[key]
        return Pair(**{name: np.array(array[number]) for name, array in self._arrays.items()})


def _halved(picture: np.ndarray) -> np.ndarray:
    """Means of 2 x 2 pixels."""
    height, width = picture.shape[:2]
    if height % 2 or width % 2:
        raise DataError(
            f"views of {width} x {height} pixels cannot be halved; expected even sides. Render "
            "them with an even views.size."
        )
    return picture.reshape(height // 2, 2, width // 2, 2, -1).mean(axis=(1, 3))


def _picture(path: Path) -> UInt8[np.ndarray, "h w c"]:
    """RGB or RGBA of a picture file."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as image:
            return np.array(image.convert("RGBA" if "A" in image.mode else "RGB"))
    except (UnidentifiedImageError, OSError) as error:
        raise DataError(
            f"{path}: not a whole picture ({error}). Render or copy it again."
        ) from None
