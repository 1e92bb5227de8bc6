"""Files are whole or absent, and broken ones are named."""

import os
import subprocess
import sys

import numpy as np
import pytest

from facemill import files
from facemill.errors import DataError


def test_a_failed_writer_leaves_neither_half_file_nor_neighbour(tmp_path):
    with pytest.raises(RuntimeError), files.writing(tmp_path / "pack.npy") as part:
        part.write_bytes(b"half")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("name", "start"), [("p [1].npy", "touch"), ("d001", "mkdir")])
def test_what_a_killed_writer_left_is_removed_by_the_next(tmp_path, name, start):
    target = tmp_path / name
    killed = (
        "import os, sys; from facemill.files import writing\n"
        f"with writing(sys.argv[1]) as part:\n    part.{start}(); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", killed, str(target)], check=False)
    running = target.with_name(f"{target.stem}.part-{os.getppid()}{target.suffix}")
    running.touch()  # another process is writing this one
    assert len(list(tmp_path.iterdir())) == 2
    with files.writing(target) as part:
        part.write_bytes(b"whole")
    assert set(tmp_path.iterdir()) == {target, running}


def test_a_failed_writer_keeps_what_was_there(tmp_path):
    path = tmp_path / "a.json"
    files.write_json(path, [1])
    with pytest.raises(ValueError):
        files.write_json(path, [float("nan")])
    assert files.read_json(path) == [1]


def test_a_folder_appears_whole_and_replaces_an_older_one(tmp_path):
    target = tmp_path / "person"
    for text in ("old", "new"):
        with files.writing(target) as part:
            part.mkdir()
            (part / f"{text}.obj").write_text(text)
    assert [path.name for path in target.iterdir()] == ["new.obj"]
    assert [path.name for path in tmp_path.iterdir()] == ["person"]


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_truncated_arrays_are_named(tmp_path, share):
    npy, npz = tmp_path / "a.npy", tmp_path / "a.npz"
    files.write_npy(npy, np.arange(1000.0))
    files.write_npz(npz, {"1_neutral/vertices": np.arange(1000.0)})
    for path in (npy, npz):
        path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(DataError, match=r"a\.npy.*made again"):
        files.open_npy(npy)
    with pytest.raises(DataError, match=r"a\.npz.*made again"), files.reading_npz(npz) as arrays:
        arrays["1_neutral/vertices"]


def test_a_missing_array_is_named(tmp_path):
    files.write_npz(tmp_path / "a.npz", {"here": np.zeros(1)})
    with (
        pytest.raises(DataError, match="there is not a file in the archive"),
        files.reading_npz(tmp_path / "a.npz") as arrays,
    ):
        arrays["there"]


def test_objects_are_not_pickled(tmp_path):
    with pytest.raises(ValueError):
        files.write_npz(tmp_path / "a.npz", {"object": np.array([{}], dtype=object)})
    assert list(tmp_path.iterdir()) == []


def test_content_hash_ignores_folder_and_date_but_not_bytes(tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "code.py").write_text("x = 1")
    same = {files.content_hash([tmp_path / folder / "code.py"]) for folder in ("a", "b")}
    assert len(same) == 1
    (tmp_path / "b" / "code.py").write_text("x = 2")
    assert files.content_hash([tmp_path / "b" / "code.py"]) not in same
