"""Listing scans and people without opening a mesh."""

import os

import pytest

from facemill.data.expressions import EXPRESSIONS
from facemill.data.index import build_index, load_index
from facemill.data.splits import make_split
from facemill.data.tree import in_order, mesh_path, people_in, scans_in
from facemill.errors import DataError
from facemill.files import read_json, write_json


def touched(*paths):
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def test_numbers_in_names_sort_as_numbers():
    names = ["10", "9", "847", "1", "d010", "d9", "Zoë 2", "Zoë 10"]
    assert in_order(names) == ["1", "9", "10", "847", "Zoë 2", "Zoë 10", "d9", "d010"]


def test_both_namings_of_the_tu_tree_are_read(tmp_path):
    touched(
        tmp_path / "1" / "models_reg" / "1_neutral.obj",
        tmp_path / "1" / "models_reg" / "1_neutral.jpg",
        tmp_path / "1" / "dpmap" / "1_neutral.png",
        tmp_path / "2" / "10_dimpler.obj",
        tmp_path / "2" / "2_smile.obj",
    )
    one, two = scans_in(tmp_path / "1"), scans_in(tmp_path / "2")
    assert one["1_neutral"].mesh == "models_reg/1_neutral.obj"
    assert one["1_neutral"].texture == "models_reg/1_neutral.jpg"
    assert list(two) == ["2_smile", "10_dimpler"] and two["2_smile"].texture is None
    assert mesh_path(tmp_path / "1", "1_neutral").name == "1_neutral.obj"
    assert mesh_path(tmp_path / "2", "1_neutral") is None
    assert scans_in(tmp_path / "3") == {}


def test_a_texture_may_be_named_by_the_material(tmp_path):
    touched(tmp_path / "a" / "1_neutral.obj", tmp_path / "a" / "skin.jpg")
    (tmp_path / "a" / "1_neutral.obj.mtl").write_text("newmtl m\nmap_Kd C:\\other\\skin.jpg\n")
    assert scans_in(tmp_path / "a")["1_neutral"].texture == "skin.jpg"
    os.remove(tmp_path / "a" / "skin.jpg")
    assert scans_in(tmp_path / "a")["1_neutral"].texture is None


def test_a_tree_that_is_not_there_names_its_key(tmp_path):
    with pytest.raises(DataError, match="facescape_root"):
        people_in(tmp_path / "none", "facescape_root")
    with pytest.raises(DataError, match="no folder of a person"):
        people_in(tmp_path, "facescape_root")


@pytest.fixture
def tree(tmp_path):
    root = tmp_path / "Gesichter mit Leerzeichen äß"
    for person in ("1", "2", "10"):
        touched(root / person / "1_neutral.obj", root / person / "1_neutral.jpg")
    touched(root / "1" / "2_smile.obj")
    return root


def test_the_index_lists_scans_missing_ones_and_textures(tree, tmp_path, caplog):
    people, expressions = people_in(tree, "facescape_root"), list(EXPRESSIONS[:2])
    assert people == ["1", "2", "10"]
    split = make_split(people, expressions, {"test_people": ["10"]}, 0)
    with caplog.at_level("INFO"):
        index = build_index("facescape", tree, people, expressions, split)
    assert index["people"]["1"]["scans"]["2_smile"] == {"mesh": "2_smile.obj", "texture": None}
    assert index["people"]["1"]["missing"] == []
    assert index["people"]["2"]["missing"] == ["2_smile"]
    assert index["people"]["10"]["split"] == "test"
    assert "2: missing 2_smile" in caplog.text and "1: no texture for 2_smile" in caplog.text
    write_json(tmp_path / "index.json", index)
    assert load_index(tmp_path / "index.json") == index


def test_somebody_without_any_scan_is_an_error(tree):
    (tree / "3").mkdir()
    people, expressions = people_in(tree, "facescape_root"), ["2_smile"]
    split = make_split(people, expressions, {"test_people": 1}, 0)
    with pytest.raises(DataError, match="none of the 1 expressions"):
        build_index("facescape", tree, people, expressions, split)


def test_people_outside_the_split_are_left_out_of_the_index(tree):
    touched(tree / "122" / "1_neutral.obj", tree / "400" / "1_neutral.obj")
    people = people_in(tree, "facescape_root")
    split = make_split(people, ["1_neutral"], {"test_people": "imface"}, 0)
    index = build_index("facescape", tree, people, ["1_neutral"], split)
    assert list(index["people"]) == ["1", "2", "10", "122"]


def test_an_edited_index_that_leaks_is_refused(tree, tmp_path):
    people = people_in(tree, "facescape_root")
    split = make_split(people, ["1_neutral"], {"test_people": ["10"]}, 0)
    index = build_index("facescape", tree, people, ["1_neutral"], split)
    path = tmp_path / "index.json"
    index["split"]["train"].append("10")
    write_json(path, index)
    with pytest.raises(DataError, match="10 in both train and test"):
        load_index(path)
    index["split"]["train"].remove("10")
    index["people"]["10"]["split"] = "train"
    write_json(path, index)
    with pytest.raises(DataError, match="10 is listed as train"):
        load_index(path)
    write_json(path, ["nothing"])
    with pytest.raises(DataError, match="not an index"):
        load_index(path)
    assert read_json(path) == ["nothing"]
