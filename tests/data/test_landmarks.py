"""Opposite landmarks of the 68 (against a real mirror table: test_demo_topology.py)."""

import numpy as np

from facemill.data.landmarks import OPPOSITE, mirrored_landmarks


def test_opposite_of_the_opposite_is_the_landmark_itself():
    assert np.array_equal(OPPOSITE[OPPOSITE], np.arange(68))
    assert np.flatnonzero(np.arange(68) == OPPOSITE).tolist() == [
        8,
        27,
        28,
        29,
        30,
        33,
        51,
        57,
        62,
        66,
    ]


def test_mirrored_twice_landmarks_are_back():
    landmarks = np.random.default_rng(0).normal(size=(68, 3))
    once = mirrored_landmarks(landmarks)
    assert once[36, 0] == -landmarks[45, 0] and (once[36, 1:] == landmarks[45, 1:]).all()
    assert np.array_equal(mirrored_landmarks(once), landmarks)
