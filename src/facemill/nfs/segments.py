"""Twenty segments of the face, grown along the surface from curves between the 68 landmarks."""

import numpy as np
from jaxtyping import Float, Int

from facemill.data.blendshapes import Blendshapes
from facemill.data.landmarks import INNER_LIPS, OPPOSITE, OUTER_LIPS
from facemill.mesh.geodesics import distances_from
from facemill.mesh.surface import Mesh

SEGMENTS = (
    "back_of_head", "forehead", "eye_right", "eye_left", "procerus", "temple_right", "temple_left",
    "nose", "levator_right", "levator_left", "masseter_right", "masseter_left", "mouth_ring",
    "lips", "jaw", "back_neck", "platysma", "ear_right", "ear_left", "clavicle",
)  # fmt: skip
"""Names in the order of the network's outputs, which is the published one; sides are the
subject's."""

BETWEEN = 8
"""Seeds along a curve between two landmarks."""


def segment_labels(model: Blendshapes) -> Int[np.ndarray, " v"]:
    """The segment of every vertex of a model's mean head, as a number in :data:`SEGMENTS`.

    A vertex belongs to the segment whose seeds are nearest along the surface; lids, lips and the
    ring about the mouth reach less far than their neighbours (:func:`reach`). Distances are
    averaged with those of the mirrored vertex, so that a pair's segments are mirror images.
    """
    points = model.neutral
    sides = seeds(points[model.landmarks], points)
    numbers = [nearest_vertices(points, sides[name]) for name in SEGMENTS]
    distance = distances_from(Mesh(points, model.faces), numbers) + reach()[:, None]
    partner = np.array([SEGMENTS.index(opposite(name)) for name in SEGMENTS])
    return (distance + distance[partner][:, model.mirror]).argmin(axis=0)


def opposite(name: str) -> str:
    """The segment across the middle; its own name for one that lies on it."""
    if name.endswith("_right"):
        return name.removesuffix("_right") + "_left"
    if name.endswith("_left"):
        return name.removesuffix("_left") + "_right"
    return name


def reach() -> Float[np.ndarray, " s"]:
    """What is added to a segment's distances, canonical units: the more, the smaller it is."""
    more = {"procerus": 0.04, "levator_right": 0.03, "levator_left": 0.03, "lips": 0.0}
    return np.array([more.get(name, 0.02 if name == "mouth_ring" else 0.01) for name in SEGMENTS])


def seeds(
    landmarks: Float[np.ndarray, "68 3"], points: Float[np.ndarray, "v 3"]
) -> dict[str, Float[np.ndarray, "_ 3"]]:
    """Points of each segment, near the surface, canonical units.

    ``points`` are the mean head's vertices, for what no landmark marks: ears, crown, neck.
    """
    at = landmarks
    mouth = at[OUTER_LIPS].mean(axis=0)
    chin_down = np.array([0.0, -0.3, -0.25])
    found = {
        "forehead": np.concatenate(
            [curve(at[list(range(18, 26))] + [0.0, up, back])
             for up, back in ((0.2, -0.03), (0.4, -0.12))]
        ),
        "procerus": np.stack([(at[21] + at[22]) / 2, (at[21] + at[22] + 2 * at[27]) / 4, at[27]]),
        "nose": np.concatenate(
            [curve(at[28:31]), curve(at[31:36]), curve(at[[31, 29, 35]]),
             curve(at[[31, 30, 35]])]
        ),
        "lips": np.concatenate([curve(at[[*OUTER_LIPS, 48]]), curve(at[[*INNER_LIPS, 60]])]),
        "mouth_ring": curve(mouth + 1.55 * (at[[*OUTER_LIPS, 48]] - mouth)),
        "jaw": np.concatenate([curve(at[6:11]), curve((at[6:11] + at[[57] * 5]) / 2)]),
        "platysma": np.concatenate([curve(at[6:11] + part * chin_down) for part in (1.0, 2.0)]),
    }  # fmt: skip
    for side, sign in (("right", -1.0), ("left", 1.0)):
        mark = (lambda n: at[n]) if side == "right" else (lambda n: at[OPPOSITE[n]])
        eye = np.stack([mark(n) for n in (36, 37, 38, 39, 40, 41, 36)])
        brow = np.stack([mark(n) for n in (17, 18, 19, 20, 21)])
        found[f"eye_{side}"] = np.concatenate(
            [curve(eye), curve((brow + eye[[0, 1, 1, 2, 3]]) / 2)]
        )
        found[f"temple_{side}"] = curve(
            np.stack([(mark(17) + mark(0)) / 2, (mark(17) + mark(0)) / 2 + [0.0, 0.35, -0.1]])
        )
        found[f"levator_{side}"] = curve(
            np.stack([(mark(31) + mark(41)) / 2, (mark(48) + 2 * mark(41)) / 3])
        )
        found[f"masseter_{side}"] = curve(
            np.stack([(mark(3) + mark(48)) / 2, (mark(2) + mark(41)) / 2, mark(4)])
        )
        found[f"ear_{side}"] = ear(points, at, sign)
    return found | neck_and_back(points, at)


def curve(points: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "m 3"]:
    """Points along the straight pieces between given ones."""
    t = np.linspace(0.0, 1.0, BETWEEN)[:, None, None]
    return ((1 - t) * points[None, :-1] + t * points[None, 1:]).reshape(-1, 3)


def ear(
    points: Float[np.ndarray, "v 3"], landmarks: Float[np.ndarray, "68 3"], sign: float
) -> Float[np.ndarray, "n 3"]:
    """Vertices of one side that stick out furthest between the heights of brow and nose."""
    low, high = landmarks[33, 1], landmarks[27, 1]
    beside = (points[:, 1] > low) & (points[:, 1] < high) & (sign * points[:, 0] > 0)
    if not beside.any():
        return points[[int((sign * points[:, 0]).argmax())]]
    out = sign * points[:, 0] * beside
    return points[out >= np.quantile(out[beside], 0.9)]


def neck_and_back(
    points: Float[np.ndarray, "v 3"], landmarks: Float[np.ndarray, "68 3"]
) -> dict[str, Float[np.ndarray, "_ 3"]]:
    """Seeds of crown and back of the head, of the neck's back and of the lowest front."""
    low, high = points[:, 1].min(), points[:, 1].max()
    chin = landmarks[8, 1]
    far = np.quantile(points[:, 2], 0.1)
    above = points[(points[:, 1] > landmarks[27, 1]) & (points[:, 2] <= far)]
    top = points[points[:, 1] > high - 0.06 * (high - low)]
    below = points[points[:, 1] < chin]
    back = below[below[:, 2] <= np.quantile(below[:, 2], 0.2)]
    front = below[below[:, 1] <= low + 0.12 * (chin - low)]
    front = front[front[:, 2] >= np.median(front[:, 2])]
    return {
        "back_of_head": np.concatenate([above, top]),
        "back_neck": back,
        "clavicle": front,
    }


def nearest_vertices(
    points: Float[np.ndarray, "v 3"], wanted: Float[np.ndarray, "n 3"]
) -> Int[np.ndarray, " m"]:
    """The vertices nearest to points, each once."""
    from scipy.spatial import cKDTree

    return np.unique(cKDTree(points).query(wanted)[1])
