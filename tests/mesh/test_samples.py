"""Sample packs hold the asked rows, exact, shuffled, and the same for the same seed."""

import dataclasses

import numpy as np
import pytest
from scipy.spatial import cKDTree
from shapes import graph
from synthetic_faces import EXPRESSIONS, face, landmark_vertices

from facemill.data.packs import FacePack, PreparedScan, SamplePack, write_face_pack
from facemill.errors import ConfigError
from facemill.mesh.distance import distance_to_mesh, signed_distance_sheet
from facemill.mesh.frames import Similarity
from facemill.mesh.samples import (
    SampleSettings,
    free_points,
    sample_person,
    sample_sheet,
    surface_points,
)
from facemill.mesh.sheet import face_sheet, height, height_sheet

SETTINGS = SampleSettings(surface_points=4700, free_points=300, seed=5)
FAR = np.full((68, 3), 1e3)
"""Landmarks that nothing lies near."""


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    """A face pack of one made-up person."""
    scans = {}
    for expression in EXPRESSIONS[:2]:
        mesh = face(np.zeros(4), expression)
        sheet = face_sheet(mesh)
        marks = mesh.vertices[landmark_vertices()]
        scans[expression] = PreparedScan(mesh, marks, sheet, sheet, Similarity())
    path = tmp_path_factory.mktemp("faces") / "s001.npz"
    write_face_pack(path, scans)
    return path


def sampled(faces, folder, settings=SETTINGS, person="s001"):
    pack = folder / f"{person}.npy"
    sample_person(faces, person, settings, pack, pack.with_suffix(".json"))
    return SamplePack(pack)


def test_rows_are_counted_exact_and_shuffled(faces, tmp_path):
    pack = sampled(faces, tmp_path)
    assert pack.expressions == EXPRESSIONS[:2] and pack.rows == 5000
    for expression in pack.expressions:
        rows = pack.scan(expression).astype(np.float64)
        sheet = FacePack(faces).sheet(expression)
        on = rows[:, 6] == 0
        assert on.sum() == 4700
        assert distance_to_mesh(rows[on, :3], sheet)[0].max() < 1e-4
        distance, gradient = signed_distance_sheet(rows[~on, :3], sheet)
        np.testing.assert_allclose(rows[~on, 6], distance, rtol=1e-6, atol=2e-6)
        np.testing.assert_allclose(rows[~on, 3:6], gradient, atol=1e-6)
        np.testing.assert_allclose(np.linalg.norm(rows[:, 3:6], axis=1), 1, atol=1e-6)
        assert (rows[:, 5] >= 0).all() and np.linalg.norm(rows[~on, :3], axis=1).max() <= 100.001
        per_tenth = on.reshape(10, -1).sum(axis=1)
        assert per_tenth.min() > 440 and per_tenth.max() < 500, "surface and free rows are mixed"
        np.testing.assert_array_equal(
            pack.landmarks(expression), FacePack(faces).landmarks(expression)
        )


def test_the_manifest_says_what_was_done(faces, tmp_path):
    manifest = sampled(faces, tmp_path).manifest
    assert manifest["stage"] == "sdf_sample" and manifest["person"] == "s001"
    assert manifest["settings"]["seed"] == 5
    assert {scan["status"] for scan in manifest["scans"].values()} == {"ok"}
    assert len(manifest["pack_sha256"]) == 64


def test_the_seed_and_the_names_decide_and_nothing_else(faces, tmp_path):
    def content(folder, **change):
        where = tmp_path / folder
        person = change.pop("person", "s001")
        settings = SampleSettings(4700, 300, **{"seed": 5, **change})
        pack = sampled(faces, where, settings, person)
        return pack.path.read_bytes(), pack

    first, pack = content("first")
    assert content("again")[0] == first
    assert content("seed", seed=6)[0] != first
    assert content("person", person="s002")[0] != first
    assert not np.array_equal(*[pack.scan(e)[:, :3] for e in pack.expressions])


def test_an_analytic_height_field_is_sampled_truly():
    """Signs are those of z - h(x, y) over the whole hull, distances are exact."""

    def h(x, y):
        return 30 * np.cos(x / 40) * np.cos(y / 50)

    sheet = height_sheet(graph(h, 70, 1).vertices)
    rows = sample_sheet(sheet, FAR, SampleSettings(2000, 2000), np.random.default_rng(0))
    free = rows[rows[:, 6] != 0].astype(np.float64)
    over = ~np.isnan(height(sheet, free[:, :2]))
    z_above = free[over, 2] - h(free[over, 0], free[over, 1])
    clear = np.abs(z_above) > 0.02  # the triangles lie up to that much below the graph
    np.testing.assert_array_equal(free[over, 6][clear] > 0, z_above[clear] > 0)


def test_points_near_the_surface_lie_straight_before_or_behind_it():
    sheet = height_sheet(graph(lambda x, y: 20 - (x**2 + y**2) / 200, 60, 3).vertices)
    settings = SampleSettings(100, 1000, near_share=0.8, near_distance=15.0)
    rng = np.random.default_rng(0)
    points = free_points(surface_points(sheet, FAR, settings, rng), settings, rng)
    assert points.shape == (1000, 3)
    assert (np.linalg.norm(points, axis=1) <= 100).all()
    above = points[:, 2] - height(sheet, points[:, :2])
    near = np.abs(above) <= 15.001
    assert 0.8 <= near.mean() < 0.9  # those asked for, and few of the others
    assert abs((above[near] > 0).mean() - 0.5) < 0.1
    with pytest.raises(ConfigError, match=r"near_share, near_distance: 1\.5"):
        SampleSettings(near_share=1.5)


def test_a_share_of_the_points_lies_about_lids_and_lips(faces):
    """Surface points and the free ones before and behind them; all others stay uniform by area."""
    pack = FacePack(faces)
    sheet, landmarks = pack.sheet(EXPRESSIONS[0]), pack.landmarks(EXPRESSIONS[0])
    tree = cKDTree(landmarks[36:])
    settings = SampleSettings(8000, 4000, feature_share=0.5, feature_distance=10.0, near_share=1.0)

    def share(settings):
        rows = sample_sheet(sheet, landmarks, settings, np.random.default_rng(0))
        on = rows[:, 6] == 0
        assert distance_to_mesh(rows[on, :3], sheet)[0].max() < 1e-4
        # As far as such a triangle reaches from its centre.
        flat = cKDTree(landmarks[36:, :2])
        about = [flat.query(rows[which, :2])[0] <= 14.0 for which in (on, ~on)]
        return tree.query(rows[on, :3])[0] <= 14.0, *about

    plain = share(dataclasses.replace(settings, feature_share=0.0))
    focused = share(settings)
    for before, after in zip(plain, focused, strict=True):
        assert after.mean() == pytest.approx(0.5 + 0.5 * before.mean(), abs=0.04)
    with pytest.raises(ConfigError, match=r"feature_share, feature_distance: 0\.5, 0\.0"):
        SampleSettings(feature_share=0.5, feature_distance=0.0)


def test_published_counts_are_the_default():
    assert SampleSettings().surface_points == 235_000 and SampleSettings().free_points == 15_000


def test_impossible_settings_and_a_manifest_elsewhere_are_refused(faces, tmp_path):
    with pytest.raises(ConfigError, match="-1"):
        SampleSettings(surface_points=-1)
    with pytest.raises(ConfigError, match="must lie beside"):
        sample_person(faces, "s001", SETTINGS, tmp_path / "a.npy", tmp_path / "b.json")
