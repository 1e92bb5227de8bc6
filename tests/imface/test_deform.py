"""Deformed people: closed forms, finite differences, distances measured anew."""

import numpy as np
import pytest
from scipy.spatial import cKDTree

from facemill.errors import ConfigError
from facemill.imface.config import DeformedConfig
from facemill.imface.data import open_training_set
from facemill.imface.deform import random_deformation
from facemill.mesh.frames import NOSE_TIP
from facemill.randomness import generator

ACROSS = np.array([-1.0, 1.0, 1.0])


def drawn(number: int = 0, size: float = 2.0, length: float = 40.0):
    return random_deformation(generator(number, "test"), size, length)


def places(count: int) -> np.ndarray:
    return generator(1, "test").uniform(-80, 80, size=(count, 3))


def test_the_nose_tip_stays_and_both_halves_of_the_face_move_alike():
    deformation, points = drawn(), places(50)
    np.testing.assert_allclose(deformation.points(NOSE_TIP), NOSE_TIP, atol=1e-12)
    np.testing.assert_allclose(
        deformation.points(points * ACROSS), deformation.points(points) * ACROSS, atol=1e-12
    )


def test_the_jacobian_matches_central_differences():
    deformation, points, h = drawn(), places(50), 1e-4
    jacobian = deformation.jacobian(points)
    for axis, step in enumerate(h * np.eye(3)):
        slope = (deformation.points(points + step) - deformation.points(points - step)) / (2 * h)
        np.testing.assert_allclose(jacobian[:, :, axis], slope, atol=1e-7)


def test_displacements_have_the_asked_size_and_never_fold_space():
    points = np.stack([places(200), places(200) * 0.5])
    shifts = []
    for number in range(40):
        deformation = drawn(number, size=3.0, length=24.0)  # the largest that is allowed
        shifts.append(deformation.points(points) - points + deformation._shift(NOSE_TIP))
        assert np.linalg.det(deformation.jacobian(points[0])).min() > 0
    assert np.std(shifts) == pytest.approx(3.0, rel=0.1)


def test_samples_of_a_dome_are_those_of_the_deformed_dome():
    """Distances, points and normals against a dense sampling of the deformed surface."""
    deformation, radius = drawn(), 70.0
    dense = generator(2, "test").normal(size=(400_000, 3))
    dense[:, 2] = np.abs(dense[:, 2])
    dense *= radius / np.linalg.norm(dense, axis=1, keepdims=True)
    tree = cKDTree(deformation.points(dense))

    normals = dense[:500] / radius
    keep = normals[:, 2] > 0.3  # away from the rim
    normals = normals[keep]
    distance = generator(3, "test").uniform(-8, 8, size=(len(normals), 1))
    rows = np.concatenate([(radius + distance) * normals, normals, distance], axis=1)
    found = deformation.samples(rows)
    np.testing.assert_array_equal(found[:, 6:], distance)
    np.testing.assert_allclose(np.linalg.norm(found[:, 3:6], axis=1), 1, atol=1e-12)
    measured, nearest = tree.query(found[:, :3])
    np.testing.assert_allclose(measured, np.abs(distance[:, 0]), atol=0.06)  # spacing of the dense
    along = (found[:, :3] - tree.data[nearest]) / distance
    clear = np.abs(distance[:, 0]) > 3
    cosine = (along * found[:, 3:6]).sum(1)[clear]
    assert cosine.min() > 0.98


def test_a_training_set_grows_by_deformed_people(made_data):
    data = open_training_set(*made_data())
    grown = data.with_deformed_people(DeformedConfig(copies=2), seed=3)
    assert grown.people[2:] == tuple(f"d00{i} deformed {k}" for k in (1, 2) for i in (1, 2))
    assert len(grown.scans) == 3 * len(data.scans)
    assert grown.fingerprint() == data.fingerprint()
    deformation = grown.deformed[3]
    own = data.packs[1].landmarks("2_smile")
    smile = data.expressions.index("2_smile")
    np.testing.assert_allclose(grown.landmarks[3, smile], deformation.points(own) / 100, atol=1e-6)
    both = grown.with_mirror_images()
    assert len(both.people) == 12 and both.deformed[9] is deformation and both.mirrored[9]

    batch = both.batch(0, 1, len(both.scans), 40)
    again = data.with_deformed_people(DeformedConfig(copies=2), seed=3).with_mirror_images()
    assert batch.points.equal(again.batch(0, 1, len(both.scans), 40).points)
    for i, person in enumerate(batch.identity.tolist()):
        made, pack = both.deformed[person], both.packs[person]
        name = both.expressions[int(batch.expression[i])]
        rows = np.asarray(pack.scan(name), np.float64)
        rows = rows if made is None else made.samples(rows)
        points = rows[:, :3] / 100 * (ACROSS if both.mirrored[person] else 1)
        apart, _ = cKDTree(points).query(batch.points[i].numpy())
        assert apart.max() < 1e-6


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"copies": -1}, "copies: found -1"),
        ({"start": 1.0}, r"start: found 1\.0"),
        ({"size": 0.0}, r"size: found 0\.0"),
        ({"size": 6.0}, r"an eighth of length 40\.0"),
    ],
)
def test_deformations_that_cannot_be_are_refused(wrong, message):
    with pytest.raises(ConfigError, match=message):
        DeformedConfig(**wrong)
