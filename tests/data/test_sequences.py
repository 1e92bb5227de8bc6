"""What source, target and weights may name: folders, single meshes, tables; the rest in a line."""

import pytest

from facemill.data.sequences import landmarks_beside, mesh_file, mesh_sequence, table_file
from facemill.errors import ConfigError


@pytest.fixture
def folder(tmp_path):
    """A sequence of three frames with a neutral, and a file that is no mesh."""
    made = tmp_path / "take"
    made.mkdir()
    for name in ("1_neutral.obj", "f2.obj", "f10.obj", "f1.ply", "notes.txt", ".hidden.obj"):
        (made / name).write_text("x")
    return made


def test_frames_come_in_order_without_the_neutral(folder):
    found = mesh_sequence(str(folder), None)
    assert found.name == "take" and found.neutral.name == "1_neutral.obj"
    assert [path.name for path in found.frames] == ["f1.ply", "f2.obj", "f10.obj"]
    assert found.files == (found.neutral, *found.frames)


def test_one_mesh_has_its_neutral_beside_it(folder):
    found = mesh_sequence(str(folder / "f2.obj"), None)
    assert (found.name, found.neutral.name) == ("f2", "1_neutral.obj")
    assert found.frames == (folder / "f2.obj",)


def test_the_neutral_can_be_named(folder):
    found = mesh_sequence(str(folder), str(folder / "f1.ply"))
    assert found.neutral.name == "f1.ply"
    assert [path.name for path in found.frames] == ["1_neutral.obj", "f2.obj", "f10.obj"]


def test_a_facescape_folder_goes_by_its_person(folder):
    scans = folder.rename(folder.parent / "models_reg")
    assert mesh_sequence(str(scans), None).name == scans.parent.name


def test_nothing_named_is_nothing_asked():
    assert mesh_sequence(None, None) is mesh_file(None, "target") is table_file(None, "w") is None


@pytest.mark.parametrize(
    ("prepare", "message"),
    [
        (
            lambda folder: (folder / "1_neutral.obj").unlink(),
            'exactly one must be called "neutral"',
        ),
        (lambda folder: (folder / "neutral.obj").write_text("x"), "found 1_neutral.obj, neutral"),
        (lambda folder: (folder / "f2.ply").write_text("x"), "holds f2 twice"),
    ],
)
def test_what_is_not_clear_is_said(folder, prepare, message):
    prepare(folder)
    with pytest.raises(ConfigError, match=message):
        mesh_sequence(str(folder), None)


def test_what_is_not_there_is_named(folder, tmp_path):
    with pytest.raises(ConfigError, match=r"source: gone is not there, neither"):
        mesh_sequence("gone", None)
    with pytest.raises(ConfigError, match=r"retarget.neutral: gone.obj is not there"):
        mesh_sequence(str(folder), "gone.obj")
    with pytest.raises(ConfigError, match=r"target: .*notes.txt is none of .obj"):
        mesh_file(str(folder / "notes.txt"), "target")
    with pytest.raises(ConfigError, match=r"weights: .*notes.txt is no .csv file"):
        table_file(str(folder / "notes.txt"), "weights")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match="holds no mesh"):
        mesh_sequence(str(tmp_path / "empty"), None)


def test_landmarks_lie_beside_their_mesh(folder):
    assert landmarks_beside(folder / "f2.obj") == []
    (folder / "f2.landmarks.txt").write_text("x")
    assert landmarks_beside(folder / "f2.obj") == [str(folder / "f2.landmarks.txt")]
