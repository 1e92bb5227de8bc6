"""Pairs of coarse and true pictures that the refiner learns from, and the pack they travel in.

A pair is known by its person, expression and view, never by its place in a folder. Whatever can
name its pairs and make each of them is a :class:`PairSource`: renders of a radiance field
(``refine_pairs``), a folder of pictures in the published layout (``pair_folder``), views made worse
on purpose. Training and evaluation read packs alone, which need numpy only.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float16, Float32, UInt8

from facemill.errors import DataError
from facemill.files import open_npy, read_json, sha256, write_json, writing
from facemill.mofanerf.refine import surface_channels
from facemill.randomness import generator
from facemill.render.cameras import Camera
from facemill.render.view_pack import ViewPack

AGAIN = "Delete the pack to have it made again."

BESIDE = "+"
"""Between a view's name and the degrees to the view beside it, where such a view is meant."""


class PairKey(NamedTuple):
    """Whose picture it is, with which expression, seen by which camera (``<pitch>_<i>``)."""

    person: str
    expression: str
    view: str

    def __str__(self) -> str:
        return "/".join(self)


@dataclass(frozen=True)
class Pair:
    """A coarse picture, the truth, and what is known of the surface at the size of either.

    Truth is RGBA, black where alpha is 0; alpha is the mask. The surface's channels are those of
    :func:`~facemill.mofanerf.refine.surface_channels`. Where views are to be compared with each
    other, the truth's depth (camera z, mm; 0: nothing) and its camera are there as well.
    """

    coarse: UInt8[np.ndarray, "h w 3"]
    truth: UInt8[np.ndarray, "h2 w2 4"]
    surface: Float16[np.ndarray, "h3 w3 4"] | None = None
    depth: Float32[np.ndarray, "h2 w2"] | None = None
    camera: Camera | None = None

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
        depth, camera = pack.depth(key.expression, key.view), pack.camera(key.view)
        normals = pack.normals(key.expression, key.view)
        surface = surface_channels(depth[::2, ::2], normals[::2, ::2], camera.extrinsics[:, :3])
        coarse = np.clip(np.round(half), 0, 255).astype(np.uint8)
        return Pair(coarse, truth, surface.astype(np.float16), depth, camera)


def write_pairs(folder: str | Path, source: PairSource, keys: Sequence[PairKey]) -> None:
    """Write some of a source's pairs as a pack: arrays of all pictures and ``pairs.json``.

    ``coarse.npy`` uint8 (n, h, w, 3), ``truth.npy`` uint8 (n, H, W, 4); where the source knows them
    ``surface.npy`` float16 (n, h or H, w or W, 4), ``depth.npy`` float32 (n, H, W),
    ``intrinsics.npy`` and ``extrinsics.npy``. Raises DataError for a key that comes twice and for
    pictures of several sizes.
    """
    if not keys or len(set(keys)) < len(keys):
        raise DataError(f"{folder}: {len(keys)} pairs, {len(set(keys))} different ones; name each.")
    with writing(folder) as part:
        part.mkdir(parents=True)
        arrays: dict[str, np.ndarray] = {}
        for number, key in enumerate(keys):
            for name, picture in _arrays(source.read(key)).items():
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
        parts = {name: np.array(array[number]) for name, array in self._arrays.items()}
        if "intrinsics" in parts:
            height, width = parts["truth"].shape[:2]
            matrices = parts.pop("intrinsics"), parts.pop("extrinsics")
            parts["camera"] = Camera(*matrices, width, height)
        return Pair(**parts)


def _arrays(pair: Pair) -> dict[str, np.ndarray]:
    """What is stored of a pair, by name; what it lacks is left out."""
    parts = {name: part for name, part in vars(pair).items() if part is not None}
    camera = parts.pop("camera", None)
    if camera is not None:
        parts |= {"intrinsics": camera.intrinsics, "extrinsics": camera.extrinsics}
    return parts


def require_even(height: int, width: int) -> None:
    """Raise a DataError for views that have no half size."""
    if height % 2 or width % 2:
        raise DataError(
            f"views of {width} x {height} pixels cannot be halved; expected even sides. Render "
            "them with an even views.size."
        )


def _halved(picture: np.ndarray) -> np.ndarray:
    """Means of 2 x 2 pixels."""
    height, width = picture.shape[:2]
    require_even(height, width)
    return picture.reshape(height // 2, 2, width // 2, 2, -1).mean(axis=(1, 3))
