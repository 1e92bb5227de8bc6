"""What the refiner learns from and is measured on: a trained field's renders at half resolution.

Training pairs are training people's training views, as published. Held-out ones are those that
MoFaNeRF itself is measured on, each with a second view beside it: pictures that are made one by one
may disagree where they show the same point. Rays and the surface beside the colour follow the mesh
that is predicted from the codes; nothing is taken from the picture that is to be made.
"""

import hashlib
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float16, UInt8

from facemill.data.packs import FacePack
from facemill.errors import DataError
from facemill.files import content_hash, read_json, reading_npz, sha256, write_npz
from facemill.mesh.frames import HEAD_CENTRE
from facemill.mesh.surface import Mesh
from facemill.mofanerf.config import EvaluateConfig
from facemill.mofanerf.evaluate import items
from facemill.mofanerf.faces import Faces
from facemill.mofanerf.pairs import BESIDE, Pair, PairKey, require_even, write_pairs
from facemill.mofanerf.refine import surface_channels
from facemill.mofanerf.refine_config import PairsSettings
from facemill.mofanerf.splits import ViewSplit, read_view_split
from facemill.randomness import derived_seed
from facemill.render.cameras import Camera
from facemill.render.mesh_view import MeshView
from facemill.render.pixels import eight_bit
from facemill.render.raycast import RayScene, vertex_normals
from facemill.render.view_pack import DEPTH_UNITS, ViewPack
from facemill.render.views import scan_view
from facemill.training.checkpoint import Checkpoints
from facemill.training.device import choose_device
from facemill.training.loop import sources
from facemill.training.settings import from_settings, to_settings

log = logging.getLogger(__name__)


def make_pairs(
    model: str | Path,
    codes: str | Path,
    split_path: str | Path,
    views: str | Path,
    faces: str | Path,
    settings: Mapping[str, Any],
    training: str | Path,
    held_out: str | Path,
    work: str | Path | None = None,
) -> None:
    """Write the two packs ``training`` and ``held_out`` of a trained model's pairs.

    ``settings`` are fields of PairsSettings; ``views`` and ``faces`` are the folders of all
    people's packs. A run that was killed takes its renders from ``work``, which is removed at the
    end. Raises DataError where model, codes and views do not belong together.
    """
    config = from_settings(PairsSettings, settings, "mofanerf.refine")
    split = read_view_split(split_path)
    packs = {
        person: ViewPack(Path(views) / f"{person}.zip")
        for person in (*split.train_people, *split.test_people)
    }
    device = choose_device(config.device)
    of = Faces(model, codes, device)
    kept = None if work is None else Checkpoints(work, _fingerprint(config, model, codes, device))
    renderer = HalfSize(of, config, None if kept is None else kept.folder)
    learned = TrainingViews(renderer, packs, training_keys(split, packs, config))
    measured = HeldOutViews(renderer, packs, Path(faces), held_out_keys(split, packs, config))
    for folder, source in ((training, learned), (held_out, measured)):
        write_pairs(folder, source, source.keys)
        log.info("%s: %d pairs", folder, len(source.keys))
    if renderer.taken:
        log.info("%d renders were there already", renderer.taken)
    if kept is not None:
        kept.remove()


def _fingerprint(
    config: PairsSettings, model: str | Path, codes: str | Path, device: torch.device
) -> dict[str, Any]:
    """What a render depends on besides its name and camera."""
    return {
        "settings": {key: to_settings(config)[key] for key in ("sampling", "rays_at_once")},
        "code": content_hash(sources(Path(__file__).parent)),
        "model": sha256(model),
        "codes": sha256(codes),
        "device": device.type,
    }


class HalfSize:
    """Renders a trained field at half of a camera's resolution, with the surface it expects.

    With a folder each render is kept in a file as soon as it is made, and taken from there when the
    same one is asked for again; ``taken`` counts those.
    """

    def __init__(self, faces: Faces, config: PairsSettings, folder: Path | None = None) -> None:
        self.faces, self.config, self.folder = faces, config, folder
        self.taken = 0
        self._scan: tuple[str, str] | None = None

    def render(
        self, person: str, expression: str, camera: Camera
    ) -> tuple[UInt8[np.ndarray, "h w 3"], Float16[np.ndarray, "h2 w2 4"]]:
        """The coarse picture, and the surface channels at the final size, which is ``camera``'s."""
        if self.folder is None:
            return self._rendered(person, expression, camera)
        path = self.folder / f"{_name(person, expression, camera)}.npz"
        if path.is_file():
            try:
                with reading_npz(path) as arrays:
                    found = arrays["coarse"], arrays["surface"]
                self.taken += 1
                return found
            except DataError as error:
                log.warning("%s; it is made again", error)
        coarse, surface = self._rendered(person, expression, camera)
        write_npz(path, {"coarse": coarse, "surface": surface})
        return coarse, surface

    def _rendered(
        self, person: str, expression: str, camera: Camera
    ) -> tuple[UInt8[np.ndarray, "h w 3"], Float16[np.ndarray, "h2 w2 4"]]:
        require_even(camera.height, camera.width)
        half = camera.resized(camera.width // 2, camera.height // 2)
        sampling, at_once = self.config.sampling, self.config.rays_at_once
        seen = self.faces.render(person, expression, half, sampling, at_once)
        if self._scan != (person, expression):  # kept while pairs of it are asked for
            self._surface = SeenSurface(self.faces.surface(person, expression))
            self._scan = (person, expression)
        return eight_bit(seen.colour), self._surface.channels(camera)


def _name(person: str, expression: str, camera: Camera) -> str:
    """A file name that no other render has."""
    digest = hashlib.sha256("\x1f".join((person, expression)).encode())
    for part in (camera.intrinsics, camera.extrinsics, (camera.width, camera.height)):
        digest.update(np.asarray(part, np.float64).tobytes())
    return digest.hexdigest()[:32]


class SeenSurface:
    """A mesh (mm, face frame) made ready to be seen by many cameras."""

    def __init__(self, mesh: Mesh) -> None:
        self.faces = mesh.faces
        self.scene = RayScene(mesh.vertices, mesh.faces, "predicted surface")
        self.normals = vertex_normals(mesh.vertices, mesh.faces)

    def channels(self, camera: Camera) -> Float16[np.ndarray, "h w 4"]:
        """Its :func:`~facemill.mofanerf.refine.surface_channels` at the pixel centres."""
        shape = (camera.height, camera.width)
        hits = self.scene.see(camera)
        normals = hits.interpolate(self.normals, self.faces)
        normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
        depth = hits.scatter(hits.distance).reshape(shape)
        normals = hits.scatter(normals).reshape(*shape, 3)
        return surface_channels(depth, normals, camera.extrinsics[:, :3]).astype(np.float16)


class TrainingViews:
    """Pairs whose truth are rendered views; a :class:`~facemill.mofanerf.pairs.PairSource`."""

    def __init__(
        self, renderer: HalfSize, packs: Mapping[str, ViewPack], keys: Sequence[PairKey]
    ) -> None:
        self.renderer, self.packs, self.keys = renderer, packs, keys

    def read(self, key: PairKey) -> Pair:
        """The render and the view."""
        pack = self.packs[key.person]
        coarse, surface = self.renderer.render(key.person, key.expression, pack.camera(key.view))
        return Pair(coarse, _over_black(pack.image(key.expression, key.view)), surface)


class HeldOutViews:
    """Pairs in the views of ``keys`` and, named ``<view>+<degrees>``, in those beside them.

    The views beside stand on nobody's grid: truth, depth and camera come from the scans.
    """

    def __init__(
        self,
        renderer: HalfSize,
        packs: Mapping[str, ViewPack],
        faces: Path,
        keys: Sequence[PairKey],
    ) -> None:
        self.renderer, self.packs, self.faces, self.keys = renderer, packs, faces, keys
        self._scan: tuple[str, str] | None = None

    def read(self, key: PairKey) -> Pair:
        """The render, the truth, and from where it is seen."""
        camera = self.camera(key)
        image, depth, _ = self._view(key.person, key.expression, camera).render(camera)
        coarse, surface = self.renderer.render(key.person, key.expression, camera)
        millimetres = depth.astype(np.float32) / DEPTH_UNITS
        return Pair(coarse, _over_black(image), surface, millimetres, camera)

    def camera(self, key: PairKey) -> Camera:
        """The camera of a view of the grid or of one beside it."""
        view, _, turn = key.view.partition(BESIDE)
        camera = self.packs[key.person].camera(view)
        return camera.turned(float(turn), HEAD_CENTRE) if turn else camera

    def _view(self, person: str, expression: str, camera: Camera) -> MeshView:
        """The scan, kept while pairs of it are asked for."""
        if self._scan != (person, expression):
            scans = read_json(self.faces / f"{person}.json")["scans"]
            pack = FacePack(self.faces / f"{person}.npz")
            self._mesh, _ = scan_view(pack, expression, scans[expression], camera)
            self._scan = (person, expression)
        return self._mesh


def training_keys(
    split: ViewSplit, packs: Mapping[str, ViewPack], config: PairsSettings
) -> list[PairKey]:
    """Some expressions of each training person in some training views, in the order of hashes."""

    def drawn(names: Sequence[str], count: int | None, *of: str) -> list[str]:
        order = lambda name: derived_seed(config.seed, "refine", "pairs", *of, name)  # noqa: E731
        return sorted(names, key=order)[:count]

    wanted = config.pairs
    return [
        PairKey(person, expression, view)
        for person in drawn(split.train_people, wanted.people)
        for expression in drawn(
            [e for e in packs[person].expressions if split.trains_on(person, e)],
            wanted.expressions,
            person,
        )
        for view in drawn(split.train_views, wanted.views, person, expression)
    ]


def held_out_keys(
    split: ViewSplit, packs: Mapping[str, ViewPack], config: PairsSettings
) -> list[PairKey]:
    """The pictures that MoFaNeRF is measured on, each followed by the one beside it."""
    wanted = EvaluateConfig(people=config.evaluate.people, views=config.evaluate.views)
    return [
        PairKey(item.person, item.expression, view)
        for item in items(split, packs, wanted)
        for view in (item.view, f"{item.view}{BESIDE}{config.evaluate.turn:g}")
    ]


def _over_black(image: UInt8[np.ndarray, "h w 4"]) -> UInt8[np.ndarray, "h w 4"]:
    return image * (image[..., 3:] > 0)
