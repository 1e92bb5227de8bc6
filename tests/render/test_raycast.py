"""Ray casting against closed forms: a sphere, a textured quad, an icosphere's normals."""

import numpy as np
import pytest

from facemill.errors import GeometryError
from facemill.mesh.surface import Mesh
from facemill.render.cameras import orbit
from facemill.render.mesh_view import MeshView
from facemill.render.raycast import RayScene, vertex_normals
from facemill.render.texture import texel_uv


def sphere(radius: float, subdivisions: int = 5) -> tuple[np.ndarray, np.ndarray]:
    import trimesh

    mesh = trimesh.creation.icosphere(subdivisions=subdivisions, radius=radius)
    return np.asarray(mesh.vertices, np.float64), np.asarray(mesh.faces, np.int32)


def quad() -> Mesh:
    """A square of 200 mm at z = 0, facing +z, with uv 0..1 (u to +x, v to +y)."""
    vertices = np.array([[-100, -100, 0], [100, -100, 0], [100, 100, 0], [-100, 100, 0]], float)
    faces = np.array([[0, 1, 2], [0, 2, 3]], np.int32)
    uv = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32)
    return Mesh(vertices.astype(np.float32), faces, uv, faces)


def test_depth_of_a_sphere_is_the_closed_form():
    radius, distance = 100.0, 800.0
    camera = orbit(25, 10, distance, 300, 128, 128)
    hits = RayScene(*sphere(radius)).see(camera)
    directions = camera.directions(camera.pixel_centres)
    # |c + z d| = r, the smaller root; d has camera z = 1.
    a = (directions**2).sum(axis=1)
    b = directions @ camera.centre
    root = b**2 - a * (distance**2 - radius**2)
    exact = (-b - np.sqrt(np.maximum(root, 0))) / a
    # An icosphere of 20 480 faces lies at most r (1 - cos(half an edge)) = 0.06 mm inside.
    inside = (root > 0)[hits.rays] & (np.sqrt(np.maximum(root, 0)) > 20)[hits.rays]
    error = hits.distance[inside] - exact[hits.rays][inside]
    assert inside.sum() > 3000
    assert error.min() > -1e-4
    assert error.max() < 0.35
    assert np.median(error) < 0.06


def test_unprojected_depth_lies_on_the_mesh():
    vertices, faces = sphere(100.0, 3)
    camera = orbit(-40, 30, 800, 300, 128, 128)
    hits = RayScene(vertices, faces).see(camera)
    points = camera.unproject(camera.pixel_centres[hits.rays], hits.distance)
    np.testing.assert_allclose(points, hits.interpolate(vertices, faces), atol=1e-3)
    np.testing.assert_allclose(hits.barycentric.sum(axis=1), 1.0)
    assert hits.barycentric.min() >= 0


def test_hits_agree_with_testing_every_triangle():
    vertices, faces = sphere(100.0, 1)
    camera = orbit(10, 20, 600, 100, 32, 32)
    hits = RayScene(vertices, faces).see(camera)
    directions = camera.directions(camera.pixel_centres)
    corners = vertices[faces]
    nearest = np.full(len(directions), np.inf)
    for a, b, c in corners:
        # Solve centre + z d = a + u (b - a) + v (c - a).
        edges = np.broadcast_to(np.stack([b - a, c - a], axis=1), (len(directions), 3, 2))
        matrix = np.concatenate([edges, -directions[..., None]], axis=2)
        right = np.broadcast_to((camera.centre - a)[:, None], (len(directions), 3, 1))
        u, v, z = np.linalg.solve(matrix, right)[..., 0].T
        inside = (u >= 0) & (v >= 0) & (u + v <= 1) & (z > 0)
        nearest = np.where(inside & (z < nearest), z, nearest)
    np.testing.assert_allclose(hits.scatter(hits.distance, np.inf), nearest, rtol=1e-6)


def test_a_textured_quad_shows_its_texels_upright():
    # 8 x 8 texels of 25 mm, each seen by 4 x 4 pixels: pixel colour = texel colour at its middle.
    texture = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    camera = orbit(0, 0, 800, 128, 40, 40)
    view = MeshView(quad(), texture, camera)
    image, depth, normals = view.render(camera)
    assert (image[..., 3] > 0).sum() == 32 * 32
    for row in range(8):
        for column in range(8):
            uv = texel_uv(np.array([[row, column]], float), 8, 8)[0]
            (x, y), *_ = camera.project(np.array([[uv[0] * 200 - 100, uv[1] * 200 - 100, 0]]))[0]
            # The texel's middle lies on a pixel corner: the mean of the four pixels about it.
            around = image[int(y) - 1 : int(y) + 1, int(x) - 1 : int(x) + 1, :3].astype(float)
            if 0 < row < 7 and 0 < column < 7:
                close = texture[row, column].astype(float) * (7 / 8) ** 2
                assert (around.mean(axis=(0, 1)) >= close - 2).all()
    assert depth.max() == depth[depth > 0].min() == 800 * 32
    np.testing.assert_array_equal(normals[20, 20], [128, 128, 255])


def test_normals_of_a_sphere_point_outward():
    vertices, faces = sphere(50.0, 4)
    normals = vertex_normals(vertices, faces)
    cosine = (normals * vertices / 50.0).sum(axis=1)
    assert cosine.min() > np.cos(np.radians(0.2))
    assert vertex_normals(np.zeros((1, 3)), np.zeros((0, 3), np.int32))[0, 2] == 1.0


def test_a_ray_beside_the_mesh_hits_nothing():
    scene = RayScene(quad().vertices, quad().faces)
    camera = orbit(180, 0, 800, 2000, 16, 16, np.array([500.0, 0, 0]))
    hits = scene.see(camera)
    assert len(hits.rays) == 0
    assert not hits.mask.any()


def test_a_mesh_without_faces_or_with_nan_is_refused_by_name():
    mesh = quad()
    with pytest.raises(GeometryError, match="5_jaw_left: 0 faces"):
        RayScene(mesh.vertices, np.zeros((0, 3), np.int32), "5_jaw_left")
    broken = mesh.vertices.copy()
    broken[0, 0] = np.nan
    with pytest.raises(GeometryError, match="not all finite"):
        RayScene(broken, mesh.faces)
