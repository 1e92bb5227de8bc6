"""Demo people: as varied as the guide's distances say, sound as meshes, and the same every time."""

import numpy as np
import pytest

from facemill.data import demo
from facemill.data.demo.identity import build_person, draw_identity
from facemill.data.demo.parameters import WARPS

PEOPLE = 80


@pytest.fixture(scope="module")
def topology():
    return demo.topology()


@pytest.fixture(scope="module")
def heads():
    return np.stack(
        [build_person(draw_identity(f"d{k:03d}", 0)).vertices for k in range(1, PEOPLE + 1)]
    )


@pytest.fixture(scope="module")
def skin_faces(topology):
    face = np.zeros(topology.n_vertices, bool)
    face[topology.regions["face"]] = True
    return topology.faces[face[topology.faces].all(axis=1)]


def face_normals(vertices, faces):
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    return np.cross(b - a, c - a)


def test_at_least_forty_parameters_with_names_of_their_own():
    assert len(WARPS) >= 40
    assert len({warp.name for warp in WARPS}) == len(WARPS)


@pytest.mark.parametrize(
    ("a", "b", "mean", "spread"),
    [
        (0, 16, 147.5, 7.4),
        (27, 8, 113.6, 6.3),
        (36, 45, 89.4, 4.8),
        (39, 42, 37.0, 3.3),
        (48, 54, 50.9, 3.9),
        (31, 35, 25.1, 2.8),
    ],
)
def test_distances_follow_anthropometry(heads, topology, a, b, mean, spread):
    points = heads[:, topology.landmarks]
    distance = np.linalg.norm(points[:, a] - points[:, b], axis=1)
    assert abs(distance.mean() - mean) < spread
    assert 0.4 * spread < distance.std() < 1.6 * spread


def test_proportions_of_the_mean_face(heads, topology):
    points = heads[:, topology.landmarks].mean(axis=0)

    def between(a, b):
        return np.linalg.norm(points[a] - points[b])

    assert between(4, 12) == pytest.approx(114, abs=8)
    assert between(27, 33) == pytest.approx(50, abs=3)
    assert between(33, 8) == pytest.approx(65, abs=3)
    assert points[30, 2] - points[33, 2] == pytest.approx(15, abs=2)
    assert between(51, 57) == pytest.approx(19, abs=2)
    assert between(43, 47) == pytest.approx(8, abs=1.5)


def test_no_short_list_of_numbers_spans_the_people(heads, topology):
    centred = heads[:, topology.regions["face"]].reshape(PEOPLE, -1)
    centred = centred - centred.mean(axis=0)
    power = np.linalg.svd(centred, compute_uv=False) ** 2
    modes = 1 + np.searchsorted(np.cumsum(power) / power.sum(), 0.99)
    assert modes >= 30


def test_without_asymmetry_a_head_is_its_own_mirror_image(topology):
    vertices = build_person(draw_identity("d001", 0, asymmetry=0.0)).vertices
    assert np.abs(vertices[topology.mirror] * [-1, 1, 1] - vertices).max() < 1e-4
    uneven = build_person(draw_identity("d001", 0)).vertices
    assert np.abs(uneven[topology.mirror] * [-1, 1, 1] - uneven).max() > 0.2


def test_no_triangle_of_the_face_is_flipped(heads, skin_faces):
    reference = face_normals(heads.mean(axis=0), skin_faces)
    for vertices in heads:
        along = (face_normals(vertices, skin_faces) * reference).sum(axis=1)
        assert (along > 0).all()


def test_edges_of_the_face_are_within_a_factor_of_eight(heads, skin_faces):
    mean = heads.mean(axis=0)
    edges = skin_faces[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2)
    length = np.linalg.norm(mean[edges[:, 0]] - mean[edges[:, 1]], axis=1)
    assert length.max() / length.min() < 8


def test_the_face_does_not_cut_through_itself(heads, skin_faces):
    from embreex import rtcore_scene
    from embreex.mesh_construction import TriangleMesh

    for vertices in heads[:6]:
        scene = rtcore_scene.EmbreeScene()
        TriangleMesh(scene, vertices[skin_faces].astype(np.float32))
        edges = np.unique(np.sort(skin_faces[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2)), axis=0)
        start, end = vertices[edges[:, 0]], vertices[edges[:, 1]]
        way = end - start
        length = np.linalg.norm(way, axis=1)
        # An edge meets its own and neighbouring triangles only at its ends.
        first = start + 0.02 * way
        result = scene.run(
            first.astype(np.float32), (way / length[:, None]).astype(np.float32), output=1
        )
        crossing = (result["primID"] >= 0) & (result["tfar"] < 0.96 * length)
        corners = skin_faces[np.maximum(result["primID"], 0)]
        neighbour = (corners[:, :, None] == edges[:, None, :]).any(axis=(1, 2))
        assert not (crossing & ~neighbour).any()


def test_lids_stay_outside_the_eyeball(topology):
    for k in range(1, 9):
        person = build_person(draw_identity(f"d{k:03d}", 0))
        skin = np.intersect1d(topology.regions["lids"], topology.regions["face"])
        for centre in person.eye_centres:
            distance = np.linalg.norm(person.vertices[skin] - centre, axis=1)
            assert distance.min() > person.eye_radius


def test_same_seed_same_bytes_and_another_seed_another_person():
    first, again = (build_person(draw_identity("d007", 3)).vertices for _ in range(2))
    assert first.tobytes() == again.tobytes()
    assert np.abs(build_person(draw_identity("d007", 4)).vertices - first).max() > 1
    assert np.abs(build_person(draw_identity("d008", 3)).vertices - first).max() > 1
