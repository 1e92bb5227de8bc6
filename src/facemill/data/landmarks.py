"""The 68 facial landmarks in their usual order: what they lie on, which lie opposite each other."""

import numpy as np
from jaxtyping import Float

RIGHT_EYE, LEFT_EYE = range(36, 42), range(42, 48)
OUTER_LIPS, INNER_LIPS = range(48, 60), range(60, 68)

OPPOSITE = np.array(
    [
        *range(16, -1, -1),  # jaw line, from the subject's right ear to the left
        *range(26, 16, -1),  # brows
        *range(27, 31),  # ridge of the nose
        *range(35, 30, -1),  # nostrils
        *(45, 44, 43, 42, 47, 46),  # right eye
        *(39, 38, 37, 36, 41, 40),  # left eye
        *range(54, 47, -1),  # outer lips, above
        *range(59, 54, -1),  # and below
        *range(64, 59, -1),  # inner lips, above
        *(67, 66, 65),  # and below
    ]
)
"""Landmark number -> number of the landmark that takes its place in a mirror image."""


def mirrored_landmarks(landmarks: Float[np.ndarray, "68 3"]) -> Float[np.ndarray, "68 3"]:
    """The landmarks of the mirror image in the plane x = 0."""
    return landmarks[OPPOSITE] * np.array([-1, 1, 1], landmarks.dtype)
