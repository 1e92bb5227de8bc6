"""Multiface's layout: who is there, which frames are taken, how the head comes to stand still."""

from pathlib import Path

import numpy as np
import pytest
from small_multiface import NEUTRAL_TAKE, entity

from facemill.data import sources
from facemill.data.index import build_index, index_split
from facemill.data.multiface import (
    MultifaceSettings,
    evenly,
    nearest_to_median,
    people_in_multiface,
    read_tracked,
    takes_in,
)
from facemill.data.splits import make_split
from facemill.errors import ConfigError, DataError, FacemillError

NAMES = ("m--20180227--0000--6795937--GHS", "m--20171024--0000--002757580--GHS")
ROOM = 100.0  # mm
FACES = np.array([[0, 1, 2], [2, 1, 3], [0, 2, 4], [5, 4, 2]])


def blob(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0.0, ROOM, (6, 3))


def takes() -> dict[str, list[np.ndarray]]:
    """A neutral take with a blink in it, a smile that grows, and a sentence."""
    still, push = blob(), np.eye(6, 3)
    return {
        NEUTRAL_TAKE: [still + push * shift for shift in (0.2, 9.0, 0.0, -0.2, 0.1)],
        "E008_Smile_Mouth_Closed": [still - push * amount for amount in range(10)],
        "SEN_a_good_morrow": [still + push.sum() * 0.01] * 3,
    }


@pytest.fixture
def person(tmp_path) -> Path:
    return entity(tmp_path / "tête à voir" / NAMES[0], FACES, takes())


def first(person: Path, pattern: str) -> Path:
    return min((person / "tracked_mesh" / NEUTRAL_TAKE).glob(pattern))


def test_entities_are_the_folders_with_tracked_meshes(person):
    root = person.parent
    entity(root / NAMES[1], FACES, takes())
    (root / "camera_configs").mkdir()
    (root / "README.md").write_text("x")
    settings = {"dataset": "multiface", "multiface": {"root": str(root)}}
    assert people_in_multiface(root) == sources.people(settings) == sorted(NAMES)
    assert sources.people(settings | {"people": [NAMES[0]]}) == [NAMES[0]]
    assert sources.expressions(settings | {"expressions": ["2_smile"]}) == ["1_neutral"]
    assert sources.tree(settings) == root and sources.results_name(settings) == "multiface"
    with pytest.raises(ConfigError, match="read where it lies"):
        sources.write_person(settings, NAMES[0], root / NAMES[0])


def test_the_index_lists_neutral_takes(person):
    root = person.parent
    settings = {"dataset": "multiface", "multiface": {"root": str(root)}}
    split = make_split([NAMES[0]], ["1_neutral"], {"test_people": 0}, 0)
    index = build_index(
        "multiface", root, [NAMES[0]], ["1_neutral"], split, sources.listing(settings)
    )
    scan = {"mesh": f"tracked_mesh/{NEUTRAL_TAKE}", "texture": None}
    assert index["people"][NAMES[0]]["scans"] == {"1_neutral": scan}
    assert index_split(index).train == (NAMES[0],)


def test_frames_lie_evenly_over_each_take():
    numbers = [Path(str(n)) for n in range(10)]
    assert evenly(numbers, 2) == [Path("2"), Path("7")]
    assert evenly(numbers, 5) == [Path(str(n)) for n in (1, 3, 5, 7, 9)]
    assert evenly(numbers, 12) == numbers


@pytest.mark.parametrize("in_stage", [False, True])
def test_the_head_stands_still_whichever_frame_the_files_are_in(tmp_path, in_stage):
    given = takes()
    person = entity(tmp_path / NAMES[0], FACES, given, in_stage)
    found = read_tracked(person, MultifaceSettings(frames_per_take=5))
    np.testing.assert_array_equal(found.faces, FACES)
    assert next(iter(found.frames)) == "1_neutral" and len(found.frames) == 1 + 5 + 5
    smiles = [f"E008_Smile_Mouth_Closed_{102 + 3 * n:06d}" for n in (1, 3, 5, 7, 9)]
    assert list(found.frames)[-5:] == smiles
    for name, n in zip(smiles, (1, 3, 5, 7, 9), strict=True):
        truth = given["E008_Smile_Mouth_Closed"][n]
        np.testing.assert_allclose(found.frames[name][:6], truth, atol=1e-3)


def test_the_neutral_passes_a_blink_over(person):
    frames = np.stack(takes()[NEUTRAL_TAKE])
    assert nearest_to_median(frames) == 4, "the median of 0.2, 9, 0, -0.2 and 0.1"
    found = read_tracked(person, MultifaceSettings(frames_per_take=1))
    np.testing.assert_allclose(found.frames["1_neutral"][:6], frames[4], atol=1e-3)
    assert np.isfinite(found.frames["1_neutral"]).all()


def test_takes_are_motions_sentences_or_all(person):
    def read(chosen: str) -> set[str]:
        frames = read_tracked(person, MultifaceSettings(takes=chosen)).frames
        return {name.rsplit("_", 1)[0] for name in frames} - {"1"}

    motions = {NEUTRAL_TAKE, "E008_Smile_Mouth_Closed"}
    assert read("motions") == motions
    assert read("sentences") == {NEUTRAL_TAKE, "SEN_a_good_morrow"}
    assert read("all") == motions | {"SEN_a_good_morrow"}


def test_the_second_script_has_a_neutral_of_another_name(tmp_path):
    given = takes()
    frames = {"EXP_neutral_peak": given.pop(NEUTRAL_TAKE)} | given
    person = entity(tmp_path / NAMES[0], FACES, frames)
    assert takes_in(person)["1_neutral"].mesh == "tracked_mesh/EXP_neutral_peak"


def no_neutral(person: Path) -> None:
    (person / "tracked_mesh" / NEUTRAL_TAKE).rename(person / "tracked_mesh" / "E002_Swallow")


def no_frames(person: Path) -> None:
    for path in (person / "tracked_mesh" / NEUTRAL_TAKE).glob("*.bin"):
        path.unlink()


def no_triangles(person: Path) -> None:
    first(person, "*.obj").unlink()


def cut_short(person: Path) -> None:
    path = first(person, "*.bin")
    path.write_bytes(path.read_bytes()[:-8])


def of_another_mesh(person: Path) -> None:
    for path in person.rglob("*.bin"):
        path.write_bytes(path.read_bytes()[:36])


def not_numbers(person: Path) -> None:
    path = first(person, "*.bin")
    np.full((10, 3), np.nan, "<f4").tofile(path)


def no_pose(person: Path) -> None:
    first(person, "*_transform.txt").unlink()


def words(person: Path) -> None:
    first(person, "*_transform.txt").write_text("1 0 0 left\n0 1 0 0\n0 0 1 0\n")


def two_lines(person: Path) -> None:
    first(person, "*_transform.txt").write_text("1 0 0 0\n0 1 0 0\n")


def scaled(person: Path) -> None:
    first(person, "*_transform.txt").write_text("2 0 0 0\n0 2 0 0\n0 0 2 0\n")


def poses_of_others(person: Path) -> None:
    """Vertices in the stage with poses that are not theirs."""
    rng = np.random.default_rng(1)
    for path in sorted(person.rglob("*.bin")):
        vertices = np.fromfile(path, "<f4").reshape(-1, 3) + rng.normal(0.0, 300.0, 3)
        vertices.astype("<f4").tofile(path)


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (no_neutral, "no neutral take; expected E001_Neutral_Eyes_Open or EXP_neutral_peak"),
        (no_frames, f"{NEUTRAL_TAKE}: holds no <frame>.bin"),
        (no_triangles, f"{NEUTRAL_TAKE}: no <frame>.obj beside the frames"),
        (cut_short, "000102.bin: 112 bytes; expected 12 for each vertex, 120 as most frames"),
        (of_another_mesh, "000102.bin: 36 bytes; .* at least the 6 vertices of the triangles"),
        (not_numbers, "000102.bin: holds numbers that are none"),
        (no_pose, "000102_transform.txt: is missing"),
        (words, "000102_transform.txt: .*left.*expected 3 lines of 4 numbers"),
        (two_lines, r"000102_transform.txt: 4 \+ 4 numbers in lines, expected 3 lines of 4"),
        (scaled, "000102_transform.txt: its first three columns are no rotation"),
        (poses_of_others, "the head moves by .* mm"),
    ],
)
def test_bad_files_are_one_clear_error(person, spoil, told):
    spoil(person)
    with pytest.raises(DataError, match=told) as error:
        read_tracked(person, MultifaceSettings())
    assert "\n" not in str(error.value) and "Unpack" in str(error.value)


def test_a_pose_may_have_its_fourth_line(person):
    path = first(person, "*_transform.txt")
    path.write_text(path.read_text() + "0 0 0 1\n")
    read_tracked(person, MultifaceSettings())


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({}, "multiface.root is not set"),
        ({"root": "/none/of this"}, "is no folder"),
        ({"root": "."}, "holds no entity"),
    ],
)
def test_a_root_that_is_none_names_its_key(settings, told, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FacemillError, match=told) as error:
        sources.people({"dataset": "multiface", "multiface": settings})
    assert "multiface.root" in str(error.value)


@pytest.mark.parametrize("settings", [{"takes": "SEN"}, {"frames_per_take": 0}])
def test_settings_out_of_range_are_refused(settings):
    with pytest.raises(ConfigError, match=next(iter(settings))):
        MultifaceSettings(**settings)
