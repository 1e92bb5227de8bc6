"""Which files of the user's own are to be fitted, and what lies beside them.

Scans for `imface_fit_one` (the key `input`) and a photo for `mofanerf_fit_photo` (`photo`).
"""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from facemill.data.tree import in_order
from facemill.errors import ConfigError

SUFFIXES = (".obj", ".ply", ".stl", ".glb", ".xyz", ".npy")
"""Meshes, and point clouds (.ply, .xyz, .npy)."""

LANDMARKS = ".landmarks.txt"

PHOTO_LANDMARKS, PHOTO_MASKS = (LANDMARKS, ".landmarks.npy"), (".mask.png",)
"""Endings of the files beside a photo."""

NO_INPUT = "(config: input is null; name the scan to fit: --config input=head.ply)"
"""Stands where a rule expects scans, so that the engine's message about what is missing says it."""

NFS_ALONE = (
    "(dataset: multiface serves NFS alone, since no landmarks are known of it; ask for nfs_table, "
    "nfs_retarget_figure or another target of NFS, or take another data set)"
)
"""Stands in the same way where another system's scans are expected."""


@dataclass(frozen=True)
class RawScan:
    """One scan to be fitted; ``landmarks`` is its file of landmarks, or None."""

    name: str
    scan: Path
    landmarks: Path | None


@dataclass(frozen=True)
class Photo:
    """A photo to be fitted; its landmarks and mask are files, or None."""

    name: str
    photo: Path
    landmarks: Path | None
    mask: Path | None


def photo(config: Mapping[str, Any]) -> Photo | None:
    """The photo that the keys ``photo``, ``photo_landmarks`` and ``photo_mask`` mean, or None.

    Files beside the photo are taken where none is named. Opens nothing. Raises ConfigError where
    a named file is not there, or there is neither a landmark file nor a detector.
    """
    if not config["photo"]:
        for key in ("photo_landmarks", "photo_mask"):
            if config[key]:
                raise ConfigError(f"config: {key} is given without photo; name the photo too.")
        return None
    named = {key: config[key] for key in ("photo", "photo_landmarks", "photo_mask")}
    named["mofanerf.photo.detector"] = config["mofanerf"]["photo"]["detector"]
    for key, file in named.items():
        if file and not Path(file).is_file():
            raise ConfigError(f"config: {key}: {file} is not there.")
    path = Path(named["photo"])
    found = []
    for file, endings in (
        (named["photo_landmarks"], PHOTO_LANDMARKS),
        (named["photo_mask"], PHOTO_MASKS),
    ):
        near = (path.with_name(path.stem + ending) for ending in endings)
        found.append(Path(file) if file else next((p for p in near if p.is_file()), None))
    if found[0] is None and not named["mofanerf.photo.detector"]:
        raise ConfigError(
            f"config: photo: {path} has no landmarks; expected {path.stem}{PHOTO_LANDMARKS[0]} "
            "beside it (68 rows 'x y' in pixels), a file named by photo_landmarks, or a 68-point "
            "network named by mofanerf.photo.detector."
        )
    return Photo(path.stem, path, *found)


def raw_scans(given: str | Sequence[str] | None, landmarks: str | None) -> list[RawScan]:
    """The scans that the keys ``input`` and ``fit_one.landmarks`` mean.

    ``given`` is a file, several, or a folder (all scans in it). ``landmarks`` is a file, a folder
    of ``<scan>.landmarks.txt``, "none", or null: then the file beside the scan is taken if there
    is one. Opens nothing. Raises ConfigError where something named is not there.
    """
    if not given:
        return []
    paths = [
        path for name in ([given] if isinstance(given, str) else given) for path in _files(name)
    ]
    names = [path.stem for path in paths]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ConfigError(
            f"config: input names two scans called {', '.join(twice)}; results are filed by that "
            "name. Rename one of them."
        )
    return [RawScan(path.stem, path, _landmarks(path, landmarks)) for path in paths]


def _files(given: str) -> list[Path]:
    path = Path(given)
    if path.is_dir():
        found = [entry.name for entry in path.iterdir() if entry.suffix.lower() in SUFFIXES]
        found = [name for name in found if not name.startswith(".")]
        if not found:
            raise ConfigError(f"config: input: {given} holds no scan ({', '.join(SUFFIXES)}).")
        return [path / name for name in in_order(found)]
    if not path.is_file():
        raise ConfigError(
            f"config: input: {given} is not there, neither as a file nor as a folder."
        )
    if path.suffix.lower() not in SUFFIXES:
        raise ConfigError(
            f"config: input: {given} is none of {', '.join(SUFFIXES)}; convert it first."
        )
    return [path]


def _landmarks(scan: Path, named: str | None) -> Path | None:
    beside = scan.with_name(scan.stem + LANDMARKS)
    if named is None:
        return beside if beside.is_file() else None
    if named == "none":
        return None
    for path in (Path(named) / beside.name, Path(named)):
        if path.is_file():
            return path
    raise ConfigError(
        f"config: fit_one.landmarks: {named} is no landmark file and no folder with {beside.name}. "
        "Name one, or none to fit without landmarks."
    )


def variant(config: Mapping[str, Any], known: Sequence[str], section: str = "fit_one") -> str:
    """The variant that ``<section>.variant`` means: of ``known``, the first where it is null."""
    named = config[section]["variant"] or known[0]
    if named not in known:
        near = difflib.get_close_matches(named, known, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]}?" if near else f"known here: {', '.join(known)}"
        raise ConfigError(f'config: {section}.variant is "{named}"; {hint}')
    return named


def fetched_model(config: Mapping[str, Any]) -> Path | None:
    """Where the weights that ``fit_one.model`` names are brought and checked; None: nowhere.

    Weights named with their checksum are kept by it, wherever they come from. Raises ConfigError
    for an address without a checksum, or one that is not https.
    """
    model, sha256 = config["fit_one"]["model"], config["fit_one"]["model_sha256"]
    if sha256 and not model:
        raise ConfigError("config: fit_one.model_sha256 is given without fit_one.model; name both.")
    if is_address(model):
        if not model.startswith("https://"):
            raise ConfigError(f"config: fit_one.model: {model} is no https address and no file.")
        if not sha256:
            raise ConfigError(
                f"config: fit_one.model: {model} is fetched by its checksum only; give "
                "fit_one.model_sha256, which stands on the card of the weights."
            )
    return Path(f"resources/imface/{sha256.lower()}.safetensors") if sha256 else None


def is_address(model: str | None) -> bool:
    """Whether weights lie behind an address, not in a file."""
    return model is not None and "://" in model


def settings(fit_one: Mapping[str, Any]) -> dict[str, Any]:
    """What of the section ``fit_one`` changes a fit, besides its files."""
    files = ("landmarks", "model", "model_sha256", "variant")
    return {k: v for k, v in fit_one.items() if k not in files}
