"""Dense correspondence: points of two faces belong together where the template space joins them.

E and I carry a point x of any scan to its place x'' on the template shared by all faces (sec. 3.2).
So a point of face A is looked up on face B by carrying it and B's whole surface there, and taking
the nearest point of that surface: a point inside a triangle, not the nearest vertex, so that the
grid of an extraction does not round the answer. Lengths are millimetres everywhere; the template
space is given in the face frame, as all others.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, UInt8
from scipy.spatial import cKDTree

from facemill.data.packs import FacePack
from facemill.imface.interpolate import ScanCodes, condition_of
from facemill.imface.model import ImFace
from facemill.mesh.distance import distance_to_mesh
from facemill.mesh.frames import FACE_TO_IMFACE
from facemill.mesh.normals import barycentric
from facemill.mesh.surface import Mesh
from facemill.render.pixels import eight_bit

SAME_PLACE = 1e-3
"""mm within which a vertex of a sheet is one of the scan it was cut from (float32 rounding)."""


@dataclass(frozen=True)
class Matches:
    """For each of n points a place on a surface: triangle, weights of its corners, distance, mm."""

    face: Int[np.ndarray, " n"]
    weights: Float[np.ndarray, "n 3"]
    distance: Float[np.ndarray, " n"]

    def interpolate(
        self, values: Float[np.ndarray, "v c"], faces: Int[np.ndarray, "f 3"]
    ) -> Float[np.ndarray, "n c"]:
        """Values at the places from values at the surface's vertices (or at its uv's)."""
        return (values[faces[self.face]] * self.weights[..., None]).sum(axis=1)


def match(points: Float[np.ndarray, "n 3"], surface: Mesh) -> Matches:
    """The nearest places on ``surface``; both in one space, whichever that is."""
    distance, closest, face = distance_to_mesh(points, surface)
    return Matches(face, barycentric(closest, surface, face), distance)


def template_places(
    model: ImFace, codes: ScanCodes, points: Float[np.ndarray, "n 3"], batch_points: int = 65536
) -> Float[np.ndarray, "n 3"]:
    """x'' = I(E(x)) of points of one scan (face frame, mm), in mm."""
    device = model.template_landmarks.device
    unit = FACE_TO_IMFACE.apply(points).astype(np.float32)
    parts = [np.zeros((0, 3), np.float32)]
    condition = condition_of(model, codes)
    with torch.inference_mode():
        for start in range(0, len(unit), batch_points):
            part = torch.from_numpy(unit[start : start + batch_points]).to(device)[None]
            neutral, _ = model.to_neutral(part, condition)
            parts.append(model.to_template(neutral, condition)[0][0].cpu().numpy())
    return FACE_TO_IMFACE.inverse().apply(np.concatenate(parts))


def on_template(model: ImFace, codes: ScanCodes, surface: Mesh) -> Mesh:
    """The surface of one scan with every vertex at its template place; the same triangles."""
    return Mesh(template_places(model, codes, surface.vertices), surface.faces)


def carry(
    model: ImFace,
    points: Float[np.ndarray, "n 3"],
    source: ScanCodes,
    surface: Mesh,
    target: ScanCodes,
) -> Float[np.ndarray, "n 3"]:
    """Points of the source scan taken to the places on the target's ``surface`` that they match."""
    there = on_template(model, target, surface)
    matches = match(template_places(model, source, points), there)
    return matches.interpolate(surface.vertices, surface.faces)


def seen_vertices(pack: FacePack, expression: str) -> Bool[np.ndarray, " v"]:
    """Which of a scan's own vertices are part of its visible sheet."""
    vertices = pack.registered(expression).vertices
    nearest, _ = cKDTree(pack.sheet(expression).vertices).query(vertices)
    return nearest < SAME_PLACE


def template_colours(xy: Float[np.ndarray, "n 2"], lines: bool = False) -> UInt8[np.ndarray, "n 3"]:
    """Colours of places on the template by their x and y, mm: same colour, same place.

    Hue turns about the nose and saturation grows outwards at one lightness (CIELAB a and b are x
    and y), so that equal distances look equally different; ``lines`` adds a darker grid of 10 mm,
    which shows what no hue does: where the correspondence is stretched or torn.
    """
    from skimage.color import lab2rgb

    a, b = np.clip(0.62 * xy, -62.0, 62.0).T
    lightness = np.full(len(xy), 68.0)
    if lines:
        off_line = np.abs((xy + 5.0) % 10.0 - 5.0).min(axis=1)
        lightness -= 26.0 * np.clip(1.1 - off_line, 0.0, 0.6) / 0.6
    rgb = lab2rgb(np.stack([lightness, a, b], axis=-1))
    return eight_bit(rgb)
