"""The demo heads' topology: connectivity, mirror table, landmarks and regions."""

import numpy as np
import pytest

from facemill.data import demo
from facemill.data.demo.sculpt import EYE_CENTRE, EYE_RADIUS, mean_head
from facemill.data.landmarks import OPPOSITE
from facemill.data.topology import load_topology, save_topology


@pytest.fixture(scope="module")
def topology():
    return demo.topology()


def test_people_are_numbered_from_one():
    assert demo.person_ids(3) == ["d001", "d002", "d003"]


def test_size_and_every_vertex_is_used(topology):
    assert 10_000 <= topology.n_vertices <= 15_000
    assert np.array_equal(np.unique(topology.faces), np.arange(topology.n_vertices))
    assert topology.faces.shape == topology.faces_uv.shape
    assert topology.faces_uv.max() == len(topology.uv) - 1
    assert topology.uv.min() >= 0 and topology.uv.max() <= 1


def test_no_edge_has_more_than_two_triangles_and_all_agree_in_sense(topology):
    directed = topology.faces[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2)
    assert len(np.unique(directed, axis=0)) == len(directed)


def test_mean_head_is_its_own_mirror_image(topology):
    vertices = mean_head().vertices
    assert np.abs(vertices[topology.mirror] * [-1, 1, 1] - vertices).max() < 1e-9


def test_mirrored_triangles_are_triangles(topology):
    def canon(faces):
        return {tuple(sorted(face)) for face in faces.tolist()}

    assert canon(topology.mirror[topology.faces]) == canon(topology.faces)


def test_landmarks_are_distinct_mirrored_and_in_ibug_order(topology):
    landmarks = topology.landmarks
    assert len(set(landmarks.tolist())) == 68
    assert np.array_equal(topology.mirror[landmarks], landmarks[OPPOSITE])
    points = mean_head().vertices[landmarks]
    assert (np.diff(points[:17, 0]) > 0).all(), "jaw runs from the subject's right to the left"
    assert (np.diff(points[17:27, 0]) > 0).all()
    assert (np.diff(points[27:31, 1]) < 0).all()
    assert (np.diff(points[31:36, 0]) > 0).all()
    assert points[36, 0] < points[39, 0] < 0 < points[42, 0] < points[45, 0]
    assert points[37, 1] > points[41, 1] and points[44, 1] > points[46, 1]
    assert (np.diff(points[48:55, 0]) > 0).all() and (np.diff(points[54:60, 0]) < 0).all()
    assert points[51, 1] > points[62, 1] > points[66, 1] > points[57, 1]
    assert landmarks[30] in topology.regions["face"]
    front = topology.regions["face"]
    assert points[30, 2] >= mean_head().vertices[front, 2].max() - 0.3, "30 is the nose tip"


def test_landmarks_are_visible_from_the_front(topology):
    from embreex import rtcore_scene
    from embreex.mesh_construction import TriangleMesh

    people = [demo.head(person, "1_neutral", 0) for person in demo.person_ids(4)]
    for vertices, allowed in [(mean_head().vertices, 0), *((head, 2) for head in people)]:
        scene = rtcore_scene.EmbreeScene()
        TriangleMesh(scene, vertices[topology.faces].astype(np.float32))
        start = (vertices[topology.landmarks] + [0, 0, 0.05]).astype(np.float32)
        hit = scene.run(start, np.tile(np.float32([0, 0, 1]), (68, 1))) >= 0
        assert hit.sum() <= allowed, f"hidden landmarks: {np.flatnonzero(hit)}"


def test_regions(topology):
    needed = {"face", "scalp", "neck", "ears", "eyes", "lips", "lids", "mouth_socket"}
    assert needed <= topology.regions.keys()
    vertices = mean_head().vertices
    eyes = vertices[topology.regions["eyes"]] * [1, 1, 1]
    eyes[:, 0] = np.abs(eyes[:, 0])
    assert np.allclose(np.linalg.norm(eyes - EYE_CENTRE, axis=1), EYE_RADIUS)
    for name, numbers in topology.regions.items():
        mirrored = np.sort(topology.mirror[numbers])
        assert np.array_equal(mirrored, np.sort(numbers)), name


def test_topology_survives_its_file(topology, tmp_path):
    save_topology(topology, tmp_path / "demo.npz")
    back = load_topology(tmp_path / "demo.npz")
    assert back.name == "demo" and np.array_equal(back.faces, topology.faces)
    assert np.array_equal(back.landmarks, topology.landmarks)
