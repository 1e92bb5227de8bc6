"""Sources behind one interface: light, and clear about what is missing."""

import subprocess
import sys

import pytest

from facemill.data import sources
from facemill.data.expressions import EXPRESSIONS
from facemill.errors import ConfigError, FacemillError


def test_listing_people_loads_no_heavy_library():
    code = (
        "import sys; from facemill.data import sources, splits, index, facescape;"
        "people = sources.people({'dataset': 'demo', 'people': 3});"
        "splits.make_split(people, ['1_neutral'], {'test_people': 1}, 0);"
        "heavy = {'torch', 'scipy', 'matplotlib', 'trimesh', 'PIL', 'pandas', 'igl'};"
        "found = heavy & set(sys.modules); assert not found, found"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_drawn_people_are_counted_or_named():
    assert sources.people({"dataset": "demo", "people": 3}) == ["d001", "d002", "d003"]
    named = {"dataset": "ict", "people": ["i1000", "i012"]}
    assert sources.people(named) == ["i012", "i1000"]
    with pytest.raises(ConfigError, match="give a count"):
        sources.people({"dataset": "demo", "people": None})
    with pytest.raises(ConfigError, match="x1 is no name"):
        sources.people({"dataset": "demo", "people": ["x1"]})


def test_facescape_people_are_the_numbered_folders(tmp_path):
    for name in ("2", "10", "1", "toolkit"):
        (tmp_path / "Ordner ä" / name).mkdir(parents=True)
    settings = {"dataset": "facescape", "facescape_root": str(tmp_path / "Ordner ä")}
    assert sources.people(settings) == ["1", "2", "10"]
    assert sources.people(settings | {"people": 2}) == ["1", "2"]
    assert sources.people(settings | {"people": [10, "1"]}) == ["1", "10"]
    assert sources.tree(settings) == tmp_path / "Ordner ä"
    with pytest.raises(ConfigError, match="people: 7 not found"):
        sources.people(settings | {"people": [7]})
    with pytest.raises(ConfigError, match="people: 9 asked for"):
        sources.people(settings | {"people": 9})


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        ({"dataset": "facescape"}, "facescape_root"),
        ({"dataset": "facescape", "facescape_root": "/none/of this"}, "facescape_root"),
        ({"dataset": "ict", "people": 2, "ict_model": "/none"}, "ict_model"),
        ({"dataset": "facescap"}, "did you mean facescape"),
    ],
)
def test_a_folder_that_is_not_there_names_its_key(settings, key):
    with pytest.raises(FacemillError, match=key):
        sources.people(settings)


def test_expressions_come_in_order_and_unknown_ones_are_refused():
    assert sources.expressions({"dataset": "demo", "expressions": "all"}) == list(EXPRESSIONS)
    some = {"dataset": "demo", "expressions": ["10_dimpler", "2_smile"]}
    assert sources.expressions(some) == ["2_smile", "10_dimpler"]
    with pytest.raises(ConfigError, match="did you mean 2_smile"):
        sources.expressions({"dataset": "demo", "expressions": ["2_smiles"]})


def test_results_lie_under_the_data_sets_name(tmp_path):
    assert sources.results_name({"dataset": "demo"}) == "demo"
    assert sources.results_name({"dataset": str(tmp_path / "Köpfe neu")}) == "Köpfe_neu"
    assert sources.results_name({"dataset": "demo", "name": "smoke"}) == "smoke"
    folder = {"dataset": str(tmp_path / "Köpfe neu")}
    assert str(sources.tree(folder)) == "results/Köpfe_neu/aligned"


def test_a_folder_lists_files_and_folders_of_scans(tmp_path):
    for name in ("Ana.obj", "Ana.mtl", "Ben.PLY", "2/1_neutral.glb", "2/2_smile.glb", "x/a.txt"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x")
    settings = {"dataset": str(tmp_path)}
    assert sources.people(settings) == ["2", "Ana", "Ben"]
    assert sources.expressions(settings) == ["1_neutral", "2_smile"]


def test_facescape_people_are_never_written(tmp_path):
    (tmp_path / "1").mkdir()
    settings = {"dataset": "facescape", "facescape_root": str(tmp_path)}
    with pytest.raises(ConfigError, match="read where it lies"):
        sources.write_person(settings, "1", tmp_path / "out")
    assert not (tmp_path / "out").exists()
