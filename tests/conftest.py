"""Shared fixtures. The shapes in the library's signatures are checked at run time in all tests."""

import os
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # make test runs tests side by side

from jaxtyping import install_import_hook

install_import_hook("facemill", "beartype.beartype")

import pytest  # noqa: E402  after the hook, so that fixtures see checked modules

REPOSITORY = Path(__file__).resolve().parent.parent
LONG_GROUPS = ("slurm", "workflow")  # folders with one cluster, one smoke run


@pytest.fixture(scope="session")
def repository() -> Path:
    """The project's root folder."""
    return REPOSITORY


@pytest.fixture(scope="session")
def open_data() -> Path:
    """Folder of open face data (ICT model, a real scan) that lies beside a checkout.

    It is not part of the project; point FACEMILL_OPEN_DATA at a copy to run these tests elsewhere.
    """
    folder = Path(os.environ.get("FACEMILL_OPEN_DATA", REPOSITORY.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no open face data at {folder}; set FACEMILL_OPEN_DATA to a folder with it")
    return folder


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What is made once stays with one worker, and the longest groups go first."""
    groups = {}
    for item in items:
        folder = item.path.parent.name
        groups[item] = folder if folder in LONG_GROUPS else str(item.path)
        item.add_marker(pytest.mark.xdist_group(groups[item]))
    items.sort(key=lambda item: [*LONG_GROUPS, groups[item]].index(groups[item]))
