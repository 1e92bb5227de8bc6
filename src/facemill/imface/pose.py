"""The small motion of a raw scan that is found together with its codes.

An alignment to the mean face is a millimetre or a degree off, because everybody differs from the
mean. The codes would have to explain that as shape; a pose explains it as what it is.
"""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from facemill.mesh.frames import FACE_TO_IMFACE, Similarity
from facemill.nets.screw import screw_motion


def moved(
    rows: Float[Tensor, "b n 7"],
    landmarks: Float[Tensor, "b 68 3"] | None,
    pose: Float[Tensor, "b 7"],
    with_scale: bool,
) -> tuple[Float[Tensor, "b n 7"], Float[Tensor, "b 68 3"] | None]:
    """Sample rows and landmarks (unit ball) after each scan's motion.

    ``pose``: rotation vector and the twist's shift about the ball's centre, and the logarithm of
    the growth that comes before, which counts only ``with_scale``.
    """
    scale = pose[:, 6:].exp().unsqueeze(1) if with_scale else 1.0

    def move(points: Tensor) -> Tensor:
        turn, shift = (part.unsqueeze(1).expand_as(points) for part in (pose[:, :3], pose[:, 3:6]))
        return screw_motion(scale * points, turn, shift)

    turn = pose[:, :3].unsqueeze(1).expand_as(rows[..., 3:6])
    normals = screw_motion(rows[..., 3:6], turn, torch.zeros_like(turn))
    rows = torch.cat([move(rows[..., :3]), normals, scale * rows[..., 6:]], dim=-1)
    if landmarks is None:
        return rows, None
    # Unknown ones stay not-a-number, but may not reach the pose's gradient.
    return rows, torch.where(landmarks.isfinite(), move(landmarks.nan_to_num()), landmarks)


def motion(pose: Float[Tensor, "7"], with_scale: bool) -> Similarity:
    """A row of poses as a similarity of the face frame (mm)."""
    corners = torch.cat([torch.zeros(1, 3), torch.eye(3)]).double()
    turn, shift = (part.double().expand_as(corners) for part in (pose[:3], pose[3:6]))
    origin, *axes = screw_motion(corners, turn, shift).numpy()
    ball = Similarity(
        float(pose[6].double().exp()) if with_scale else 1.0,
        np.stack(axes, 1) - origin[:, None],
        origin,
    )
    return FACE_TO_IMFACE.inverse().after(ball).after(FACE_TO_IMFACE)
