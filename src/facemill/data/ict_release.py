"""Fetching and packing the public ICT-FaceKit release.

The release is 158 OBJ files of one topology and a table of vertex numbers. Packed, each mode
becomes 16-bit offsets from the mean with one scale, which is exact to a thousandth of a
millimetre and loads in half a second.

What is downloaded is pinned by content: a git commit names its files by their hashes, so that
listing the pinned commit and checking every file against the listing leaves no room for another
content. The listing itself comes over https from GitHub. A manifest of SHA-256 sums, where one is
given, is checked as well.
"""

import hashlib
import json
import logging
import shutil
import tempfile
from collections.abc import Mapping
from functools import partial
from importlib.resources import files
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from facemill.data.download import Open, bytes_behind
from facemill.data.ict import EXPRESSION_FILE, MODEL_FILE
from facemill.errors import DataError
from facemill.files import read_json, require_file, write_npz, writing

log = logging.getLogger(__name__)

REPOSITORY = "ICT-VGL/ICT-FaceKit"
COMMIT = "da5f95a607f5e6b37755b38d3385d7f2853732e5"
TREE_ADDRESS = f"https://api.github.com/repos/{REPOSITORY}/git/trees/{COMMIT}?recursive=1"
FILE_ADDRESS = f"https://raw.githubusercontent.com/{REPOSITORY}/{COMMIT}/"
MODEL_FOLDER = "FaceXModel"
NEUTRAL, INDICES, LICENCE = "generic_neutral_mesh.obj", "vertex_indices.json", "LICENSE"
MODES = 100
EXTRA_EXPRESSIONS = ("PupilDilate_L", "PupilDilate_R", "cheekRaiser_L", "cheekRaiser_R")
"""Shapes that lie in the release beside those its own list names."""

REGION_STARTS = {
    "face": (0, 0),
    "head_neck": (9409, 9230),
    "mouth_socket": (11248, 11144),
    "eye_socket_left": (13294, 13226),
    "eye_socket_right": (13678, 13630),
    "gums_tongue": (14062, 14034),
    "teeth": (17039, 17006),
    "eyeball_left": (21451, 21496),
    "eyeball_right": (23021, 23094),
    "lacrimal_left": (24591, 24692),
    "lacrimal_right": (24795, 24855),
    "eye_blend_left": (24999, 25018),
    "eye_blend_right": (25023, 25033),
    "eye_occlusion_left": (25047, 25048),
    "eye_occlusion_right": (25199, 25176),
    "eyelashes_left": (25351, 25304),
    "eyelashes_right": (26035, 25844),
}
"""First vertex and first polygon of each part, as the release's documentation lists them."""
INDEX_KEYS = {
    "landmarks68": "idx_to_landmark_verts",
    "rigid_verts": "idx_to_rigid_verts",
    "lap_rigid_verts": "idx_to_lap_rigid_verts",
    "fitting_verts": "idx_to_fitting_verts",
    "rigid_landmark_idx": "idx_to_rigid_landmark_idx",
}
_AGAIN = "Fetch the release again at the pinned commit."

WITHOUT_NETWORK = (
    "Without a network, point 'ict_model' to the folder of a packed model, or pack a copy of the "
    "release: ict_fetch.py --release."
)


def pack_release(
    release: str | Path,
    out: str | Path,
    regions: Mapping[str, tuple[int, int]] = REGION_STARTS,
    modes: int = MODES,
) -> None:
    """Pack the folder of a release into ``out``: model, expression table, licence.

    ``regions`` gives the first vertex and polygon of each part, in order. Raises DataError where a
    file is missing or has another vertex count than the neutral mesh.
    """
    release = Path(release)
    folder = release / MODEL_FOLDER
    hint = "Expected a whole copy of the ICT-FaceKit release."
    indices = read_json(folder / INDICES, hint)
    neutral, polygons = _read_polygons(require_file(folder / NEUTRAL, hint))
    names = [*indices["expressions"]]
    names += [name for name in EXTRA_EXPRESSIONS if (folder / f"{name}.obj").is_file()]
    identity, id_scale = _quantised(
        [_offsets(folder / f"identity{k:03d}.obj", neutral) for k in range(modes)]
    )
    expression, exp_scale = _quantised(
        [_offsets(folder / f"{name}.obj", neutral) for name in names]
    )
    starts = np.array(list(regions.values()), np.int32)
    ends = np.append(starts[1:], [[len(neutral), len(polygons["quads"])]], axis=0)
    vert_range = np.stack([starts[:, 0], ends[:, 0]], axis=1).astype(np.int32)
    quad_range = np.stack([starts[:, 1], ends[:, 1]], axis=1).astype(np.int32)
    arrays = {
        "neutral": neutral.astype(np.float32),
        "id_modes_q": identity,
        "id_scale": id_scale,
        "exp_modes_q": expression,
        "exp_scale": exp_scale,
        "exp_names": np.array(names),
        "n_official_exp": np.int32(len(indices["expressions"])),
        "region_names": np.array(list(regions)),
        "region_vert_range": vert_range,
        "region_quad_range": quad_range,
        "vert_region": np.repeat(np.arange(len(regions)), np.diff(vert_range)[:, 0]).astype("u1"),
        "quad_region": np.repeat(np.arange(len(regions)), np.diff(quad_range)[:, 0]).astype("u1"),
        **polygons,
    }
    for name, key in INDEX_KEYS.items():
        if key not in indices:
            raise DataError(f"{folder / INDICES}: lacks '{key}'. {_AGAIN}")
        arrays[name] = np.array(indices[key], np.int32)
    with writing(out) as part:
        part.mkdir(parents=True)
        write_npz(part / MODEL_FILE, arrays)
        table = files("facemill.data").joinpath(EXPRESSION_FILE).read_text(encoding="utf-8")
        (part / EXPRESSION_FILE).write_text(table, encoding="utf-8")
        shutil.copyfile(require_file(release / LICENCE, hint), part / LICENCE)
    log.info("packed %d vertices, %d + %d modes into %s", len(neutral), modes, len(names), out)


def _offsets(path: Path, neutral: Float[np.ndarray, "v 3"]) -> Float[np.ndarray, "v 3"]:
    """A mode: the shape's vertices minus the mean head's."""
    rows = [
        line.split()[1:4]
        for line in require_file(path, _AGAIN).read_bytes().splitlines()
        if line.startswith(b"v ")
    ]
    if len(rows) != len(neutral):
        raise DataError(f"{path}: {len(rows)} vertices, the mean has {len(neutral)}. {_AGAIN}")
    return np.array(rows).astype(np.float64) - neutral


def _quantised(
    modes: list[Float[np.ndarray, "v 3"]],
) -> tuple[Int[np.ndarray, "k v 3"], Float[np.ndarray, " k"]]:
    """16-bit integers and one scale each, largest offset at 32767."""
    scale = np.array([max(np.abs(mode).max(), 1e-12) / 32767.0 for mode in modes])
    return np.stack(
        [np.rint(m / s).astype(np.int16) for m, s in zip(modes, scale, strict=True)]
    ), scale


def _read_polygons(
    path: Path,
) -> tuple[Float[np.ndarray, "v 3"], dict[str, np.ndarray]]:
    """Vertices, and polygons (3 or 4 corners) with uv, materials and fan triangles of an OBJ."""
    vertices, uv, quads, quads_uv, material, materials = [], [], [], [], [], []
    for line in path.read_text(encoding="utf-8").splitlines():
        word, *rest = line.split() or [""]
        if word == "v":
            vertices.append(rest[:3])
        elif word == "vt":
            uv.append(rest[:2])
        elif word == "usemtl":
            if rest[0] not in materials:
                materials.append(rest[0])
            current = materials.index(rest[0])
        elif word == "f":
            corners = [corner.split("/") for corner in rest]
            if len(corners) not in (3, 4) or not materials:
                raise DataError(f"{path}: a polygon of {len(corners)} corners. {_AGAIN}")
            pad = [-1] * (4 - len(corners))
            quads.append([int(corner[0]) - 1 for corner in corners] + pad)
            quads_uv.append([int(corner[1]) - 1 for corner in corners] + pad)
            material.append(current)
    quads, quads_uv = np.array(quads, np.int32), np.array(quads_uv, np.int32)
    fans = np.array([[0, 1, 2], [0, 2, 3]])
    is_triangle = np.stack([np.ones(len(quads), bool), quads[:, 3] >= 0], axis=1).ravel()
    return np.array(vertices, np.float64), {
        "uv": np.array(uv, np.float32),
        "quads": quads,
        "quads_uv": quads_uv,
        "quad_material": np.array(material, np.uint8),
        "material_names": np.array(materials),
        "tris": quads[:, fans].reshape(-1, 3)[is_triangle],
        "tris_uv": quads_uv[:, fans].reshape(-1, 3)[is_triangle],
        "tri_quad": np.repeat(np.arange(len(quads), dtype=np.int32), 2)[is_triangle],
    }


def fetch_release(
    out: str | Path,
    opener: Open | None = None,
    sha256: Mapping[str, str] | None = None,
    **pack,
) -> None:
    """Download the release at the pinned commit, check every file, pack it into ``out``.

    ``opener`` maps an address to bytes (urllib over https by default); ``sha256`` gives further
    sums by path. A file whose git object id or sum is another one raises DataError and nothing is
    left behind.
    """
    opener = opener or partial(bytes_behind, way_out=WITHOUT_NETWORK)
    listing = json.loads(opener(TREE_ADDRESS))
    if listing.get("truncated"):
        raise DataError(f"{TREE_ADDRESS}: the listing is cut short; cannot check the files by it.")
    wanted = {
        entry["path"]: entry["sha"]
        for entry in listing.get("tree", [])
        if entry.get("type") == "blob" and _needed(entry["path"])
    }
    if f"{MODEL_FOLDER}/{NEUTRAL}" not in wanted:
        raise DataError(f"{TREE_ADDRESS}: lists no {NEUTRAL}; not the ICT-FaceKit release.")
    with tempfile.TemporaryDirectory() as folder:
        for number, (path, blob) in enumerate(sorted(wanted.items()), 1):
            content = opener(FILE_ADDRESS + path)
            _check(path, content, blob, (sha256 or {}).get(path))
            target = Path(folder) / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
            if number % 20 == 0 or number == len(wanted):
                log.info("fetched %d of %d files", number, len(wanted))
        pack_release(folder, out, **pack)


def _needed(path: str) -> bool:
    return path == LICENCE or (
        path.startswith(f"{MODEL_FOLDER}/") and path.endswith((".obj", INDICES))
    )


def git_blob_id(content: bytes) -> str:
    """The id that git gives a file of this content."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def _check(path: str, content: bytes, blob: str, sha256: str | None) -> None:
    found = git_blob_id(content)
    if found != blob:
        raise DataError(
            f"{path}: git object {found}, but the pinned commit {COMMIT[:10]} records {blob}; the "
            "download is damaged or not the file of that commit. Try again later."
        )
    if sha256 is not None and hashlib.sha256(content).hexdigest() != sha256:
        raise DataError(f"{path}: its SHA-256 is not {sha256}, which the manifest records.")
