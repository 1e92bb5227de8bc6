"""Shape codes, predicted surfaces, textures; what is held out stays out."""

import json
import shutil
from dataclasses import asdict, replace

import numpy as np
import pytest
from made_up_people import CODES, SEEN
from PIL import Image

from facemill.data.packs import FacePack
from facemill.errors import ConfigError, DataError
from facemill.files import write_json
from facemill.mesh.surface import Mesh
from facemill.mofanerf.codes import make_codes, neutral_texture
from facemill.mofanerf.config import CodesConfig
from facemill.mofanerf.face_model import CodesFile, fit_face_model
from facemill.mofanerf.splits import content_hash, make_view_split, read_view_split


def linear_people(count: int, seed: int = 0) -> tuple[dict, Mesh]:
    """Scans that follow a linear model of three components exactly, and two expressions."""
    rng = np.random.default_rng(seed)
    mean, basis, smile = (
        rng.normal(size=(40, 3)),
        rng.normal(size=(3, 40, 3)),
        rng.normal(size=(40, 3)),
    )
    scans = {}
    for person in range(count):
        z = rng.normal(size=3)
        face = 50 * mean + np.tensordot(z, basis, 1)
        scans[f"p{person}", "1_neutral"] = face
        scans[f"p{person}", "2_smile"] = face + smile
    return scans, Mesh(mean, np.array([[0, 1, 2]]))


def test_codes_have_unit_variance_and_rebuild_the_faces():
    scans, mesh = linear_people(12)
    model = fit_face_model(scans, ("1_neutral", "2_smile"), mesh, CodesConfig(shape_share=1 - 1e-9))
    assert len(model.basis) == 3
    z = np.stack([model.code(scans[f"p{i}", "1_neutral"]) for i in range(12)])
    np.testing.assert_allclose(z.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(z.std(axis=0), 1, atol=1e-3)
    for i, row in enumerate(z):
        for number, expression in enumerate(("1_neutral", "2_smile")):
            predicted = model.predict(row, number).vertices
            np.testing.assert_allclose(predicted, scans[f"p{i}", expression], atol=1e-2)


def test_a_new_face_of_the_same_family_is_projected_onto_itself():
    scans, mesh = linear_people(13)
    known = {key: scan for key, scan in scans.items() if key[0] != "p12"}
    model = fit_face_model(known, ("1_neutral", "2_smile"), mesh, CodesConfig(shape_share=1 - 1e-9))
    z = model.code(scans["p12", "1_neutral"])
    assert (abs(z) < 3).all()
    np.testing.assert_allclose(model.predict(z, 1).vertices, scans["p12", "2_smile"], atol=1e-2)


def test_few_components_are_kept_where_few_tell_the_faces_apart():
    scans, mesh = linear_people(12)
    model = fit_face_model(scans, ("1_neutral",), mesh, CodesConfig(shape_share=0.3))
    assert len(model.basis) == 1


def test_held_out_people_and_pairs_do_not_touch_the_codes(rendered, tmp_path):
    """Other meshes of held-out people and pairs leave the model of the training people as it is."""
    split = read_view_split(rendered.split)
    faces = tmp_path / "faces"
    shutil.copytree(rendered.data.faces(), faces)
    before = CodesFile(rendered.codes).model()
    held = {*split.test_pairs, *((p, e) for p in split.test_people for e in SEEN)}
    for person, expression in held:
        path = faces / f"{person}.npz"
        with np.load(path) as arrays:
            changed = dict(arrays)
        changed[f"{expression}/vertices"] = changed[f"{expression}/vertices"] + 5
        np.savez(path, **changed)
    out = tmp_path / "codes.npz"
    make_codes(rendered.data.index, faces, rendered.views, CODES, out, tmp_path / "split.json")
    after = CodesFile(out).model()
    for name, value in vars(before).items():
        np.testing.assert_array_equal(value, getattr(after, name), err_msg=name)


def test_the_file_holds_codes_textures_and_vertices_of_training_scans_alone(rendered):
    codes, split = CodesFile(rendered.codes), read_view_split(rendered.split)
    assert split.expressions == SEEN and len(split.test_pairs) == 2
    for person in (*split.train_people, *split.test_people):
        assert codes.shape(person).shape == (50,)
        assert codes.texture(person).shape == (512, 512, 3)
        for expression in split.expressions:
            trained = split.trains_on(person, expression)
            assert (f"correspondence/{person}/{expression}" in codes) == trained


def test_predicted_surfaces_are_near_the_scans(rendered):
    codes, split = CodesFile(rendered.codes), read_view_split(rendered.split)
    model = codes.model()
    for person in split.train_people:
        pack = FacePack(rendered.data.faces(person))
        for number, expression in enumerate(split.expressions):
            found = model.predict(codes.shape(person), number).vertices
            off = np.linalg.norm(found - pack.registered(expression).vertices, axis=1)
            assert off.mean() < 1.0, (person, expression)


def test_the_split_is_the_same_again_and_keeps_neighbours_of_held_out_views(rendered, tmp_path):
    again = tmp_path / "split.json"
    make_codes(
        rendered.data.index, rendered.data.faces(), rendered.views, CODES, tmp_path / "c.npz", again
    )
    assert again.read_bytes() == rendered.split.read_bytes()
    split = read_view_split(again)
    for view in split.test_views:
        pitch, number = view.split("_")
        assert {f"{pitch}_{int(number) + s}" for s in (-1, 1)} <= set(split.train_views)


def test_pairs_leave_neutral_faces_and_half_of_every_expression():
    people, expressions = [f"p{i}" for i in range(8)], ["1_neutral", "2_smile", "16_grin"]
    present = {(p, e) for p in people for e in expressions}
    config = CodesConfig(held_out_pairs=100, held_out_views=2)
    views = [f"0_{i}" for i in range(9)]
    split = make_view_split(people, ["x"], expressions, views, present, config)
    assert len(split.test_pairs) >= 4
    assert all(expression != "1_neutral" for _, expression in split.test_pairs)
    for expression in expressions:
        left = [p for p in people if split.trains_on(p, expression)]
        assert len(left) >= 4
    moved = make_view_split(people, ["x"], expressions, views, present, replace(config, seed=1))
    assert moved.test_views != split.test_views or moved.test_pairs != split.test_pairs


def test_leaks_and_edited_splits_are_refused(rendered, tmp_path):
    split = read_view_split(rendered.split)
    path = tmp_path / "split.json"
    for change in (
        {"test_views": split.train_views[:1]},
        {"test_people": split.train_people[:1]},
        {"test_pairs": (("nobody", "2_smile"),)},
    ):
        leaking = replace(split, **change)
        write_json(path, asdict(replace(leaking, hash=content_hash(leaking))))
        with pytest.raises(DataError, match=r"held out|held-out"):
            read_view_split(path)
    write_json(path, asdict(replace(split, seed=9)))
    with pytest.raises(DataError, match="does not belong to its content"):
        read_view_split(path)
    path.write_text("{}")
    with pytest.raises(DataError, match="not a split of views"):
        read_view_split(path)


def test_more_held_out_views_than_there_are_is_refused():
    with pytest.raises(ConfigError, match="held_out_views: found 3 of 3"):
        make_view_split(
            ["a"], [], ["1_neutral"], ["0_0", "0_1", "0_2"], set(), CodesConfig(held_out_views=3)
        )


def test_textures_are_averaged_and_must_be_square(tmp_path):
    image = np.random.default_rng(0).integers(0, 255, (1024, 1024, 3), np.uint8)
    path, manifest = tmp_path / "skin.png", tmp_path / "p.json"
    write_json(manifest, {"scans": {"1_neutral": {"texture": str(path)}}})
    Image.fromarray(image).save(path)
    expected = image.reshape(512, 2, 512, 2, 3).mean(axis=(1, 3))
    assert abs(neutral_texture(manifest, "p") - expected).max() <= 1.0
    Image.fromarray(image[:500]).save(path)
    with pytest.raises(DataError, match=r"skin\.png: 1024 x 500 pixels; expected a square"):
        neutral_texture(manifest, "p")
    write_json(manifest, {"scans": {"1_neutral": {"texture": None}}})
    with pytest.raises(DataError, match="p has no texture for 1_neutral"):
        neutral_texture(manifest, "p")


def test_files_of_other_kinds_are_no_codes(tmp_path):
    np.savez(tmp_path / "other.npz", x=np.zeros(3))
    with pytest.raises(DataError, match="these are no codes"):
        CodesFile(tmp_path / "other.npz")


def test_the_split_file_is_plain_json(rendered):
    content = json.loads(rendered.split.read_text())
    assert content["hash"] and set(content["train_people"]) == set(rendered.data.train)
