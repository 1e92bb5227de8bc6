"""A person's neutral head: warps of the mean head, a random field, eyes seated in their lids."""

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from jaxtyping import Float, Int

from facemill.data.demo.grid import Grid
from facemill.data.demo.hair import hair_cover
from facemill.data.demo.landmarks import regions
from facemill.data.demo.lids import eye_zone, move_lids, seat_lids
from facemill.data.demo.lips import close_lips
from facemill.data.demo.parameters import WARPS, Warp
from facemill.data.demo.sculpt import EYE_CENTRE, EYE_RADIUS, mean_head
from facemill.randomness import generator

CONDYLE = np.array([56.0, -14.0, 10.0])
"""Where the jaw is hinged on the mean head's left, mm: just before the ear canal."""
FIELD_WAVES = 96
FIELD_RMS = 0.75
CLIP = 2.5


@dataclass(frozen=True)
class Person:
    """A neutral head with the points its expressions turn about."""

    vertices: Float[np.ndarray, "v 3"]
    eye_centres: Float[np.ndarray, "2 3"]
    eye_radius: float
    hinge: Float[np.ndarray, "2 3"]


@dataclass(frozen=True)
class Identity:
    """What a person is drawn from: one number a warp, and the field's phases and amplitudes."""

    amounts: Float[np.ndarray, " p"]
    waves: Float[np.ndarray, "w 3"]
    phases: Float[np.ndarray, " w"]
    weights: Float[np.ndarray, " w"]
    odd_weights: Float[np.ndarray, " w"]
    lid_opening: float
    hair: float
    asymmetry: float = 1.0


def draw_identity(person: str, seed: int, asymmetry: float = 1.0) -> Identity:
    """Parameters of a person: correlated normals clipped at 2.5 deviations, in natural units."""
    rng = generator(seed, "demo", "identity", person)
    male, heavy = rng.standard_normal(2).clip(-1.6, 1.6)
    own = rng.standard_normal(len(WARPS))
    z = np.array(
        [
            w.male * male + w.heavy * heavy + np.sqrt(max(0.05, 1 - w.male**2 - w.heavy**2)) * n
            for w, n in zip(WARPS, own, strict=True)
        ]
    ).clip(-CLIP, CLIP)
    odd = np.array([asymmetry if w.kind == "odd" else 1.0 for w in WARPS])
    direction = rng.standard_normal((FIELD_WAVES, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    length = rng.uniform(30, 80, FIELD_WAVES)
    return Identity(
        amounts=z * odd * [w.spread for w in WARPS],
        waves=2 * np.pi * direction / length[:, None],
        phases=rng.uniform(0, 2 * np.pi, FIELD_WAVES),
        weights=rng.standard_normal(FIELD_WAVES),
        odd_weights=0.35 * asymmetry * rng.standard_normal(FIELD_WAVES),
        lid_opening=float(np.clip(rng.normal(0.03, 0.06), -0.10, 0.17)),
        hair=float(rng.uniform(1.0, 8.0)),
        asymmetry=asymmetry,
    )


@dataclass(frozen=True)
class _Rig:
    """Masks of all warps on the mean head and its anchors (eye centres, condyles)."""

    grid: Grid
    points: Float[np.ndarray, "n 3"]
    parts: tuple[Int[np.ndarray, " _"], ...]
    masks: tuple[Float[np.ndarray, " _"], ...]
    signs: Float[np.ndarray, " n"]
    normals: Float[np.ndarray, "v 3"]
    field_share: Float[np.ndarray, " v"]
    hair: Float[np.ndarray, " v"]


def vertex_normals(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Unit normals, weighted by area."""
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    face_normals = np.cross(b - a, c - a)
    normals = np.stack(
        [
            np.bincount(faces.ravel(), np.repeat(face_normals[:, k], 3), len(vertices))
            for k in range(3)
        ],
        axis=1,
    )
    return normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)


@lru_cache(maxsize=1)
def _rig() -> _Rig:
    head = mean_head()
    grid = head.grid
    mirror = np.array([-1.0, 1.0, 1.0])
    anchors = np.stack([EYE_CENTRE, EYE_CENTRE * mirror, CONDYLE, CONDYLE * mirror])
    points = np.concatenate([head.vertices, anchors])
    # Eyeballs move as one piece: their masks are those of their centres.
    at = points.copy()
    for side, centre in (("left", anchors[0]), ("right", anchors[1])):
        at[grid.eyeballs[side]] = centre
        at[grid.eyeball_poles[side]] = centre
    at[:, 0] = np.abs(at[:, 0])
    parts, masks = [], []
    for warp in WARPS:
        mask = np.ones(len(points))
        if warp.radii is not None:
            mask = np.exp(-0.5 * ((((at - warp.centre) / warp.radii) * 1.25) ** 2).sum(axis=1))
        # Beyond three and a half radii a warp does nothing that could be seen.
        parts.append(np.flatnonzero(mask > 2e-3))
        masks.append(mask[parts[-1]])
    column = np.arange(grid.skin.shape[1])
    column = np.where(column > grid.skin.shape[1] // 2, column - grid.skin.shape[1], column)
    hair = np.zeros(grid.n_vertices)
    hair[grid.skin] = hair_cover(column[None, :], np.arange(grid.skin.shape[0])[:, None] - 0.6)
    hair[grid.pole] = 1.0
    share = np.ones(grid.n_vertices)
    for ball, pole in zip(grid.eyeballs.values(), grid.eyeball_poles.values(), strict=True):
        share[ball] = 0.0
        share[pole] = 0.0
    lips = np.exp(
        -((at[: grid.n_vertices, 0] / 26) ** 4) - ((at[: grid.n_vertices, 1] + 67) / 9) ** 4
    )
    eyes = np.exp(
        -(((at[: grid.n_vertices, 0] - 31.6) / 17) ** 4) - (at[: grid.n_vertices, 1] / 10) ** 4
    )
    front = at[: grid.n_vertices, 2] > 60
    share *= 1 - front * (0.6 * lips + 0.75 * eyes)
    return _Rig(
        grid, points, tuple(parts), tuple(masks), np.tanh(points[:, 0] / 4.0),
        vertex_normals(head.vertices, grid.faces), share, hair,
    )  # fmt: skip


def build_person(identity: Identity) -> Person:
    """The neutral head of an identity, mm.

    Rare draws would fold the skin under the nose; they are brought nearer to the mean until no
    triangle of the face turns over.
    """
    faces, normals = _face_triangles()
    for _ in range(8):
        person = _shape(identity)
        if (_triangle_normals(person.vertices, faces) * normals).sum(axis=1).min() > 0:
            break
        identity = replace(
            identity, amounts=0.88 * identity.amounts, weights=0.95 * identity.weights,
            odd_weights=0.95 * identity.odd_weights,
        )  # fmt: skip
    return person


def _triangle_normals(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    return np.cross(b - a, c - a)


@lru_cache(maxsize=1)
def _face_triangles() -> tuple[np.ndarray, np.ndarray]:
    """Triangles of the face's skin with their normals on the mean head."""
    head = mean_head()
    face = np.zeros(head.grid.n_vertices, bool)
    face[regions(head.grid)["face"]] = True
    faces = head.grid.faces[face[head.grid.faces].all(axis=1)]
    return faces, _triangle_normals(head.vertices, faces)


def _shape(identity: Identity) -> Person:
    rig = _rig()
    grid = rig.grid
    n = grid.n_vertices
    axes = np.ascontiguousarray(rig.points.T)
    eye_scale = 1.0
    for warp, amount, part, mask in zip(WARPS, identity.amounts, rig.parts, rig.masks, strict=True):
        _warp(axes, warp, float(amount), part, mask, rig.signs)
        if warp.name in ("size", "eye_size"):
            eye_scale *= np.exp(amount)
    points = np.ascontiguousarray(axes.T)
    vertices = points[:n]
    vertices += _field(identity, rig)[:, None] * rig.normals
    vertices += (identity.hair * rig.hair)[:, None] * rig.normals
    eyes, hinge = points[n : n + 2], points[n + 2 : n + 4]
    radius = EYE_RADIUS * eye_scale
    _place_balls(grid, vertices, eyes, eye_scale)
    close_lips(vertices)
    zone = eye_zone()
    seat_lids(vertices, zone, eyes, eye_scale)
    move_lids(vertices, zone, eyes, identity.lid_opening, 0.0)
    return Person(vertices, eyes.copy(), float(radius), hinge.copy())


def _warp(
    axes: np.ndarray,
    warp: Warp,
    amount: float,
    part: np.ndarray,
    mask: np.ndarray,
    signs: np.ndarray,
) -> None:
    """Apply one parameter to the coordinates (3, n), in place."""
    odd = warp.kind == "odd"
    for axis in range(3):
        direction = warp.direction[axis]
        if direction == 0.0:
            continue
        if warp.kind == "stretch":
            centre = warp.centre[axis]
            if axis == 0:
                centre = centre * signs[part]
            step = np.expm1(amount) * direction * mask * (axes[axis, part] - centre)
        else:
            step = amount * direction * mask
            if (axis == 0) != odd:
                step = step * signs[part]
        axes[axis, part] += step


def _field(identity: Identity, rig: _Rig) -> np.ndarray:
    """A smooth random height over the skin, mm; the even part is the same left and right."""
    mirror = rig.grid.mirror
    left = np.flatnonzero(np.arange(len(mirror)) <= mirror)
    mean = rig.points[left].astype(np.float32)
    waves = identity.waves.astype(np.float32)
    # cos(b +- a) = cos b cos a -+ sin b sin a, with a the part that changes sign across the mirror.
    across = mean[:, :1] * waves[:, 0]
    along = mean[:, 1:] @ waves[:, 1:].T + identity.phases.astype(np.float32)
    even = (np.cos(along) * np.cos(across)) @ (2 * identity.weights)
    odd = (np.sin(along) * np.sin(across)) @ (-2 * identity.odd_weights)
    height = np.empty(len(mirror))
    height[mirror[left]] = even - odd
    height[left] = even + odd
    return FIELD_RMS / np.sqrt(FIELD_WAVES) * rig.field_share * height


def _place_balls(grid: Grid, vertices: np.ndarray, eyes: np.ndarray, scale: float) -> None:
    mean = mean_head().vertices
    for k, (side, sign) in enumerate((("left", 1.0), ("right", -1.0))):
        centre = EYE_CENTRE * [sign, 1, 1]
        for part in (grid.eyeballs[side].ravel(), np.array([grid.eyeball_poles[side]])):
            vertices[part] = eyes[k] + scale * (mean[part] - centre)
