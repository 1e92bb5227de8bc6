"""Pairs from a trained field: who is in them, half size, views beside, what is not looked at."""

import numpy as np
import pytest
import torch
from made_up_people import MODEL, VIEWS, write_views

from facemill.errors import DataError
from facemill.files import sha256
from facemill.mesh.frames import HEAD_CENTRE
from facemill.mofanerf import refine_pairs
from facemill.mofanerf.config import ModelConfig
from facemill.mofanerf.faces import Faces
from facemill.mofanerf.model import MoFaNeRF, save_model
from facemill.mofanerf.pairs import PairPack
from facemill.mofanerf.refine_config import PairsSettings, RefinePairsConfig
from facemill.mofanerf.refine_pairs import SeenSurface, make_pairs, training_keys
from facemill.mofanerf.splits import read_view_split
from facemill.render.reprojection import View, reprojection_error
from facemill.render.view_pack import ViewPack
from facemill.training.checkpoint import Checkpoints

SETTINGS = {
    "pairs": {"expressions": 2, "views": 2},
    "evaluate": {"people": 1, "views": 1},
    "sampling": {"samples": 5},
}


@pytest.fixture(scope="module")
def field(rendered, tmp_path_factory):
    """An untrained field with the codes of the made-up people."""
    path = tmp_path_factory.mktemp("field") / "model.safetensors"
    split = read_view_split(rendered.split)
    torch.manual_seed(0)
    model = MoFaNeRF(ModelConfig(**MODEL), len(split.expressions))
    extra = {"people": list(split.train_people)}
    save_model(path, model, split.expressions, sha256(rendered.codes), extra)
    return path


@pytest.fixture(scope="module")
def packs(rendered, field, tmp_path_factory):
    """Training pairs and held-out ones."""
    folder = tmp_path_factory.mktemp("pairs")
    made = (field, rendered.codes, rendered.split, rendered.views, rendered.folder / "faces")
    make_pairs(*made, SETTINGS, folder / "train", folder / "held_out")
    return PairPack(folder / "train"), PairPack(folder / "held_out")


def test_training_pairs_are_what_the_field_was_trained_on_at_half_size(packs, rendered):
    split = read_view_split(rendered.split)
    pack, _ = packs
    assert set(pack.people) == set(split.train_people)
    for key in pack.keys:
        assert split.trains_on(key.person, key.expression) and key.view in split.train_views
    scans = [(key.person, key.expression) for key in pack.keys]
    assert {scans.count(scan) for scan in scans} == {2}
    assert len(scans) == sum(
        2 * min(2, sum(split.trains_on(person, e) for e in split.expressions))
        for person in split.train_people
    )
    pair = pack.read(pack.keys[0])
    assert pair.coarse.shape == (16, 16, 3) and pair.surface.shape == (32, 32, 4)
    with ViewPack(rendered.views / f"{pack.keys[0].person}.zip") as views:
        image = views.image(*pack.keys[0][1:])
    assert np.array_equal(pair.truth, image * (image[..., 3:] > 0))
    assert pair.camera is None and pair.depth is None


def test_held_out_pairs_stand_beside_views_that_nobody_trained_on(packs, rendered):
    split = read_view_split(rendered.split)
    _, pack = packs
    assert set(split.test_people) < set(pack.people)
    assert {pair[:2] for pair in pack.keys} >= set(split.test_pairs)
    alone = [key for key in pack.keys if "+" not in key.view]
    assert {key.view for key in alone} <= set(split.test_views)
    assert len(pack.keys) == 2 * len(alone)
    for key in alone:
        pair, beside = pack.read(key), pack.read(key._replace(view=f"{key.view}+9"))
        with ViewPack(rendered.views / f"{key.person}.zip") as views:
            image = views.image(key.expression, key.view)
            depth = views.depth(key.expression, key.view)
        assert np.array_equal(pair.truth, image * (image[..., 3:] > 0))
        assert np.array_equal(pair.depth, depth)
        turned = pair.camera.turned(9.0, HEAD_CENTRE)
        assert np.allclose(beside.camera.extrinsics, turned.extrinsics)
        sides = [View(p.truth[..., :3] / 255, p.depth, p.camera) for p in (pair, beside)]
        wrong = View(sides[1].colour, sides[1].depth, pair.camera)
        assert reprojection_error(*sides) < 0.04 < 2 * reprojection_error(sides[0], wrong)


def test_renders_of_a_killed_run_are_not_made_again(packs, rendered, field, tmp_path, monkeypatch):
    made, folder = [], tmp_path / "work"
    render = Faces.render

    def killed_at_the_fourth(self, *args):
        made.append(args)
        if len(made) == 4:
            raise KeyboardInterrupt
        return render(self, *args)

    monkeypatch.setattr(Faces, "render", killed_at_the_fourth)
    of = (field, rendered.codes, rendered.split, rendered.views, rendered.folder / "faces")
    out = tmp_path / "train", tmp_path / "held_out"
    with pytest.raises(KeyboardInterrupt):
        make_pairs(*of, SETTINGS, *out, folder)
    cut = min(folder.glob("*.npz"))
    assert len(list(folder.glob("*.npz"))) == 3 and not out[0].exists()
    cut.write_bytes(cut.read_bytes()[:-100])
    make_pairs(*of, SETTINGS, *out, folder)
    assert len(made) == 4 + len(packs[0].keys) + len(packs[1].keys) - 2, "two were there"
    assert not folder.exists()
    for own, pack in zip(out, packs, strict=True):
        assert PairPack(own).checksums == pack.checksums


def test_renders_of_another_field_are_not_taken(rendered, field, tmp_path):
    work = tmp_path / "work"
    of = (PairsSettings(), field, rendered.codes, torch.device("cpu"))
    own = refine_pairs._fingerprint(*of)
    assert own != refine_pairs._fingerprint(of[0], rendered.codes, *of[2:])
    Checkpoints(work, own)
    (work / "a.npz").write_text("a render")
    Checkpoints(work, own)
    assert (work / "a.npz").exists()
    Checkpoints(work, own | {"model": "another"})
    assert not (work / "a.npz").exists()


def test_the_draw_depends_on_seed_and_names_alone(rendered):
    split = read_view_split(rendered.split)
    views = {p: ViewPack(rendered.views / f"{p}.zip") for p in split.train_people}
    one = PairsSettings(pairs=RefinePairsConfig(expressions=1, views=1))
    two = PairsSettings(pairs=RefinePairsConfig(people=2, expressions=2, views=1))
    first, second = (training_keys(split, views, config) for config in (one, two))
    assert len(first) == len(split.train_people) and len({key.person for key in second}) == 2
    people = {key.person for key in second}
    assert {key for key in first if key.person in people} <= set(second)
    assert training_keys(split, views, PairsSettings(pairs=one.pairs, seed=1)) != first


def test_surface_channels_show_a_face_that_looks_at_the_camera(rendered, field):
    split = read_view_split(rendered.split)
    faces = Faces(field, rendered.codes, torch.device("cpu"))
    person = split.train_people[0]
    with ViewPack(rendered.views / f"{person}.zip") as views:
        camera = views.camera("0_3")
    surface = SeenSurface(faces.surface(person, split.expressions[0]))
    seen = surface.channels(camera).astype(float)
    length = np.linalg.norm(seen[..., 1:], axis=2)
    assert set(np.unique(np.round(length, 2))) == {0.0, 1.0}
    assert seen[length > 0][:, 3].mean() < -0.5
    assert not seen[length == 0].any()


def test_views_without_a_half_are_refused_by_their_key(rendered, field, tmp_path):
    write_views(rendered.data, tmp_path / "views", {**VIEWS, "size": 33})
    made = (field, rendered.codes, rendered.split, tmp_path / "views", rendered.folder / "faces")
    with pytest.raises(DataError, match=r"33 x 33 pixels cannot be halved.*views\.size"):
        make_pairs(*made, SETTINGS, tmp_path / "train", tmp_path / "held_out")
    assert not (tmp_path / "train").exists()
