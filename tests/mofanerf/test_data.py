"""Batches: the right pixels, the right colours, nothing that is held out."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from made_up_people import MODEL, TRAIN, write_views
from scipy.ndimage import distance_transform_edt
from scipy.spatial import cKDTree

from facemill.errors import DataError
from facemill.mesh.frames import FACE_TO_MOFANERF
from facemill.mofanerf.config import TrainConfig, TrainSettings
from facemill.mofanerf.data import (
    CLEAR,
    averaged,
    choose_pixels,
    in_the_air,
    open_training_set,
)
from facemill.mofanerf.losses import correspondence
from facemill.mofanerf.rays import UNIT
from facemill.mofanerf.train import initial_model
from facemill.render.cameras import orbit
from facemill.training.settings import from_settings

CONFIG = from_settings(TrainConfig, TRAIN | {"images": 8, "rays": 64}, "train")


def test_every_training_scan_comes_once_an_epoch_and_no_held_out_one(data):
    split = data.split
    assert len(data.pairs) == 5 * len(split.expressions) - len(split.test_pairs)
    named = {(split.train_people[p], split.expressions[e]) for p, e in data.pairs}
    assert not named & set(split.test_pairs)
    count = len(data.pairs)
    drawn = [scan for step in range(count) for scan in data.scans_at(0, step, 4)]
    assert all(drawn.count(scan) == 4 for scan in data.pairs)


def test_held_out_views_are_never_read(data, monkeypatch):
    seen = set()
    for pack in data.packs:
        original = pack.image
        monkeypatch.setattr(
            pack, "image", lambda e, v, original=original: seen.add(v) or original(e, v)
        )
    for step in range(12):
        data.batch(step, CONFIG)
    assert seen == set(data.split.train_views)


def test_rays_end_on_the_scans_and_carry_their_colours(data):
    """Points at the guide depth of rays that hit lie on the surface z(x, y) of some scan."""
    batch = data.batch(3, CONFIG)
    assert batch.mask.any() and not batch.mask.all()
    assert (batch.colour[~batch.mask] == 0).all()
    assert (batch.colour[batch.mask] > 0).any()
    points = batch.rays.points(batch.guide.unsqueeze(-1)).squeeze(2)
    face = FACE_TO_MOFANERF.inverse().apply(points.numpy())
    for image in range(len(face)):
        scan = (int(batch.faces.person[image]), int(batch.faces.expression[image]))
        vertices = FACE_TO_MOFANERF.inverse().apply(data.vertices[scan])
        on = face[image][batch.mask[image].numpy()]
        nearest = np.linalg.norm(on[:, None] - vertices[None], axis=-1).min(axis=1)
        assert np.median(nearest) < 8.0  # 200 vertices of a disc of 184 mm


def test_vertices_and_mean_face_go_together(data):
    batch = data.batch(0, CONFIG)
    faces = batch.faces
    off = (faces.vertices - faces.canonical).norm(dim=-1) * UNIT
    assert off.mean() < 6.0 and faces.vertices.shape == faces.canonical.shape


def test_a_batch_is_a_function_of_seed_and_step(data):
    config = replace(CONFIG, predicted_share=0.25)
    one, same, other = data.batch(5, config), data.batch(5, config), data.batch(6, config)
    for name in set(vars(one)) - {"faces"}:
        assert torch.equal(getattr(one, name), getattr(same, name))
    assert torch.equal(one.faces.vertices, same.faces.vertices)
    assert torch.equal(one.faces.predicted.vertices, same.faces.predicted.vertices)
    assert not torch.equal(one.directions, other.directions)


@pytest.fixture
def chosen():
    """Pixels for a disc of radius 20 that the places asked for miss, in the corner."""
    row, column = np.mgrid[:64, :64] + 0.5
    head = np.hypot(row - 32, column - 32) < 20
    config = TrainConfig(rays=1000, background_share=0.25)
    camera, places = orbit(0, 0, 800, 150, 64, 64), np.full((600, 2), 12.3)
    pixels, near = choose_pixels(head, places, np.random.default_rng(0), config, camera)
    return head, pixels, near


def test_the_first_pixels_are_those_asked_for_and_the_last_lie_on_the_head(chosen):
    head, pixels, _ = chosen
    assert (pixels[:600] == 12 * 64 + 12).all()
    assert head.ravel()[pixels[700:]].all()


def test_a_share_of_the_rays_lies_round_the_landmarks(data):
    config = replace(CONFIG, rays=100, landmark_share=0.6, landmark_spread=0.0)
    camera = orbit(0, 0, 800, 150, 64, 64)
    scan, rng = data.pairs[0], np.random.default_rng(0)
    places = data.ray_places(scan, camera, rng, config)
    marks = camera.project(data.landmarks[scan])[0]
    assert len(places) == 60
    assert np.abs(places[:, None] - marks).sum(axis=-1).min(axis=1).max() < 1e-9
    spread = data.ray_places(scan, camera, rng, replace(config, landmark_spread=0.025))
    away = np.linalg.norm(spread[:, None] - marks, axis=-1).min(axis=1)
    assert away.mean() > 0 and away.max() < 5 * 0.025 * 64


def test_a_share_of_the_rays_lies_where_the_expression_moves_the_face_and_in_the_mouth(data):
    config = replace(CONFIG, rays=8000, landmark_share=0.0, moving_rays=1.0)
    scan = next(pair for pair in data.pairs if data.split.expressions[pair[1]] == "2_smile")
    camera = orbit(0, 0, 800, 150, 64, 64)
    places = data.ray_places(scan, camera, np.random.default_rng(0), config)
    vertices = camera.project(FACE_TO_MOFANERF.inverse().apply(data.vertices[scan]))[0]
    lips, between = camera.project(data.landmarks[scan][60:68])[0], places[4000:]
    assert (between > lips.min(axis=0) - 0.1).all() and (between < lips.max(axis=0) + 0.1).all()
    gaps, drawn = cKDTree(vertices).query(places[:4000])
    assert gaps.max() < 1e-9
    moved = np.linalg.norm(data.predicted.model.shift[scan[1], data.predicted.rows], axis=-1)
    counts = np.bincount(drawn, minlength=len(vertices))
    np.testing.assert_allclose(counts / 4000, moved / moved.sum(), atol=0.02)


def test_places_that_a_picture_shows_to_be_empty_lie_before_its_surface(data):
    """The made-up faces are height fields over x and y: seen from the front, z tells."""
    scan, pack = data.pairs[0], data.packs[data.pairs[0][0]]
    view = min(data.split.train_views, key=lambda name: abs(pack.camera(name).centre[0]))
    camera, depth = pack.camera(view), pack.depth(data.split.expressions[scan[1]], view)
    places = data.perhaps_air(scan, camera, np.random.default_rng(0), 2000)
    air = in_the_air(places, depth, camera)
    vertices = FACE_TO_MOFANERF.inverse().apply(data.vertices[scan])
    below = vertices[cKDTree(vertices[:, :2]).query(places[:, :2])[1], 2]
    inside = np.hypot(*places[:, :2].T) < 70
    assert 0.1 < air[inside].mean() < 0.6
    assert (places[inside & air, 2] > below[inside & air]).mean() > 0.95  # 10 mm between vertices
    assert not air[inside & (places[:, 2] < below - 10)].any()


def test_no_place_is_asked_for_without_the_term(data):
    weights = replace(CONFIG.weights, empty=0.2)
    assert data.batch(0, CONFIG).places.shape == (8, 0, 3)
    assert data.batch(0, replace(CONFIG, weights=weights, air_points=9)).air.shape == (8, 9)


def test_half_of_the_places_lie_between_the_inner_lips_and_behind_them(data):
    scan, camera = data.pairs[0], orbit(0, 0, 800, 150, 64, 64)
    places = data.perhaps_air(scan, camera, np.random.default_rng(0), 400)
    lips = data.landmarks[scan][60:68]
    behind = places[200:]
    away = behind - camera.centre
    image, marks = camera.project(behind)[0], camera.project(lips)[0]
    assert (image >= marks.min(axis=0) - 0.1).all() and (image <= marks.max(axis=0) + 0.1).all()
    further = np.linalg.norm(away, axis=1) - np.linalg.norm(lips - camera.centre, axis=1).mean()
    assert further.min() > -10 and 50 < further.max() < 70


def test_a_place_is_air_if_the_ray_to_it_is_clear():
    camera = orbit(0, 0, 800, 150, 64, 64)
    depth = np.full((64, 64), 793.0)
    depth[:, :32] = 0.0  # the subject's right: nothing is there
    behind, before, beside, outside = [20, 0, 0], [20, 0, 20], [-20, 0, 0], [900, 0, 0]
    points = np.array([behind, before, beside, outside], float)
    assert in_the_air(points, depth, camera).tolist() == [False, True, True, False]


def test_the_air_is_clear_of_skin_beside_the_ray_as_well():
    """A ball of 100 mm: a ray that grazes it is near to skin long before it meets it."""
    camera = orbit(0, 0, 800, 150, 128, 128)
    rays = camera.directions(camera.image_points(np.arange(128 * 128)))
    square, along = (rays**2).sum(axis=1), -(rays @ camera.centre)
    inner = along**2 - square * ((camera.centre**2).sum() - 100.0**2)
    depth = np.where(inner > 0, (along - np.sqrt(np.maximum(inner, 0))) / square, 0.0)
    points = np.random.default_rng(0).uniform(-150, 150, (20_000, 3))
    air = in_the_air(points, depth.reshape(128, 128), camera)
    away = np.linalg.norm(points, axis=1) - 100
    assert away[air].min() > CLEAR - 0.5
    before = (points[:, 2] > 0) & (away > 4 * CLEAR)
    assert air[before].mean() > 0.98 and not air[away < 0].any()


def test_a_share_lies_along_the_silhouette_on_both_sides_of_it(chosen):
    head, pixels, _ = chosen
    along = np.delete(pixels[600:700], np.s_[::4])  # those are anywhere
    away = np.hypot(along % 64 + 0.5 - 32, along // 64 + 0.5 - 32) - 20
    margin = 12.0 / 800 * orbit(0, 0, 800, 150, 64, 64).intrinsics[0, 0]
    assert abs(away).max() < np.sqrt(2) * (margin + 1)
    assert 0.3 < head.ravel()[along].mean() < 0.7


def test_a_pixel_beside_the_head_borrows_the_depth_of_the_nearest_one_on_it(chosen):
    head, pixels, near = chosen
    away = distance_transform_edt(~head)
    assert (~head.ravel()[pixels]).sum() > 300
    assert (near[head.ravel()[pixels]] == pixels[head.ravel()[pixels]]).all()
    assert head.ravel()[near].all()
    found = np.hypot(near % 64 - pixels % 64, near // 64 - pixels // 64)
    np.testing.assert_allclose(found, away.ravel()[pixels])


def test_a_head_that_fills_the_picture_has_pixels_all_the_same():
    camera, config = orbit(0, 0, 800, 150, 8, 8), TrainConfig(rays=50, background_share=0.5)
    places = np.full((30, 2), 4.0)
    head = np.ones((8, 8), bool)
    pixels, near = choose_pixels(head, places, np.random.default_rng(0), config, camera)
    assert len(pixels) == 50 and (near == pixels).all()


def test_textures_are_averaged():
    texture = np.random.default_rng(0).integers(0, 255, (8, 8, 3), np.uint8)
    mean = averaged(texture, 4)
    assert mean.shape == (3, 4, 4)
    assert abs(mean[:, 0, 0] - texture[:2, :2].mean(axis=(0, 1))).max() <= 0.5


def test_views_that_lack_an_expression_or_a_view_are_refused(rendered, tmp_path):
    settings = {"size": 32, "pitches": [0], "yaws": 6, "expressions": ["1_neutral"]}
    write_views(rendered.data, tmp_path, settings)
    with pytest.raises(DataError, match=r"no views of 2_smile"):
        open_training_set(rendered.codes, rendered.split, tmp_path, 16)
    write_views(rendered.data, tmp_path, settings | {"yaws": 2})
    with pytest.raises(DataError, match=r"no views 0_2"):
        open_training_set(rendered.codes, rendered.split, tmp_path, 16)


def test_no_predicted_faces_unless_asked_for(data):
    assert data.batch(0, CONFIG).faces.predicted is None


def test_predicted_faces_are_untrained_ones_of_the_linear_model(data):
    """Vertices are the model's own for the code beside them; codes are nobody's trained pair."""
    config = replace(CONFIG, predicted_share=0.25)
    plain, mixed = data.batch(2, CONFIG), data.batch(2, config)
    assert mixed.faces.predicted.vertices.shape == (8, 8, 3)
    assert mixed.faces.vertices.shape == (8, 24, 3)
    assert torch.equal(mixed.directions, plain.directions)  # rays are drawn as without
    for step in range(6):
        found = data.batch(step, config).faces.predicted
        for shape, number, vertices, canonical in zip(*vars(found).values(), strict=True):
            known = np.flatnonzero((data.shapes == shape.numpy()).all(axis=1))
            assert all((person, int(number)) not in data.pairs for person in known)
            face = data.predicted.model.vertices(shape.numpy(), int(number), data.predicted.rows)
            away = FACE_TO_MOFANERF.apply(face)[:, None] - vertices.numpy()[None]
            row = np.linalg.norm(away, axis=-1).argmin(axis=0)
            assert np.abs(FACE_TO_MOFANERF.apply(face)[row] - vertices.numpy()).max() < 1e-5
            assert np.abs(data.canonical[row] - canonical.numpy()).max() < 1e-5


def test_vertices_come_up_as_often_as_their_expression_moves_them(data):
    model, rows, choice = data.predicted.model, data.predicted.rows, data.predicted.choice
    smile = data.split.expressions.index("2_smile")
    moved = np.linalg.norm(model.shift[smile, rows], axis=-1)
    rng, parts = np.random.default_rng(0), np.array_split(np.argsort(moved), 5)
    for share in (0.0, 0.5, 1.0):
        counts = np.bincount(choice.draw(rng, smile, 40_000, share), minlength=len(rows))
        expected = share * moved / moved.sum() + (1 - share) / len(rows)
        for part in parts:
            assert abs(counts[part].sum() / 40_000 - expected[part].sum()) < 0.015
    neutral = data.split.expressions.index("1_neutral")
    counts = np.bincount(choice.draw(rng, neutral, 40_000, 1.0), minlength=len(rows))
    assert all(abs(counts[part].sum() / 40_000 - 0.2) < 0.015 for part in parts)


def test_predicted_faces_teach_the_warp(data):
    """The term counts them like other vertices, and its gradient reaches the expression codes."""
    config = replace(CONFIG, predicted_share=0.5)
    faces = data.faces(1, config)
    model = initial_model(from_settings(TrainSettings, {"model": MODEL}, "mofanerf"), data)
    torch.nn.init.normal_(model.fine.warp.head.weight, std=0.1)
    shapes = torch.from_numpy(data.shapes)
    own = model.geometry(shapes[faces.person], model.expression(faces.expression))
    beyond = model.geometry(faces.predicted.shape, model.expression(faces.predicted.expression))
    whole = correspondence(model, faces, own.detach())
    apart = correspondence(model, replace(faces, predicted=None), own)
    vertices, canonical = faces.predicted.vertices, faces.predicted.canonical
    as_own = replace(faces, vertices=vertices, canonical=canonical, predicted=None)
    other = correspondence(model, as_own, beyond)
    torch.testing.assert_close(whole, (apart + other) / 2)
    (gradient,) = torch.autograd.grad(whole, model.expression_codes)
    assert gradient.abs().sum() > 0
