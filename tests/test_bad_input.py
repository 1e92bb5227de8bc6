"""The table of inputs that go wrong, each tried by the command that meets it first.

Each ends in one line that names the file or key, before any result is written. All paths have
spaces and letters outside ASCII. What Snakemake itself refuses is tried in tests/workflow.
"""

import json

import numpy as np
import pytest
from commands import run
from synthetic_faces import disc, face, write_dataset

from facemill.configuration import checked, load_schema
from facemill.data.topology import Topology, save_topology
from facemill.errors import ConfigError
from facemill.mesh.io import write_obj
from facemill.mesh.surface import Mesh

EXPRESSIONS = ["1_neutral", "2_smile"]


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A whole person, two expressions, and the topology beside it."""
    folder = tmp_path_factory.mktemp("source") / "Köpfe von früher"
    points, faces = disc()
    places = np.zeros((68, 2))
    across = np.linspace(-70, 70, 17)
    places[:17] = np.column_stack([across, -75 + 0.01 * across**2])
    places[17:27] = np.column_stack([np.linspace(-50, 50, 10), np.full(10, 45)])
    places[36], places[45], places[48], places[54] = (-45, 32), (45, 32), (-25, -40), (25, -40)
    nearest = np.linalg.norm(points[:, None] - places, axis=2).argmin(axis=0)
    topology = Topology("disc", len(points), nearest, "tests", faces=faces)
    save_topology(topology, folder / "topology" / "disc.npz")
    for expression in EXPRESSIONS:
        bare = face(np.zeros(4), expression)
        mesh = Mesh(bare.vertices, bare.faces, points / 200 + 0.5, bare.faces)
        write_obj(folder / "tree" / "p 1" / f"{expression}.obj", mesh)
    return folder


@pytest.fixture
def person(source, tmp_path):
    """A copy of the person that a test may spoil."""
    import shutil

    return shutil.copytree(source / "tree" / "p 1", tmp_path / "têtes gâtées" / "p 1")


def prepare(repository, capsys, source, person) -> tuple[int, str]:
    out = person.parent.parent / "résultats"
    return run(
        repository, capsys, "mesh_prepare",
        "--person", "p 1", "--tree-person", person, "--topology", source / "topology",
        "--settings", json.dumps({"expressions": EXPRESSIONS}),
        "--pack", out / "p 1.npz", "--manifest", out / "p 1.json", "--work", out / "work",
    )  # fmt: skip


def replaced(path, line, text):
    lines = path.read_text().splitlines()
    lines[line] = text
    path.write_text("\n".join(lines) + "\n")


def scaled(path, factor):
    expression = path.stem
    mesh = face(np.zeros(4), expression)
    write_obj(path, Mesh(mesh.vertices * factor, mesh.faces))


def landmarks(path, count):
    rows = face(np.zeros(4), path.stem).vertices[:count]
    text = "\n".join(" ".join(map(str, row)) for row in rows)
    path.with_suffix(".landmarks.txt").write_text(text + "\n")


SCANS = {
    "empty OBJ": (lambda path: path.write_text(""), "empty"),
    "NaN vertex": (lambda path: replaced(path, 4, "v nan 0 0"), "2_smile.obj"),
    "face index out of range": (lambda path: replaced(path, -1, "f 1 2 999999"), "names vertex"),
    "unknown vertex count": (
        lambda path: path.write_text("v 0 0 0\n" + path.read_text()),
        "vertices",
    ),
    "landmark file of 67 points": (lambda path: landmarks(path, 67), "67"),
    "metres for millimetres": (lambda path: scaled(path, 0.001), "2_smile.obj"),
    "ten times too small": (lambda path: scaled(path, 0.1), "2_smile.obj"),
    "ten times too large": (lambda path: scaled(path, 10.0), "2_smile.obj"),
}


@pytest.mark.parametrize("what", SCANS)
def test_a_broken_scan_is_one_clear_error(repository, capsys, source, person, what):
    spoil, word = SCANS[what]
    spoil(person / "2_smile.obj")
    status, messages = prepare(repository, capsys, source, person)
    assert status == 1
    last = messages.strip().splitlines()[-1]
    assert "error:" in messages and "Traceback" not in messages
    assert "2_smile" in messages and word in messages, last
    assert not list(person.parent.parent.rglob("p 1.npz"))


def test_a_missing_expression_is_a_line_and_no_error(repository, capsys, source, person):
    (person / "2_smile.obj").unlink()
    status, _ = prepare(repository, capsys, source, person)
    assert status == 0
    manifest = json.loads((person.parent.parent / "résultats" / "p 1.json").read_text())
    assert manifest["scans"]["2_smile"]["status"] == "missing"


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dataset") / "données à lire"
    return write_dataset(folder, train=2, test=1, rows=200)


def test_a_truncated_pack_is_named(repository, capsys, dataset, tmp_path):
    person = dataset.train[0]
    cut = tmp_path / "coupé" / f"{person}.npy"
    cut.parent.mkdir()
    whole = dataset.samples(person)
    cut.write_bytes(whole.read_bytes()[:1000])
    cut.with_suffix(".json").write_bytes(whole.with_suffix(".json").read_bytes())
    status, messages = run(
        repository, capsys, "imface_layout",
        "--faces", dataset.faces(person), "--samples", cut, "--person", person,
        "--out", tmp_path / "out",
    )  # fmt: skip
    assert status == 1 and "Traceback" not in messages
    assert f"{person}.npy" in messages
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("content", [None, b"not a picture"])
def test_a_texture_that_is_missing_or_no_image_is_named(
    repository, capsys, source, person, tmp_path, content
):
    assert prepare(repository, capsys, source, person)[0] == 0
    out = person.parent.parent / "résultats"
    texture = tmp_path / "Haut.jpg"
    if content is not None:
        texture.write_bytes(content)
    manifest = json.loads((out / "p 1.json").read_text())
    for scan in manifest["scans"].values():
        scan["texture"] = str(texture)
    (out / "p 1.json").write_text(json.dumps(manifest))
    status, messages = run(
        repository, capsys, "views_render",
        "--faces", out / "p 1.npz", "--manifest", out / "p 1.json",
        "--settings", json.dumps({"size": 16, "pitches": [0], "yaws": 1}),
        "--pack", out / "views.zip", "--manifest-out", out / "views.json",
    )  # fmt: skip
    assert status == 1 and "Traceback" not in messages
    assert "Haut.jpg" in messages
    assert not (out / "views.zip").exists()


def test_an_id_in_two_splits_is_named(repository, capsys, dataset, tmp_path):
    index = json.loads(dataset.index.read_text())
    leaked = index["split"]["test"][0]
    index["split"]["train"].append(leaked)
    path = tmp_path / "index.json"
    path.write_text(json.dumps(index))
    status, messages = run(
        repository, capsys, "baseline_train",
        "--index", path, "--faces", dataset.faces(), "--out", tmp_path / "model.npz",
    )  # fmt: skip
    assert status == 1 and "Traceback" not in messages
    assert leaked in messages and "test" in messages
    assert not (tmp_path / "model.npz").exists()


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"split": {"test_poeple": 3}}, "split.test_poeple is unknown; did you mean"),
        ({"sdf": {"surface_points": 3}}, "sdf.surface_points is 3; expected a whole number from"),
    ],
)
def test_a_wrong_key_is_named(repository, config, message):
    schema = load_schema(repository / "workflow/schemas/config.schema.yaml")
    with pytest.raises(ConfigError) as caught:
        checked(config, schema)
    assert message in str(caught.value)
