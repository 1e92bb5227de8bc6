import re

import numpy as np
import pytest

from facemill.errors import ConfigError
from facemill.mesh.frames import NOSE_TIP, Similarity
from facemill.mesh.grid import Grid
from facemill.mesh.isosurface import extract
from facemill.mesh.sheet import height_sheet
from facemill.mesh.surface import Mesh
from facemill.metrics.geometry import EvaluateConfig, compare, f_score, inner_faces, unit_of
from facemill.metrics.registration import rigid_icp

QUICK = EvaluateConfig(points=20_000, exact_points=5_000, icp_points=5_000)


def flat_sheet(z=0.0, half=50.0, step=5.0):
    axis = np.arange(-half, half + step / 2, step)
    x, y = np.meshgrid(axis, axis)
    return height_sheet(np.column_stack([x.ravel(), y.ravel(), np.full(x.size, z)]))


def face_sheet(step=3.0):
    """A height field with a nose at (0, 0, 40) over a disc of 85 mm, mm."""
    axis = np.arange(-84, 85, step)
    x, y = (values.ravel() for values in np.meshgrid(axis, axis))
    inside = np.hypot(x, y) < 85
    x, y = x[inside], y[inside]
    z = 60 * np.exp(-(x**2 + y**2) / 7000) - 40 + 20 * np.exp(-((x / 14) ** 2) - (y / 20) ** 2)
    return height_sheet(np.column_stack([x, y, z]))


def moved(mesh, motion):
    return Mesh(motion.apply(mesh.vertices), mesh.faces)


def measured(reconstruction, target, config=QUICK, seed=0):
    return compare(reconstruction, target, config, np.random.default_rng(seed))


def test_parallel_planes_are_as_far_apart_as_they_are():
    metrics = measured(flat_sheet(1.5), flat_sheet(0.0))
    for name in ("mean", "median", "rms", "p95"):
        assert metrics[f"point_to_surface_{name}"] == pytest.approx(1.5, abs=1e-5)
    assert metrics["normal_angle_mean"] == pytest.approx(0.0, abs=1e-2)
    assert (metrics["f_score_1mm"], metrics["f_score_2mm"]) == (0.0, 100.0)
    assert metrics["point_to_surface_mean_icp"] == pytest.approx(0.0, abs=0.02)


def test_concentric_spheres_differ_by_their_radii():
    def sphere(radius):
        field = lambda points: np.linalg.norm(points, axis=1) - radius  # noqa: E731
        return extract(field, Grid(64, -60.0, 60.0)).mesh

    metrics = measured(sphere(52.0), sphere(50.0))
    assert metrics["point_to_surface_mean"] == pytest.approx(2.0, abs=0.02)
    assert metrics["point_to_surface_rms"] == pytest.approx(2.0, abs=0.02)
    assert metrics["normal_angle_mean"] < 1.0


def test_tilted_plane_has_the_angle_of_its_tilt():
    tilt = np.radians(10.0)
    rotation = np.array(
        [[np.cos(tilt), 0, np.sin(tilt)], [0, 1, 0], [-np.sin(tilt), 0, np.cos(tilt)]]
    )
    metrics = measured(moved(flat_sheet(), Similarity(rotation=rotation)), flat_sheet())
    assert metrics["normal_angle_mean"] == pytest.approx(10.0, abs=0.05)


def test_identical_meshes_give_zero_exactly_and_the_floor_by_samples():
    face = face_sheet()
    metrics = measured(face, face)
    assert metrics["point_to_surface_mean"] < 1e-6
    assert metrics["f_score_0.5mm"] == 100.0
    floor = metrics["chamfer_sampled_floor"]
    assert floor > 0.1
    assert metrics["chamfer_sampled"] == pytest.approx(floor, rel=0.03)
    assert metrics["f_score_1mm_sampled"] == pytest.approx(
        metrics["f_score_1mm_sampled_floor"], abs=1.0
    )


def test_sampling_floor_is_that_of_a_random_point_set():
    # A Poisson set of density rho has a mean nearest distance of 1 / (2 sqrt(rho)).
    metrics = measured(flat_sheet(half=200.0), flat_sheet(half=200.0))
    expected = 0.5 / np.sqrt(QUICK.points / 400.0**2)
    assert metrics["chamfer_sampled_floor"] == pytest.approx(expected, rel=0.03)


def test_published_number_of_samples_has_the_floor_of_the_face_s_area():
    face = face_sheet()
    config = EvaluateConfig(points=150_000, exact_points=2_000, icp_points=2_000)
    metrics = measured(face, face, config)
    a, b, c = face.vertices[face.faces].transpose(1, 0, 2)
    area = 0.5 * np.linalg.norm(np.cross(b - a, c - a), axis=1).sum()
    floor = metrics["chamfer_sampled_floor"]
    assert floor == pytest.approx(0.5 * np.sqrt(area / 150_000), rel=0.02)
    assert 0.2 < floor < 0.3, "a face sheet of 25 000 to 50 000 mm^2"
    for name in ("chamfer_sampled", "chamfer_sampled_icp"):
        assert metrics[name] == pytest.approx(floor, rel=0.02)
    assert metrics["point_to_surface_mean"] < 1e-6
    assert metrics["point_to_surface_mean_inner"] < 1e-6


def test_full_and_inner_face_are_measured_with_and_without_alignment():
    face = face_sheet()
    metrics = measured(face, face)
    exact = ["point_to_surface_mean", "normal_angle_mean", "accuracy_mean", "completeness_mean"]
    exact += [f"f_score_{t}mm" for t in ("0.5", "1", "2")]
    sampled = ["chamfer_sampled", *(f"f_score_{t}mm_sampled" for t in ("0.5", "1", "2"))]
    for name in (*exact, *sampled):
        assert {f"{name}{end}" for end in ("", "_inner", "_icp", "_inner_icp")} <= set(metrics)
    for name in sampled:
        assert {f"{name}_floor", f"{name}_inner_floor"} <= set(metrics)


def test_f_scores_of_a_comparison_grow_with_the_threshold():
    face, rng = face_sheet(), np.random.default_rng(0)
    bent = Mesh(face.vertices + rng.normal(0, 0.8, face.vertices.shape), face.faces)
    metrics = measured(bent, face)
    for kind in ("", "_sampled"):
        for end in ("", "_inner", "_icp", "_inner_icp"):
            half, one, two = (metrics[f"f_score_{t}mm{kind}{end}"] for t in ("0.5", "1", "2"))
            assert half < one < two


def test_offset_by_one_millimetre_shows_without_alignment_and_vanishes_with_it():
    face = face_sheet()
    metrics = measured(moved(face, Similarity(translation=np.array([0, 0, 1.0]))), face)
    a, b, c = face.vertices[face.faces].transpose(1, 0, 2)
    normals = np.cross(b - a, c - a)
    slope = np.abs(normals[:, 2]).sum() / np.linalg.norm(normals, axis=1).sum()
    assert metrics["point_to_surface_mean"] == pytest.approx(slope, abs=0.03)
    assert metrics["point_to_surface_mean_icp"] < 0.06
    assert metrics["point_to_surface_mean_inner_icp"] < 0.06
    assert metrics["f_score_0.5mm"] < 50 < 99 < metrics["f_score_0.5mm_icp"]
    assert metrics["chamfer_sampled_icp"] < 1.1 * metrics["chamfer_sampled_floor"]
    assert metrics["chamfer_sampled"] > 1.2 * metrics["chamfer_sampled_icp"]


def test_f_score_grows_with_the_threshold():
    rng = np.random.default_rng(1)
    accuracy, completeness = rng.exponential(1.0, 500), rng.exponential(2.0, 400)
    scores = [f_score(accuracy, completeness, t) for t in np.linspace(0.01, 20, 50)]
    assert (np.diff(scores) >= 0).all()
    assert scores[-1] == 100.0
    # Shares of 1/2 and 1/4 have the harmonic mean 1/3.
    half, quarter = np.array([0.0, 5.0]), np.array([0.0, 5.0, 5.0, 5.0])
    assert f_score(half, quarter, 1.0) == pytest.approx(100 / 3)
    assert f_score(np.array([3.0]), np.array([3.0]), 1.0) == 0.0


def test_inner_face_leaves_out_skirts_slivers_and_what_is_far_from_the_nose():
    face = face_sheet()
    inner = inner_faces(face, QUICK)
    centres = face.vertices[face.faces].mean(axis=1)
    assert inner.any()
    assert (np.linalg.norm(centres[inner] - NOSE_TIP, axis=1) <= 80).all()
    skirt = Mesh(np.array([[0, 0, 40.0], [0.1, 0, 34], [0, 5, 40]]), np.array([[0, 1, 2]]))
    sliver = Mesh(np.array([[0, 0, 40.0], [30, 0, 40], [0, 3, 40]]), np.array([[0, 1, 2]]))
    assert not inner_faces(skirt, QUICK).any()
    assert not inner_faces(sliver, QUICK).any()


def test_a_brim_that_sticks_out_of_the_border_counts_in_the_full_sheet_only():
    face = face_sheet()
    x = np.linspace(-110, 110, 45)
    brim = height_sheet(
        np.array([[a, b, -26.0] for a in x for b in x if 88 < np.hypot(a, b) < 105])
    )
    brim = Mesh(  # without the faces that the hull would fill
        brim.vertices,
        brim.faces[np.hypot(*brim.vertices[brim.faces].mean(axis=1)[:, :2].T) > 86],
    )
    both = Mesh(
        np.concatenate([face.vertices, brim.vertices]),
        np.concatenate([face.faces, brim.faces + len(face.vertices)]),
    )
    metrics = measured(both, face)
    assert metrics["accuracy_mean"] > 1.0
    assert metrics["completeness_mean"] < 0.1
    assert metrics["point_to_surface_mean_inner"] < 1e-6


def test_icp_brings_a_turned_face_back():
    face = face_sheet()
    angle = np.radians(2.0)
    turn = np.array(
        [[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]]
    )
    off = Similarity(rotation=turn, translation=np.array([0.5, -0.5, 1.0]))
    rng = np.random.default_rng(3)
    points = face.vertices[rng.permutation(len(face.vertices))]
    back = rigid_icp(off.apply(points), points, tolerance=1e-5, iterations=200)
    assert np.linalg.norm(back.apply(off.apply(points)) - points, axis=1).mean() < 0.05


def test_every_metric_is_defined_on_the_page_of_metrics(repository):
    page = (repository / "docs/metrics.md").read_text(encoding="utf-8")
    defined = set(re.findall(r"`([a-z0-9_.]+)`", page))
    for name in measured(flat_sheet(), flat_sheet()):
        for ending in ("_floor", "_icp", "_inner"):
            name = name.removesuffix(ending)
        assert name in defined, name


def test_every_metric_has_a_unit():
    assert unit_of("f_score_1mm_sampled_icp") == "%"
    assert unit_of("normal_angle_mean_inner") == "degree"
    assert unit_of("chamfer_sampled_floor") == "mm"


def test_settings_out_of_range_are_refused():
    with pytest.raises(ConfigError, match="points: found 0"):
        EvaluateConfig(points=0)
