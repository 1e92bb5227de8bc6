"""The 68 landmarks of the linear face model, as functions of shape code and mix of expressions.

The codes file holds landmarks of scans but no landmark vertices. Averages over the same scans tell
which they are: the mean of the training scans' landmarks lies where the mean mesh has that vertex.
"""

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from facemill.errors import DataError
from facemill.mofanerf.face_model import CodesFile, FaceModel

LIMIT = 8.0
"""Millimetres from a mean landmark to the nearest vertex of the mean mesh that are believed."""


class LandmarkModel:
    """Landmarks in the face frame (mm): linear in the shape code for every mix of expressions."""

    def __init__(self, codes: CodesFile, surfaces: FaceModel, device: torch.device) -> None:
        rows, offset = landmark_vertices(codes, surfaces)
        to = lambda a: torch.from_numpy(np.ascontiguousarray(a, np.float32)).to(device)  # noqa: E731
        self.mean = to(surfaces.mean[rows] + offset)
        self.basis = to(surfaces.basis[:, rows])
        self.shift = to(surfaces.shift[:, rows])
        self.expression_basis = to(surfaces.expression_basis[:, :, rows])

    def __call__(self, z: Float[Tensor, " k"], mix: Float[Tensor, " e"]) -> Float[Tensor, "68 3"]:
        """Where landmarks lie; ``z`` may be padded."""
        z = z[: len(self.basis)]
        used = z[: self.expression_basis.shape[1]]
        change = self.shift + torch.einsum("j,ejlc->elc", used, self.expression_basis)
        neutral = self.mean + torch.einsum("k,klc->lc", z, self.basis)
        return neutral + torch.einsum("e,elc->lc", mix, change)


def landmark_vertices(
    codes: CodesFile, surfaces: FaceModel
) -> tuple[Int[np.ndarray, " 68"], Float[np.ndarray, "68 3"]]:
    """Rows of the mean mesh nearest to the mean landmarks, and what is left to these."""
    marks = [codes.array(f"landmarks/{p}/{e}") for p, e in codes.training_scans]
    mean = np.mean(marks, axis=0, dtype=np.float64)
    away = np.linalg.norm(surfaces.canonical[None] - mean[:, None], axis=2)
    rows, nearest = away.argmin(axis=1), away.min(axis=1)
    if nearest.max() > LIMIT:
        raise DataError(
            f"{codes.path}: landmark {int(nearest.argmax())} lies {nearest.max():.0f} mm from the "
            "mean mesh; landmarks and meshes are not of the same people. Make the codes again."
        )
    return rows, mean - surfaces.canonical[rows]
