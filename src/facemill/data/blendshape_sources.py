"""Where linear face models come from: the ICT model, and the embedded heads."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from facemill.data.blendshapes import Blendshapes, restricted
from facemill.errors import DataError
from facemill.files import reading_npz
from facemill.mesh.frames import FACE_TO_NFS, ICT_TO_NFS, nose_tip_similarity


def ict_blendshapes(folder: str | Path) -> Blendshapes:
    """The ICT model's skin with its 100 identity modes and 53 official units.

    Regions: ``full`` (face, head and neck), ``face``, and ``narrow`` (the front of the face); in
    the model's order each begins the next (NFS release).
    """
    from facemill.data import ict

    model = ict.load_model(folder)
    with reading_npz(Path(folder) / ict.MODEL_FILE) as arrays:
        official = int(arrays["n_official_exp"])
        first, last = arrays["narrow_face_vert_range"]
    keep = np.sort(np.concatenate([model.regions["face"], model.regions["head_neck"]]))
    regions = {
        "full": keep,
        "face": np.sort(model.regions["face"]),
        "narrow": np.arange(first, last),
    }
    scale = ICT_TO_NFS.scale
    whole = Blendshapes(
        name="ict",
        neutral=ICT_TO_NFS.apply(model.neutral),
        identity=(scale * model.identity * model.identity_scale[:, None, None]).astype(np.float32),
        expression=(
            scale * model.expression[:official] * model.expression_scale[:official, None, None]
        ).astype(np.float32),
        units=model.expression_names[:official],
        faces=model.faces,
        landmarks=model.landmarks,
        mirror=_required_mirror(ict.mirror_table(model), "ict"),
        regions=regions,
    )
    return restricted(whole, keep)


def demo_blendshapes(seed: int, modes: int) -> Blendshapes:
    """A linear model of the embedded heads: ``modes`` principal ones, and their 19 expressions.

    The modes are those of twice as many drawn neutral heads; a unit is what an expression's mean
    recipe does to the mean head. Regions: ``full``, ``face`` (without scalp and neck), ``narrow``
    (without ears).
    """
    from facemill.data import demo
    from facemill.data.demo.expression import express
    from facemill.data.demo.heads import neutral_person
    from facemill.data.demo.identity import build_person, draw_identity
    from facemill.data.demo.recipes import RECIPES

    topology = demo.topology()
    drawn = draw_identity("mean", seed, asymmetry=0.0)
    nothing = np.zeros_like
    mean = build_person(
        replace(
            drawn,
            amounts=nothing(drawn.amounts),
            weights=nothing(drawn.weights),
            odd_weights=nothing(drawn.odd_weights),
            lid_opening=0.03,
        )
    )
    place = FACE_TO_NFS.after(nose_tip_similarity(mean.vertices[topology.landmarks[30]]))
    neutral = place.apply(mean.vertices)
    units = {name: recipe for name, recipe in RECIPES.items() if recipe}
    people = np.stack(
        [
            place.apply(neutral_person(f"mode{number:03d}", seed).vertices)
            for number in range(2 * modes)
        ]
    )
    middle = people.mean(axis=0)
    _, spread, directions = np.linalg.svd(
        (people - middle).reshape(len(people), -1), full_matrices=False
    )
    deviations = spread[:modes] / np.sqrt(len(people) - 1)
    inner = ("eyes", "mouth_socket", "teeth")
    inside = np.concatenate([topology.regions[name] for name in inner])
    keep = np.setdiff1d(np.arange(topology.n_vertices), inside)
    face = np.setdiff1d(keep, np.concatenate([topology.regions["scalp"], topology.regions["neck"]]))
    whole = Blendshapes(
        name="demo",
        neutral=neutral,
        identity=(deviations[:, None] * directions[:modes])
        .reshape(modes, -1, 3)
        .astype(np.float32),
        expression=np.stack(
            [place.apply(express(mean, recipe)) - neutral for recipe in units.values()]
        ).astype(np.float32),
        units=tuple(units),
        faces=topology.faces.astype(np.int64),
        landmarks=topology.landmarks,
        mirror=_required_mirror(topology.mirror, "demo"),
        regions={
            "full": keep,
            "face": face,
            "narrow": np.setdiff1d(face, topology.regions["ears"]),
        },
    )
    return restricted(whole, keep)


def _required_mirror(mirror: np.ndarray | None, name: str) -> np.ndarray:
    if mirror is None:
        raise DataError(f"{name}: the left and right vertices of the mean head do not pair up.")
    return mirror.astype(np.int64)
