"""A mesh with damage is refused before any step uses it."""

import numpy as np
import pytest

from facemill.errors import GeometryError
from facemill.mesh.surface import Mesh

TRIANGLE = np.eye(3)


def test_a_whole_mesh_passes():
    mesh = Mesh(TRIANGLE, np.array([[0, 1, 2]]))
    assert mesh.check("x.obj") is mesh


@pytest.mark.parametrize(
    ("mesh", "message"),
    [
        (Mesh(np.zeros((0, 3)), np.zeros((0, 3), int)), "0 vertices and 0 faces"),
        (Mesh(np.full((3, 3), np.nan), np.array([[0, 1, 2]])), "vertex 0 is not a finite number"),
        (Mesh(TRIANGLE, np.array([[0, 1, 3]])), "face 0 names vertex 3"),
        (
            Mesh(TRIANGLE, np.array([[0, 1, 2]]), np.zeros((2, 2)), np.array([[0, 1, 2]])),
            "names texture coordinate 2",
        ),
    ],
)
def test_damage_is_named(mesh, message):
    with pytest.raises(GeometryError, match=rf"x\.obj: .*{message}"):
        mesh.check("x.obj")
