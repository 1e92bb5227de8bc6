"""Batches: the right pixels, the right colours, nothing that is held out."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from made_up_people import MODEL, TRAIN, write_views
from scipy.ndimage import distance_transform_edt

from facemill.errors import DataError
from facemill.mesh.frames import FACE_TO_MOFANERF
from facemill.mofanerf.config import TrainConfig, TrainSettings
from facemill.mofanerf.data import averaged, choose_pixels, open_training_set
from facemill.mofanerf.losses import correspondence
from facemill.mofanerf.rays import UNIT
from facemill.mofanerf.train import initial_model
from facemill.render.cameras import orbit
from facemill.training.settings import from_settings

CONFIG = from_settings(TrainConfig, TRAIN | {"images": 8, "rays": 64}, "train")


@pytest.fixture(scope="module")
def data(rendered):
    return open_training_set(rendered.codes, rendered.split, rendered.views, 16)


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
    """Pixels for a disc of radius 20 that landmarks in the corner of the picture miss."""
    row, column = np.mgrid[:64, :64] + 0.5
    head = np.hypot(row - 32, column - 32) < 20
    config = TrainConfig(rays=1000, landmark_share=0.6, background_share=0.25)
    camera, marks = orbit(0, 0, 800, 150, 64, 64), np.full((68, 2), 12.0)
    pixels, near = choose_pixels(head, marks, np.random.default_rng(0), config, camera)
    return head, pixels, near


def test_a_share_of_the_pixels_lies_round_the_landmarks(chosen):
    head, pixels, _ = chosen
    away = np.hypot(pixels % 64 + 0.5 - 12, pixels // 64 + 0.5 - 12)
    assert (away[:600] < 4 * 0.025 * 64 + 1).mean() > 0.99
    assert head.ravel()[pixels[700:]].all()


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
    marks = np.full((68, 2), 4.0)
    head = np.ones((8, 8), bool)
    pixels, near = choose_pixels(head, marks, np.random.default_rng(0), config, camera)
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
