"""People who do not exist: smooth random deformations of those who do.

Few training people span few shapes. A deformation drawn from a Gaussian process says what all faces
have in common, that neighbouring points move alike, and adds the directions that the few lack
(Luethi et al., *Gaussian Process Morphable Models*, 2018, add such a kernel to a linear model).
Here it acts on space, so that it needs no correspondence: points, normals and distances of a scan
become those of the deformed scan.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from facemill.mesh.frames import NOSE_TIP

FEATURES = 64
"""Waves that make up a deformation."""


@dataclass(frozen=True)
class Deformation:
    """p + u(p) - u(nose tip), face frame (mm); u is even across the face's middle plane.

    u is a sum of waves a_k cos(w_k p + b_k): random features (Rahimi and Recht 2007) of the
    Gaussian kernel of some length.
    """

    waves: Float[np.ndarray, "k 3"]  # w_k, 1/mm
    phases: Float[np.ndarray, " k"]  # b_k
    amplitudes: Float[np.ndarray, "k 3"]  # a_k, mm

    def points(self, points: Float[np.ndarray, "*n 3"]) -> Float[np.ndarray, "*n 3"]:
        """Where points go."""
        return points + self._shift(points) - self._shift(NOSE_TIP)

    def samples(self, rows: Float[np.ndarray, "n 7"]) -> Float[np.ndarray, "n 7"]:
        """Rows (point, unit gradient of the distance, signed distance) of the deformed surface.

        The nearest point of the surface and its normal are deformed, and the row's point laid on
        the normal again at its old distance: exact where nothing else of the surface comes nearer.
        """
        normals, distance = rows[:, 3:6].astype(np.float64), rows[:, 6:]
        nearest = rows[:, :3] - distance * normals
        turned = np.linalg.solve(np.swapaxes(self.jacobian(nearest), 1, 2), normals[..., None])
        turned = turned[..., 0] / np.linalg.norm(turned[..., 0], axis=1, keepdims=True)
        points = self.points(nearest) + distance * turned
        return np.concatenate([points, turned, distance], axis=1)

    def jacobian(self, points: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 3 3"]:
        """d of :meth:`points` / d points."""
        slopes = -np.sin(points @ self.waves.T + self.phases)
        each = self.amplitudes[:, :, None] * self.waves[:, None, :]
        return np.eye(3) + (slopes @ each.reshape(-1, 9)).reshape(-1, 3, 3)

    def _shift(self, points: Float[np.ndarray, "*n 3"]) -> Float[np.ndarray, "*n 3"]:
        return np.cos(points @ self.waves.T + self.phases) @ self.amplitudes


def random_deformation(draw: np.random.Generator, size: float, length: float) -> Deformation:
    """Drawn from a Gaussian process: standard deviation ``size``, kernel ``length``, mm."""
    half = FEATURES // 2
    waves = draw.normal(size=(half, 3)) / length
    phases = draw.uniform(0, 2 * np.pi, half)
    amplitudes = draw.normal(size=(half, 3)) * size / np.sqrt(half)
    across = np.array([-1.0, 1.0, 1.0])  # each wave and its mirror image
    return Deformation(
        np.concatenate([waves, waves * across]),
        np.concatenate([phases, phases]),
        np.concatenate([amplitudes, amplitudes * across]),
    )
