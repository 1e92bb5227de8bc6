"""Coordinate frames and the similarities between them.

The library's own frame is the face frame: millimetres, +x the subject's left, +y up, +z out of the
face, nose tip at (0, 0, 40). Every other frame is a named similarity here; no factor of 10, 50 or
100 stands anywhere else.
"""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float

NOSE_TIP = np.array([0.0, 0.0, 40.0])
"""Where the nose tip lies in the face frame, mm (ImFace preprocessing)."""


@dataclass(frozen=True)
class Similarity:
    """x -> scale * rotation @ x + translation."""

    scale: float = 1.0
    rotation: Float[np.ndarray, "3 3"] = field(default_factory=lambda: np.eye(3))
    translation: Float[np.ndarray, "3"] = field(default_factory=lambda: np.zeros(3))

    def apply(self, points: Float[np.ndarray, "*n 3"]) -> Float[np.ndarray, "*n 3"]:
        """Points in the source frame to points in the target frame, in double precision."""
        return self.scale * (np.asarray(points, np.float64) @ self.rotation.T) + self.translation

    def apply_to_normals(self, normals: Float[np.ndarray, "*n 3"]) -> Float[np.ndarray, "*n 3"]:
        """Directions, of which a similarity changes only the orientation."""
        return np.asarray(normals, np.float64) @ self.rotation.T

    def inverse(self) -> "Similarity":
        """The way back."""
        back = self.rotation.T
        return Similarity(1.0 / self.scale, back, -(back @ self.translation) / self.scale)

    def after(self, first: "Similarity") -> "Similarity":
        """The similarity that does ``first`` and then this one."""
        return Similarity(
            self.scale * first.scale,
            self.rotation @ first.rotation,
            self.scale * (self.rotation @ first.translation) + self.translation,
        )

    @property
    def matrix(self) -> Float[np.ndarray, "4 4"]:
        """Homogeneous 4 x 4 matrix."""
        matrix = np.eye(4)
        matrix[:3, :3] = self.scale * self.rotation
        matrix[:3, 3] = self.translation
        return matrix

    @classmethod
    def from_matrix(cls, matrix: Float[np.ndarray, "4 4"]) -> "Similarity":
        """Read a homogeneous matrix whose upper left block is a scaled rotation."""
        matrix = np.asarray(matrix, np.float64)
        scale = float(np.cbrt(np.linalg.det(matrix[:3, :3])))
        return cls(scale, matrix[:3, :3] / scale, matrix[:3, 3])


FACE_TO_IMFACE = Similarity(scale=1.0 / 100.0)
"""Face frame (mm) to ImFace's unit ball: one unit is 100 mm, nose tip at (0, 0, 0.4)."""

HEAD_CENTRE = np.array([0.0, 0.0, -70.0])
"""A point inside the head, mm: what MoFaNeRF's cameras look at and turn about. FaceScape's own
origin, which the published cameras see, lies inside the head; the face frame's lies 40 mm behind
the nose tip, and profiles seen from there would lose the back of the head."""

FACE_TO_MOFANERF = Similarity(scale=1.0 / 50.0, translation=-HEAD_CENTRE / 50.0)
"""Face frame (mm) to MoFaNeRF's scene: one unit is 50 mm, the cameras turn about the origin."""

NFS_NOSE_TIP = np.array([0.0, 0.0405942, 0.80691])
"""The nose tip of the ICT model's mean head in NFS's canonical frame, units of 10 cm: the model's
own frame (cm) times 0.1, moved by -0.5 along z (NFS release)."""

FACE_TO_NFS = Similarity(scale=1.0 / 100.0, translation=NFS_NOSE_TIP - NOSE_TIP / 100.0)
"""Face frame (mm) to NFS's canonical frame: one unit is 100 mm, the origin inside the head."""

ICT_TO_NFS = Similarity(scale=1.0 / 10.0, translation=np.array([0.0, 0.0, -0.5]))
"""The ICT model's own frame (cm) to NFS's canonical frame (NFS release)."""


def nose_tip_similarity(
    nose_tip: Float[np.ndarray, "3"], millimetres_per_unit: float = 1.0
) -> Similarity:
    """A scan's own upright frame to the face frame: scale to mm, then put its nose tip in place."""
    return Similarity(
        millimetres_per_unit,
        np.eye(3),
        NOSE_TIP - millimetres_per_unit * np.asarray(nose_tip, np.float64),
    )
