"""Decimation: keeps vertices of the mesh, its shape and topology, others each time."""

import numpy as np
from shapes import graph

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
