"""People drawn from the ICT face model: real scanned shape, open licence, FaceScape's frame.

A packed model (``ict_face_model_light.npz``) holds a mean head, 100 identity modes and 57
expression modes in centimetres; V = mean + sum_k w_k identity_k + sum_j x_j expression_j. People
are drawn by seed and name, aligned rigidly, and written in millimetres.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from facemill.data.topology import Topology
from facemill.errors import DataError
from facemill.files import read_json, reading_npz
from facemill.randomness import generator

MODEL_FILE = "ict_face_model_light.npz"
EXPRESSION_FILE = "expressions_facescape20.json"
MILLIMETRES_PER_CENTIMETRE = 10.0
IDENTITY_LIMIT = 2.5
"""Identity weights are clipped here, in standard deviations: beyond, heads look drawn."""

SKIN = ("face", "head_neck", "mouth_socket", "eye_socket_left", "eye_socket_right")
"""Regions welded into one open surface."""
SCLERAS = {"eyeball_left": "M_ScleraLeft", "eyeball_right": "M_ScleraRight"}
"""The outer eyeballs. The iris meshes behind them stay hidden when opaque and are left out."""
REGIONS = (*SKIN, "gums_tongue", "teeth", *SCLERAS)
"""What is written; tear films, lashes and occlusion strips need transparency and are left out."""


@dataclass(frozen=True)
class IctModel:
    """The used part of the packed model, in centimetres, vertices renumbered from 0.

    ``identity`` and ``expression`` are quantised modes with one scale each. ``uv`` runs over
    tiles; ``faces_uv`` indexes it. ``regions`` are the vertices of each part.
    """

    neutral: Float[np.ndarray, "v 3"]
    identity: Int[np.ndarray, "i v 3"]
    identity_scale: Float[np.ndarray, " i"]
    expression: Int[np.ndarray, "e v 3"]
    expression_scale: Float[np.ndarray, " e"]
    expression_names: tuple[str, ...]
    faces: Int[np.ndarray, "f 3"]
    faces_uv: Int[np.ndarray, "f 3"]
    uv: Float[np.ndarray, "t 2"]
    face_region: Int[np.ndarray, " f"]
    landmarks: Int[np.ndarray, "68"]
    rigid: Int[np.ndarray, " r"]
    regions: Mapping[str, Int[np.ndarray, " p"]]

    def vertices(
        self, identity: Float[np.ndarray, " i"], expression: Mapping[str, float]
    ) -> Float[np.ndarray, "v 3"]:
        """Vertices in cm of identity weights (standard deviations) and expression weights."""
        unknown = sorted(set(expression) - set(self.expression_names))
        if unknown:
            raise DataError(
                f"{EXPRESSION_FILE}: expression modes {', '.join(unknown)} are not in the model."
            )
        weights = np.array([expression.get(name, 0.0) for name in self.expression_names])
        used = np.flatnonzero(weights)
        return (
            self.neutral
            + np.tensordot(identity * self.identity_scale, self.identity, axes=1)
            + np.tensordot((weights * self.expression_scale)[used], self.expression[used], axes=1)
        )


def load_model(folder: str | Path) -> IctModel:
    """Read the used regions of a packed model; a broken or foreign file raises a DataError."""
    path = Path(folder) / MODEL_FILE
    hint = "Point 'ict_model' to the folder of a packed ICT model, or run ict_fetch again."
    with reading_npz(path, hint) as arrays:
        names = [str(name) for name in arrays["region_names"]]
        materials = [str(name) for name in arrays["material_names"]]
        region = arrays["quad_region"]
        material = arrays["quad_material"]
        quads = np.isin(region, [names.index(name) for name in (*SKIN, "gums_tongue", "teeth")])
        for name in SCLERAS.values():
            quads |= material == materials.index(name)
        triangles = quads[arrays["tri_quad"]]
        faces, faces_uv = arrays["tris"][triangles], arrays["tris_uv"][triangles]
        vertices, uv_rows = np.unique(faces), np.unique(faces_uv)
        # Numbers of the full model -> numbers among what is kept.
        number = np.full(len(arrays["neutral"]), -1)
        number[vertices] = np.arange(len(vertices))
        uv_number = np.full(len(arrays["uv"]), -1)
        uv_number[uv_rows] = np.arange(len(uv_rows))
        vert_region = arrays["vert_region"][vertices]
        rigid = number[arrays["rigid_verts"]]
        return IctModel(
            neutral=arrays["neutral"][vertices].astype(np.float64),
            identity=arrays["id_modes_q"][:, vertices],
            identity_scale=arrays["id_scale"].astype(np.float64),
            expression=arrays["exp_modes_q"][:, vertices],
            expression_scale=arrays["exp_scale"].astype(np.float64),
            expression_names=tuple(str(name) for name in arrays["exp_names"]),
            faces=number[faces],
            faces_uv=uv_number[faces_uv],
            uv=arrays["uv"][uv_rows].astype(np.float64),
            face_region=np.array(
                [REGIONS.index(name) if name in REGIONS else -1 for name in names]
            )[region[arrays["tri_quad"][triangles]]],
            landmarks=number[arrays["landmarks68"]],
            rigid=rigid[rigid >= 0],
            regions={name: np.flatnonzero(vert_region == names.index(name)) for name in REGIONS},
        )


def load_expressions(folder: str | Path) -> dict[str, Any]:
    """The table ``{"jitter": [low, high], "expressions": {name: {mode: weight}}}``."""
    hint = "It belongs beside the packed ICT model; run ict_fetch again."
    table = read_json(Path(folder) / EXPRESSION_FILE, hint)
    if not isinstance(table, dict) or not {"jitter", "expressions"} <= set(table):
        raise DataError(
            f"{Path(folder) / EXPRESSION_FILE}: lacks 'jitter' or 'expressions'. {hint}"
        )
    return table


def topology(model: IctModel) -> Topology:
    """The topology of the written heads: atlas uv, landmarks, regions, mirror table if exact."""
    from facemill.data.ict_texture import atlas_uv

    regions = dict(model.regions)
    regions["skin"] = np.concatenate([model.regions[name] for name in SKIN])
    return Topology(
        name="ict",
        n_vertices=len(model.neutral),
        landmarks=model.landmarks,
        source="ICT-FaceKit light model, USC Institute for Creative Technologies (MIT)",
        faces=model.faces,
        uv=atlas_uv(model),
        faces_uv=model.faces_uv,
        mirror=mirror_table(model),
        regions=regions,
    ).check()


def mirror_table(model: IctModel, tolerance_cm: float = 0.05) -> Int[np.ndarray, " v"] | None:
    """For every vertex the one across x = 0 on the mean head, or None if they do not pair up."""
    from scipy.optimize import linear_sum_assignment
    from scipy.spatial import cKDTree

    mirror = np.arange(len(model.neutral))
    groups = (SKIN, ("gums_tongue",), ("teeth",), tuple(SCLERAS))
    for names in groups:
        group = np.concatenate([model.regions[name] for name in names])
        points = model.neutral[group]
        across = cKDTree(points).query(points * [-1.0, 1.0, 1.0])[1]
        open_ends = np.flatnonzero(across[across] != np.arange(len(group)))
        if len(open_ends):
            # A few vertices lie so close together that the nearest is not the partner.
            rest = points[open_ends]
            cost = np.linalg.norm(rest[:, None] * [-1.0, 1.0, 1.0] - rest[None], axis=-1)
            across[open_ends] = open_ends[linear_sum_assignment(cost)[1]]
        mirror[group] = group[across]
    distance = np.linalg.norm(model.neutral * [-1.0, 1.0, 1.0] - model.neutral[mirror], axis=1)
    paired = np.array_equal(mirror[mirror], np.arange(len(mirror)))
    return mirror if paired and distance.max() < tolerance_cm else None


def identity_weights(seed: int, person: str, spread: float, count: int) -> Float[np.ndarray, " i"]:
    """The identity weights of a person in standard deviations, by seed and name alone."""
    drawn = generator(seed, "ict", person).normal(size=count)
    return np.clip(drawn, -IDENTITY_LIMIT, IDENTITY_LIMIT) * spread


def expression_weights(
    table: Mapping[str, Any], seed: int, person: str, expression: str
) -> dict[str, float]:
    """Mode weights of one person's expression: the table's, all times one factor in its jitter.

    Blinks are not varied: lids are closed or they are not.
    """
    if expression not in table["expressions"]:
        raise DataError(f"{EXPRESSION_FILE}: holds no expression {expression}.")
    factor = generator(seed, "ict", person, expression).uniform(*table["jitter"])
    weights = table["expressions"][expression]
    return {
        mode: weight if mode.startswith("eyeBlink") else min(1.0, factor * weight)
        for mode, weight in weights.items()
    }


def person_vertices(
    model: IctModel,
    table: Mapping[str, Any],
    person: str,
    expressions: Sequence[str],
    spread: float,
    seed: int,
) -> dict[str, Float[np.ndarray, "v 3"]]:
    """Vertices by expression in mm, moved rigidly so that the neutral lies on the mean head.

    The identity modes carry drift of the whole head; one rotation and translation per person,
    fitted on the model's rigid vertices, removes it.
    """
    from facemill.mesh.alignment import umeyama

    identity = identity_weights(seed, person, spread, len(model.identity))
    neutral = model.vertices(identity, {})
    place = umeyama(neutral[model.rigid], model.neutral[model.rigid], with_scale=False)
    found = {}
    for expression in expressions:
        weights = expression_weights(table, seed, person, expression)
        found[expression] = MILLIMETRES_PER_CENTIMETRE * place.apply(
            model.vertices(identity, weights)
        )
    return found


def write_person(
    folder: str | Path,
    person: str,
    expressions: Sequence[str],
    settings: Mapping[str, Any],
    out: str | Path,
) -> None:
    """Write a person's scans into ``out`` as OBJ with one texture for all expressions.

    ``folder`` is that of the packed model, ``settings`` the configuration (``seed``, ``ict``).
    """
    from PIL import Image

    from facemill.data.ict_texture import atlas_uv, person_texture, textures_folder
    from facemill.mesh.io import write_obj
    from facemill.mesh.surface import Mesh

    out = Path(out)
    own = settings.get("ict", {})
    seed = int(settings.get("seed", 0))
    model, table = load_model(folder), load_expressions(folder)
    textures = textures_folder(own.get("textures"), folder)
    skin = person_texture(model, textures, person, int(own.get("texture_size", 1024)), seed)
    out.mkdir(parents=True, exist_ok=True)
    Image.fromarray(skin).save(out / "skin.jpg", quality=92, subsampling=0)
    uv = atlas_uv(model)
    spread = float(own.get("identity_spread", 0.8))
    scans = person_vertices(model, table, person, expressions, spread, seed)
    for expression, vertices in scans.items():
        mesh = Mesh(vertices, model.faces, uv, model.faces_uv)
        write_obj(out / f"{expression}.obj", mesh, "skin.jpg")
