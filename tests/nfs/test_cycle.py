"""Cycles over another mesh: a perfect way, one that halves, one that does nothing."""

from dataclasses import replace

import numpy as np
import pytest
from small_nfs_uses import face_of, with_operators

from facemill.nfs.cycle import by_nearest_points, cycle_metrics, still
from facemill.nfs.measures import Case, displacement_energy, inner_mask


def case_of(demo_model, order=None) -> Case:
    """A drawn face with two expressions; its vertices may come in another order."""
    operators = with_operators(face_of(demo_model)).operators
    if order is not None:
        place = np.argsort(order)
        operators = replace(
            operators,
            vertices=operators.vertices[order],
            mass=operators.mass[order],
            faces=place[operators.faces].astype(operators.faces.dtype),
        )
    vertices = operators.mesh.vertices
    mask = inner_mask(vertices, vertices[vertices[:, 2].argmax()])
    bend = np.maximum(0.0, -vertices[:, 1:2] - 0.2) * np.array([0.0, -0.3, 0.1])
    return Case("somebody", operators, mask, np.stack([vertices + bend, vertices - 0.5 * bend]))


@pytest.fixture(scope="module")
def source(demo_model):
    return case_of(demo_model)


@pytest.fixture(scope="module")
def order(source):
    return np.random.default_rng(0).permutation(len(source.mask))


@pytest.fixture(scope="module")
def shuffled(demo_model, order):
    return case_of(demo_model, order)


def values(clone, source, between) -> dict[str, float]:
    return {name: value for name, _, value in cycle_metrics(clone, source, between)}


def moving(order, source, gain=1.0):
    """A way of cloning that knows how the shuffled mesh is shuffled."""

    def clone(one, frames, other):
        offsets = gain * (frames - one.operators.mesh.vertices)
        if one is not other:
            offsets = offsets[:, order] if one is source else offsets[:, np.argsort(order)]
        return other.operators.mesh.vertices + offsets

    return clone


def test_a_perfect_way_comes_back_with_nothing_lost(source, shuffled, order):
    found = values(moving(order, source), source, shuffled)
    assert found.pop("intermediate_energy") == pytest.approx(100.0, rel=1e-6)
    assert found and all(value < 1e-8 for value in found.values())


def test_a_way_that_halves_leaves_three_quarters_as_error(source, shuffled, order):
    found = values(moving(order, source, 0.5), source, shuffled)
    assert found["intermediate_energy"] == pytest.approx(25.0, rel=1e-6)
    nothing = values(still, source, shuffled)
    assert found["vertex_mse_inner"] == pytest.approx(0.75**2 * nothing["vertex_mse_inner"])


def test_who_copies_the_neutral_is_found_out_by_the_energy_between(source, shuffled):
    found = values(still, source, shuffled)
    assert found["intermediate_energy"] == 0.0
    assert found["vertex_rms_inner"] > 0.5


def test_nearest_points_find_a_mesh_whose_vertices_are_shuffled(source, shuffled):
    found = values(by_nearest_points, source, shuffled)
    assert found["vertex_max"] < 1e-3
    assert found["intermediate_energy"] == pytest.approx(100.0, rel=1e-4)


def test_energy_is_that_of_the_area_and_not_of_the_vertices(source):
    step = np.array([0.0, 0.03, 0.04])
    frames = source.operators.mesh.vertices[None] + step
    assert displacement_energy(frames, source) == pytest.approx(0.0025)
    mass = source.operators.mass.copy()
    half = np.arange(len(mass)) % 2 == 0
    mass[half] = 0.0
    lighter = replace(source, operators=replace(source.operators, mass=mass))
    frames = source.operators.mesh.vertices[None] + np.where(half[:, None], step, 0.0)
    assert displacement_energy(frames, lighter) == 0.0


def test_a_source_that_does_not_move_has_no_share_to_state(source, shuffled):
    neutral = replace(source, frames=source.operators.mesh.vertices[None])
    assert "intermediate_energy" not in values(still, neutral, shuffled)
