"""Decimation: keeps vertices of the mesh, its shape and topology, others each time."""

import numpy as np
import pytest
from shapes import graph

from facemill.mesh import decimation
from facemill.mesh.clean import cleaned
from facemill.mesh.decimation import decimated
from facemill.mesh.distance import distance_to_mesh
from facemill.mesh.surface import Mesh

HILL = graph(lambda x, y: 0.3 * np.sin(2 * x) * np.cos(y), 1.0, 0.05)


def test_the_coarse_mesh_lies_on_the_fine_one():
    numbers, faces = decimated(HILL, 300, np.random.default_rng(0))
    assert 250 < len(numbers) < 360 and set(np.unique(faces)) <= set(numbers)
    coarse = Mesh(HILL.vertices, faces)
    assert len(cleaned(coarse, "coarse", weld=False).mesh.faces) == len(faces)
    distance, _, _ = distance_to_mesh(HILL.vertices, coarse)
    assert np.sqrt((distance**2).mean()) < 0.01


def test_every_draw_chooses_others_and_the_same_draw_the_same():
    first, again, other = (
        decimated(HILL, 300, np.random.default_rng(seed))[0] for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, again)
    assert len(np.intersect1d(first, other)) < 0.7 * len(first)


def test_a_mesh_that_is_coarse_enough_stays_as_it_is():
    numbers, faces = decimated(HILL, 10**6, np.random.default_rng(0))
    np.testing.assert_array_equal(numbers, np.arange(len(HILL.vertices)))
    np.testing.assert_array_equal(faces, HILL.faces)


FLAT = Mesh(
    np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [0.5, 0.01, 0], [0.5, 0.02, 0]]),
    np.array([[0, 1, 2]]),
)


@pytest.mark.parametrize(
    ("draws", "taken"), [([3, 2, 4], 2), ([3, 4, 3, 3, 3, 3], 4)], ids=["blunt", "all needles"]
)
def test_needles_are_drawn_again_or_the_bluntest_of_them_is_taken(monkeypatch, draws, taken):
    """Triangles over the unit edge whose third corner is 1, 0.01 and 0.02 above it."""
    queue = iter(draws)

    def drawn(mesh, vertices, rng):
        corner = next(queue)
        return np.array([0, 1, corner]), np.array([[0, 1, corner]])

    monkeypatch.setattr(decimation, "_drawn", drawn)
    numbers, faces = decimated(FLAT, 3, np.random.default_rng(0))
    assert numbers.tolist() == [0, 1, taken] and faces.tolist() == [[0, 1, taken]]
    left = list(queue)
    assert left == ([4] if taken == 2 else []), "the first without needles ends the search"
