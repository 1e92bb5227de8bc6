"""Shared fixtures. The shapes in the library's signatures are checked at run time in all tests."""

import os
from functools import partial
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # make test runs tests side by side

from jaxtyping import install_import_hook

install_import_hook("facemill", "beartype.beartype")

import pytest  # noqa: E402  after the hook, so that fixtures see checked modules

REPOSITORY = Path(__file__).resolve().parent.parent
ENGINE = ("slurm", "workflow")  # folders whose tests run Snakemake on all cores


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


@pytest.fixture
def refused(repository, capsys, tmp_path):
    """Runs a command that has to end in one error with given words in it, and write nothing."""
    from commands import refused

    return partial(refused, repository, capsys, tmp_path / "résultats")


def group(test: str) -> str:
    """What stays with one worker: a file, or all that runs the engine."""
    path = Path(test.partition("::")[0])
    return "engine" if path.parent.name in ENGINE else str(path)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Hand out groups of tests, not single tests."""
    from xdist.scheduler import LoadScopeScheduling

    class Groups(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return group(nodeid)

    return Groups(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The engine's tests take longest and go first."""
    items.sort(key=lambda item: group(item.nodeid) != "engine")
