"""A face-like mesh for drawing: an egg with a nose, uv by position."""

import numpy as np
import pytest

from facemill.mesh.surface import Mesh


@pytest.fixture(scope="session")
def egg() -> Mesh:
    import trimesh

    ball = trimesh.creation.icosphere(subdivisions=4, radius=1.0)
    vertices = np.asarray(ball.vertices) * [75, 105, 95] + [0, 5, -65]
    vertices[:, 2] += 12 * np.exp(-(vertices[:, 0] ** 2 + vertices[:, 1] ** 2) / 300)
    uv = np.stack([0.5 + vertices[:, 0] / 200, 0.5 + vertices[:, 1] / 300], axis=1)
    faces = np.asarray(ball.faces, np.int32)
    return Mesh(vertices.astype(np.float32), faces, uv.astype(np.float32), faces)
