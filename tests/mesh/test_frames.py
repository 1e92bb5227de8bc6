"""Similarities compose, invert and survive their matrix form."""

import numpy as np
from scipy.spatial.transform import Rotation

from facemill.mesh.frames import (
    FACE_TO_IMFACE,
    FACE_TO_MOFANERF,
    HEAD_CENTRE,
    NOSE_TIP,
    Similarity,
    nose_tip_similarity,
)


def random_similarity(seed: int) -> Similarity:
    random = np.random.default_rng(seed)
    return Similarity(
        float(random.uniform(0.1, 10)),
        Rotation.random(rng=random).as_matrix(),
        random.normal(size=3),
    )


def test_inverse_and_composition():
    first, second = random_similarity(0), random_similarity(1)
    points = np.random.default_rng(2).normal(size=(7, 3))
    np.testing.assert_allclose(first.inverse().apply(first.apply(points)), points, atol=1e-12)
    np.testing.assert_allclose(
        second.after(first).apply(points), second.apply(first.apply(points)), atol=1e-12
    )


def test_matrix_round_trip():
    one = random_similarity(3)
    back = Similarity.from_matrix(one.matrix)
    np.testing.assert_allclose(back.matrix, one.matrix, atol=1e-12)
    homogeneous = one.matrix @ np.array([1.0, 2.0, 3.0, 1.0])
    np.testing.assert_allclose(one.apply(np.array([1.0, 2.0, 3.0])), homogeneous[:3], atol=1e-12)


def test_normals_only_turn():
    one = random_similarity(4)
    normal = np.array([0.0, 0.6, 0.8])
    np.testing.assert_allclose(np.linalg.norm(one.apply_to_normals(normal)), 1.0, atol=1e-12)


def test_nose_tip_lands_40_mm_in_front_of_the_origin():
    in_metres = np.array([0.01, -0.02, 0.11])
    similarity = nose_tip_similarity(in_metres, millimetres_per_unit=1000.0)
    np.testing.assert_allclose(similarity.apply(in_metres), NOSE_TIP, atol=1e-12)


def test_named_frames():
    np.testing.assert_allclose(FACE_TO_IMFACE.apply(NOSE_TIP), [0, 0, 0.4])
    np.testing.assert_allclose(FACE_TO_MOFANERF.apply(NOSE_TIP), [0, 0, 2.2])
    np.testing.assert_allclose(FACE_TO_MOFANERF.apply(HEAD_CENTRE), [0, 0, 0], atol=1e-12)
