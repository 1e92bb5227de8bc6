"""Topologies are chosen by vertex count and refused by name."""

from dataclasses import replace

import numpy as np
import pytest

from facemill.data.topology import Topology, choose_topology, load_topology, save_topology
from facemill.errors import DataError


def small(name: str = "small", n_vertices: int = 100) -> Topology:
    return Topology(
        name=name,
        n_vertices=n_vertices,
        landmarks=np.arange(68),
        source="made for a test",
        mirror=np.arange(n_vertices)[::-1].copy(),
        regions={"lips": np.array([1, 2, 3])},
    )


def test_round_trip(tmp_path):
    save_topology(small(), tmp_path / "small.npz")
    back = load_topology(tmp_path / "small.npz")
    assert (back.name, back.n_vertices, back.source) == ("small", 100, "made for a test")
    np.testing.assert_array_equal(back.mirror, small().mirror)
    np.testing.assert_array_equal(back.regions["lips"], [1, 2, 3])
    assert back.faces is None


def test_unknown_vertex_count_is_refused_by_name():
    known = [small(), small("large", 200)]
    assert choose_topology(known, 200, "x.obj").name == "large"
    with pytest.raises(DataError, match=r"x\.obj: 150 vertices.*small \(100.*large \(200"):
        choose_topology(known, 150, "x.obj")


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        ({"landmarks": np.arange(67)}, "67 landmarks, expected the 68"),
        ({"landmarks": np.arange(68) + 60}, "landmarks names vertex 127"),
        ({"mirror": np.roll(np.arange(100), 1)}, "mirror table is damaged"),
        ({"regions": {"lips": np.array([100])}}, "region lips names vertex 100"),
    ],
)
def test_damaged_descriptions_are_refused(broken, message):
    with pytest.raises(DataError, match=message):
        replace(small(), **broken).check()
