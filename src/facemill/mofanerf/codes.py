"""From registered meshes and textures to MoFaNeRF's codes, and to what is held out of training.

Held-out people are projected on the training people's components; neither their images nor the
held-out pairs' meshes are used.
"""

import logging
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from facemill.data.expressions import NEUTRAL
from facemill.data.index import load_index
from facemill.data.packs import FacePack
from facemill.errors import DataError
from facemill.files import read_json, write_json, write_npz
from facemill.mesh.surface import Mesh
from facemill.mofanerf.config import CodesConfig
from facemill.mofanerf.face_model import SHAPE_DIM, fit_face_model
from facemill.mofanerf.splits import ViewSplit, make_view_split
from facemill.render.view_pack import ViewPack
from facemill.training.settings import from_settings

log = logging.getLogger(__name__)

TEXTURE_SIZE = 512
"""Side of the stored textures (release)."""


def make_codes(
    index_path: str | Path,
    faces: str | Path,
    views: str | Path,
    settings: Mapping[str, Any],
    codes_path: str | Path,
    split_path: str | Path,
) -> None:
    """Write ``codes.npz`` and ``split.json`` (docs/data-layouts.md).

    ``faces`` and ``views`` are folders of packs; ``settings`` fields of CodesConfig. Raises
    DataError for a person without views, texture or neutral scan, naming the person.
    """
    config = from_settings(CodesConfig, settings, "mofanerf.codes")
    index = load_index(index_path)
    split, rendered = _draw_split(index, Path(views), config)
    people = [*split.train_people, *split.test_people]
    packs = {person: FacePack(Path(faces) / f"{person}.npz") for person in people}
    scans, mesh = _registered(packs, split)
    allowed = {
        key: scan for key, scan in scans.items() if split.trains_on(*key) and key in rendered
    }
    model = fit_face_model(allowed, split.expressions, mesh, config)
    rng = np.random.default_rng(config.seed)
    count = min(config.correspondence_points, len(model.mean))
    chosen = np.sort(rng.permutation(len(model.mean))[:count]).astype(np.int32)
    arrays: dict[str, np.ndarray] = {f"model/{k}": v for k, v in vars(model).items()}
    arrays["correspondence/vertices"] = chosen
    for (person, expression), vertices in allowed.items():
        arrays[f"correspondence/{person}/{expression}"] = vertices[chosen].astype(np.float32)
    for person in people:
        code = model.code(scans[person, NEUTRAL])
        arrays[f"shape/{person}"] = np.pad(code, (0, SHAPE_DIM - len(code)))
        arrays[f"texture/{person}"] = neutral_texture(Path(faces) / f"{person}.json", person)
        for expression in split.expressions:
            if expression in packs[person].expressions:
                marks = packs[person].landmarks(expression)
                arrays[f"landmarks/{person}/{expression}"] = marks.astype(np.float32)
    write_npz(codes_path, arrays)
    write_json(split_path, asdict(split))
    log.info(
        "%d shape components of %d people; %d views and %d pairs held out",
        len(model.basis), len(split.train_people), len(split.test_views), len(split.test_pairs),
    )  # fmt: skip


def _draw_split(
    index: Mapping[str, Any], views: Path, config: CodesConfig
) -> tuple[ViewSplit, set[tuple[str, str]]]:
    """Hold out views and pairs among what was rendered; and the (person, expression) rendered."""
    present, names, counted = [], None, set()
    for person in index["people"]:
        path = views / f"{person}.zip"
        if not path.is_file():
            continue  # views.people: not everybody is rendered
        with ViewPack(path) as pack:
            if names is not None and set(pack.names) != set(names):
                raise DataError(
                    f"{path}: other views than its fellows. Delete the views to have all made "
                    "again with one setting."
                )
            names = pack.names
            present += [(person, expression) for expression in pack.expressions]
            counted.add(person)
    if names is None:
        raise DataError(f"{views}: no view packs; run views_render (config: views).")
    seen = index["split"]["seen_expressions"]
    shown = [e for e in seen if any(e == expression for _, expression in present)]
    train = [p for p in index["split"]["train"] if p in counted]
    test = [p for p in index["split"]["test"] if p in counted]
    return make_view_split(train, test, shown, names, present, config), set(present)


def _registered(
    packs: Mapping[str, FacePack], split: ViewSplit
) -> tuple[dict[tuple[str, str], np.ndarray], Mesh]:
    """Vertices of everybody's scans in the split's expressions, and a mesh of their topology."""
    scans, mesh = {}, None
    for person, pack in packs.items():
        if NEUTRAL not in pack.expressions:
            raise DataError(
                f"{pack.path}: no {NEUTRAL}, which shape codes are made of. Take {person} out of "
                "'people' or add the scan."
            )
        for expression in split.expressions:
            if expression not in pack.expressions:
                continue
            scan = pack.registered(expression)
            mesh = mesh or scan
            if scan.vertices.shape != mesh.vertices.shape:
                raise DataError(
                    f"{pack.path}: {expression} has {len(scan.vertices)} vertices, others "
                    f"{len(mesh.vertices)}. MoFaNeRF's shape codes need meshes of one topology."
                )
            scans[person, expression] = scan.vertices
    assert mesh is not None
    return scans, mesh


def neutral_texture(manifest: Path, person: str) -> UInt8[np.ndarray, "512 512 3"]:
    """The neutral texture that a face pack's manifest names, averaged to 512 x 512."""
    from PIL import Image

    from facemill.mesh.io import read_texture

    path = read_json(manifest)["scans"][NEUTRAL].get("texture")
    if not path:
        raise DataError(
            f"{manifest}: {person} has no texture for {NEUTRAL}, which the appearance code is made "
            "of. Add one, or take the person out of views.people."
        )
    texture = read_texture(path)
    height, width = texture.shape[:2]
    if height != width:
        raise DataError(f"{path}: {width} x {height} pixels; expected a square uv texture.")
    size = (TEXTURE_SIZE, TEXTURE_SIZE)
    return np.array(Image.fromarray(texture).resize(size, Image.Resampling.BOX))
