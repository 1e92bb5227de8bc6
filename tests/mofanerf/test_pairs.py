"""Pairs: known by name whatever the order of files, worse views, packs, and what is refused."""

import shutil

import numpy as np
import pytest
from PIL import Image
from rendered_heads import render_views

from facemill.errors import DataError
from facemill.mofanerf.pair_folder import PairFolder
from facemill.mofanerf.pairs import DegradedViews, PairKey, PairPack, write_pairs
from facemill.render.view_pack import ViewPack


def write_tree(folder, names=("train", "gt"), people=("1", "10", "2"), size=(8, 16)):
    """Pictures whose colour tells whose they are, in the published layout."""
    for side, pixels in zip(names, size, strict=True):
        for number, person in enumerate(people):
            for view in ("-30_0", "0_1"):
                path = folder / side / person / "smile" / f"{view}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                colour = np.full((pixels, pixels, 3), 40 * number + 10, np.uint8)
                Image.fromarray(colour).save(path)
    return folder


@pytest.mark.parametrize("names", [("train", "gt"), ("train_A", "train_B")])
def test_pictures_are_paired_by_path(tmp_path, names):
    pairs = PairFolder(write_tree(tmp_path, names))
    assert len(pairs.keys) == 6
    for number, person in enumerate(("1", "10", "2")):
        pair = pairs.read(PairKey(person, "smile", "-30_0"))
        assert pair.coarse.shape == (8, 8, 3) and pair.truth.shape == (16, 16, 4)
        assert (pair.coarse == 40 * number + 10).all()
        assert (pair.truth[..., :3] == 40 * number + 10).all()
        assert pair.mask.all() and pair.surface is None


def test_folders_that_do_not_match_are_refused(tmp_path):
    folder = write_tree(tmp_path)
    (folder / "gt" / "10" / "smile" / "0_1.png").unlink()
    with pytest.raises(DataError, match=r"10/smile/0_1\.png has no partner"):
        PairFolder(folder)
    (folder / "train" / "10" / "smile" / "0_1.png").unlink()
    assert len(PairFolder(folder).keys) == 5
    (folder / "train" / "stray.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"stray\.png: expected train/<person>"):
        PairFolder(folder)
    with pytest.raises(DataError, match="neither train and gt nor"):
        PairFolder(tmp_path / "train")


def test_a_truncated_picture_is_named(tmp_path):
    folder = write_tree(tmp_path)
    path = folder / "gt" / "1" / "smile" / "0_1.png"
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(DataError, match=r"gt/1/smile/0_1\.png: not a whole picture"):
        PairFolder(folder).read(PairKey("1", "smile", "0_1"))


def test_worse_views_are_half_as_large_and_depend_on_names_alone(views):
    source = DegradedViews(views, seed=0)
    assert len(source.keys) == 8
    key = PairKey("d002", "1_neutral", "0_2")
    pair = source.read(key)
    alone = DegradedViews({"d002": views["d002"]}, seed=0).read(key)
    assert np.array_equal(pair.coarse, alone.coarse)
    assert not np.array_equal(pair.coarse, DegradedViews(views, seed=1).read(key).coarse)
    image = ViewPack(views["d002"]).image("1_neutral", "0_2")
    assert np.array_equal(pair.truth, image * (image[..., 3:] > 0))
    assert pair.coarse.shape == (32, 32, 3) and pair.surface.shape == (32, 32, 4)
    clean = image[..., :3].reshape(32, 2, 32, 2, 3).mean(axis=(1, 3))
    error = np.abs(pair.coarse - clean)[pair.mask[::2, ::2]]
    assert 2 < error.mean() < 15
    assert not pair.coarse[pair.surface[..., 0] == 0][:50].any() or not pair.mask.all()
    length = np.linalg.norm(pair.surface[..., 1:].astype(float), axis=2)
    assert np.abs(length[length > 0] - 1).max() < 0.01
    middle = pair.surface[14:18, 14:18, 3].astype(float)
    assert middle.mean() < -0.5, "what faces the camera has its normal against the view direction"


def test_a_pack_gives_back_what_went_in(views, tmp_path):
    source = DegradedViews(views, seed=0)
    keys = [source.keys[5], source.keys[0], source.keys[3]]
    write_pairs(tmp_path / "pack", source, keys)
    pack = PairPack(tmp_path / "pack")
    assert pack.keys == tuple(keys) and pack.has_surface
    assert pack.people == ("d002", "d001")
    for key in keys:
        there, back = vars(source.read(key)), vars(pack.read(key))
        cameras = [vars(parts.pop("camera")) for parts in (there, back)]
        for name, value in (*there.items(), *cameras[0].items()):
            assert np.array_equal((back | cameras[1])[name], value), name
    with pytest.raises(DataError, match="no pair d001/1_neutral/7_7"):
        pack.read(PairKey("d001", "1_neutral", "7_7"))


def test_packs_that_are_refused(views, tmp_path):
    source = DegradedViews(views, seed=0)
    with pytest.raises(DataError, match="2 pairs, 1 different"):
        write_pairs(tmp_path / "twice", source, [source.keys[0]] * 2)
    assert not (tmp_path / "twice").exists()
    write_pairs(tmp_path / "pack", source, source.keys[:3])
    for damage, message in (
        (lambda f: (f / "coarse.npy").write_bytes((f / "coarse.npy").read_bytes()[:900]), "whole"),
        (lambda f: (f / "truth.npy").unlink(), "no such file"),
        (lambda f: (f / "pairs.json").write_text('{"pairs": [["a", "b"]]}'), "misstates"),
        (lambda f: np.save(f / "truth.npy", np.zeros((2, 4, 4, 4), np.uint8)), "2 pictures in"),
    ):
        copy = tmp_path / "copy"
        shutil.copytree(tmp_path / "pack", copy)
        damage(copy)
        with pytest.raises(DataError, match=message):
            PairPack(copy)
        shutil.rmtree(copy)


def test_pictures_of_several_sizes_make_no_pack(tmp_path):
    folder = write_tree(tmp_path / "tree")
    Image.fromarray(np.zeros((12, 12, 3), np.uint8)).save(folder / "train/2/smile/0_1.png")
    source = PairFolder(folder)
    with pytest.raises(DataError, match="2/smile/0_1: coarse of shape"):
        write_pairs(tmp_path / "pack", source, source.keys)
    assert not (tmp_path / "pack").exists()


def test_views_that_cannot_be_halved_are_refused(tmp_path):
    pack = render_views(tmp_path, "d001", 33, yaws=1)
    source = DegradedViews({"d001": pack}, seed=0)
    with pytest.raises(DataError, match="33 x 33 pixels cannot be halved"):
        source.read(source.keys[0])
