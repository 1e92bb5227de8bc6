"""Operators: closed forms on spheres and planes, plain twins, files that come back, refusals."""

import numpy as np
import pytest
from shapes import graph, joined, sphere

from facemill.errors import DataError, GeometryError
from facemill.mesh.clean import cleaned
from facemill.mesh.frames import Similarity
from facemill.mesh.geodesics import distances_from
from facemill.mesh.gradients import (
    RIDGE,
    gradient_operators,
    plain_vertex_normals,
    tangent_frames,
)
from facemill.mesh.laplacian import cotangent_laplacian, eigenbasis, vertex_masses
from facemill.mesh.normals import face_normals_and_areas
from facemill.mesh.operators import OperatorSettings, read_operators, write_operators
from facemill.mesh.operators_build import build_operators
from facemill.mesh.poisson import PoissonSolver, jacobians
from facemill.mesh.surface import Mesh

BALL = sphere(1.0, 4)


@pytest.fixture(scope="module")
def hill() -> Mesh:
    return graph(lambda x, y: 0.3 * np.sin(2 * x) * np.cos(y), 1.0, 0.1)


def test_laplacian_annihilates_constants_and_masses_are_the_area(hill):
    laplacian, mass = cotangent_laplacian(hill), vertex_masses(hill)
    _, area = face_normals_and_areas(hill)
    assert np.abs(laplacian @ np.ones(len(mass))).max() < 1e-12
    assert abs(laplacian - laplacian.T).max() < 1e-12
    assert mass.sum() == pytest.approx(area.sum(), rel=1e-6)


def test_laplacian_of_a_plane_gives_the_energy_of_a_linear_function():
    plane = graph(lambda x, y: 0 * x, 1.0, 0.1)
    f = plane.vertices @ [2.0, 3.0, 0.0]
    assert f @ (cotangent_laplacian(plane) @ f) == pytest.approx(13.0 * 4.0)


def test_eigenvalues_of_the_sphere_are_those_of_spherical_harmonics():
    laplacian, mass = cotangent_laplacian(BALL), vertex_masses(BALL)
    values, vectors = eigenbasis(laplacian, mass, 36)
    expected = np.concatenate([[l * (l + 1)] * (2 * l + 1) for l in range(6)])  # noqa: E741
    np.testing.assert_allclose(values[1:], expected[1:], rtol=0.02)
    assert values[0] < 1e-5
    gram = vectors.T @ (mass[:, None] * vectors)
    assert np.abs(gram - np.eye(36)).max() < 1e-5
    residual = laplacian @ vectors - mass[:, None] * vectors * values
    assert np.abs(residual).max() < 1e-6


def test_eigenbasis_does_not_depend_on_the_size_of_the_mesh(hill):
    large = Mesh(1000.0 * hill.vertices, hill.faces)
    small, other = (
        eigenbasis(cotangent_laplacian(m), vertex_masses(m), 12)[0] for m in (hill, large)
    )
    np.testing.assert_allclose(other[1:] * 1e6, small[1:], rtol=1e-3)


def test_gradients_of_coordinates_have_unit_length_along_the_surface():
    east, north = gradient_operators(BALL)
    normals = plain_vertex_normals(BALL)
    first, second = tangent_frames(normals)
    for axis in np.eye(3):
        f = BALL.vertices @ axis
        found = (east @ f)[:, None] * first + (north @ f)[:, None] * second
        wanted = axis - (normals @ axis)[:, None] * normals
        assert np.linalg.norm(found - wanted, axis=1).max() < 0.02


def gradient_at(mesh: Mesh, i: int, f: np.ndarray, first, second) -> np.ndarray:
    """The plain way: one small least-squares problem for one vertex."""
    around = np.unique(mesh.faces[(mesh.faces == i).any(axis=1)])
    around = around[around != i]
    step = mesh.vertices[around] - mesh.vertices[i]
    tangent = np.stack([step @ first[i], step @ second[i]], axis=1)
    return np.linalg.solve(tangent.T @ tangent + RIDGE * np.eye(2), tangent.T @ (f[around] - f[i]))


def test_gradients_of_all_vertices_at_once_agree_with_one_after_the_other(hill):
    f = np.random.default_rng(1).standard_normal(len(hill.vertices))
    east, north = gradient_operators(hill)
    first, second = tangent_frames(plain_vertex_normals(hill))
    plain = np.stack([gradient_at(hill, i, f, first, second) for i in range(len(f))])
    np.testing.assert_allclose(np.stack([east @ f, north @ f], axis=1), plain, rtol=1e-8, atol=1e-9)


def test_too_few_vertices_for_the_eigenfunctions_are_refused():
    ball = sphere(1.0, 1)
    with pytest.raises(GeometryError, match="42 vertices have no 128 eigenfunctions"):
        eigenbasis(cotangent_laplacian(ball), vertex_masses(ball), 128, "ball")


def test_geodesics_on_a_sphere_are_nearly_great_circles():
    top = int(BALL.vertices[:, 2].argmax())
    (found,) = distances_from(BALL, [np.array([top])])
    true = np.arccos(np.clip(BALL.vertices @ BALL.vertices[top], -1, 1))
    far = true > 0.2
    ratio = found[far] / true[far]
    assert ratio.min() > 0.995 and ratio.max() < 1.1


# -- Jacobians and Poisson -------------------------------------------------------------------------


def test_jacobians_of_an_affine_map_are_its_matrix(hill):
    turned = np.linalg.qr(np.random.default_rng(3).standard_normal((3, 3)))[0]
    turned *= np.sign(np.linalg.det(turned))
    found = jacobians(hill, 1.5 * hill.vertices @ turned.T + 2.0)
    np.testing.assert_allclose(found, np.broadcast_to(1.5 * turned, found.shape), atol=1e-10)


def test_identity_jacobians_give_the_neutral_back(hill):
    found = PoissonSolver(hill).vertices(np.broadcast_to(np.eye(3), (len(hill.faces), 3, 3)).copy())
    assert np.abs(found - hill.vertices).max() < 1e-8


def test_a_mesh_comes_back_from_its_jacobians_up_to_translation(hill):
    rng = np.random.default_rng(2)
    moved = hill.vertices + 0.05 * np.sin(3 * hill.vertices @ rng.standard_normal((3, 3)))
    found = PoissonSolver(hill).vertices(jacobians(hill, moved))
    offset = moved - found
    assert np.abs(offset - offset.mean(axis=0)).max() < 1e-6


def test_a_rotation_is_reproduced(hill):
    turn = Similarity(1.0, np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]))
    moved = turn.apply(hill.vertices)
    found = PoissonSolver(hill).vertices(jacobians(hill, moved))
    middle = moved - moved.mean(axis=0)
    assert np.abs(found - found.mean(axis=0) - middle).max() < 1e-8


# -- cleaning --------------------------------------------------------------------------------------


def test_cleaning_welds_drops_waste_and_leads_back(hill):
    n = len(hill.vertices)
    torn = hill.faces.copy()
    torn[5, 0] = n  # a copy of the vertex it had
    faces = np.concatenate([torn, [[0, 1, 1], [2, 2, 2]], torn[:1]])
    vertices = np.concatenate([hill.vertices, hill.vertices[hill.faces[5, :1]], [[9.0, 9.0, 9.0]]])
    found = cleaned(Mesh(vertices, faces), "torn")
    np.testing.assert_array_equal(found.mesh.vertices, hill.vertices)
    np.testing.assert_array_equal(found.mesh.faces, hill.faces)
    np.testing.assert_array_equal(found.mesh.vertices, vertices[found.source])
    assert found.welded[n] == hill.faces[5, 0] and found.welded[n + 1] == -1


def test_a_small_piece_is_left_out_and_a_large_one_refused(hill):
    dust = Mesh(0.01 * hill.vertices + 5.0, hill.faces)
    assert len(cleaned(joined(hill, dust), "dusty").mesh.vertices) == len(hill.vertices)
    with pytest.raises(GeometryError, match="2 separate pieces, and the second one holds 50%"):
        cleaned(joined(hill, Mesh(hill.vertices + 5.0, hill.faces)), "two heads")


def test_broken_meshes_are_refused_in_a_sentence(hill):
    with pytest.raises(GeometryError, match="not a finite number"):
        cleaned(Mesh(np.where(hill.vertices > 0.9, np.nan, hill.vertices), hill.faces), "holes")
    with pytest.raises(GeometryError, match="none of its 1 faces has an area"):
        cleaned(Mesh(hill.vertices, np.array([[0, 0, 1]])), "flat")
    fin = np.concatenate([hill.faces, [[*hill.faces[0, ::2], len(hill.vertices)]]])
    with pytest.raises(GeometryError, match="three faces or more meet"):
        cleaned(Mesh(np.concatenate([hill.vertices, [[0.0, 0.0, 3.0]]]), fin), "fin")


# -- files -----------------------------------------------------------------------------------------


def test_operators_come_back_from_their_file(hill, tmp_path):
    settings = OperatorSettings(eigenfunctions=16, picture_size=32)
    placed = Similarity(0.5, np.eye(3), np.array([0.0, 0.1, 0.2]))
    made = build_operators(hill, settings, "hill", placed, residual=1.25)
    write_operators(tmp_path / "hill.npz", made)
    back = read_operators(tmp_path / "hill.npz")
    for name, value in vars(made).items():
        other = getattr(back, name)
        if hasattr(value, "todense"):
            assert (value != other).nnz == 0 and other.dtype == np.float32
        elif name == "placed":
            np.testing.assert_allclose(other.matrix, value.matrix, atol=1e-15)
        else:
            np.testing.assert_array_equal(other, value)
    np.testing.assert_allclose(back.frame(hill.vertices, "x"), made.vertices, atol=1e-7)
    with pytest.raises(DataError, match="7 vertices, but its neutral mesh has 441"):
        back.frame(np.zeros((7, 3)), "smile.obj")
    assert made.picture.max() > 100 and made.picture[0, 0] == 0


def test_the_fingerprint_knows_geometry_and_settings(hill):
    few = OperatorSettings(eigenfunctions=8, picture_size=16)
    one = build_operators(hill, few, "hill").fingerprint
    assert one == build_operators(hill, few, "other name").fingerprint
    moved = Mesh(hill.vertices + np.array([0, 0, 0.01]), hill.faces)
    assert one != build_operators(moved, few, "hill").fingerprint
    more = OperatorSettings(eigenfunctions=9, picture_size=16)
    assert one != build_operators(hill, more, "hill").fingerprint


def test_files_of_another_kind_are_refused(tmp_path):
    np.savez(tmp_path / "other.npz", vertices=np.zeros(3))
    with pytest.raises(DataError, match="expected operators of format 1"):
        read_operators(tmp_path / "other.npz")
