"""A copy of the project in a folder of its own, and Snakemake run in it."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

PARTS = ("Snakefile", "config.yaml", "config", "profiles", "workflow", "envs")


@dataclass(frozen=True)
class Project:
    """A copy of what a run needs; facemill itself is the installed one."""

    folder: Path

    def environment(self) -> dict[str, str]:
        """This process's variables, without those that would change how Snakemake runs."""
        dropped = ("SNAKEMAKE_OUTPUT_CACHE", "SNAKEMAKE_PROFILE")
        return {key: value for key, value in os.environ.items() if key not in dropped}

    def command(self, *arguments: object) -> list[str]:
        return [sys.executable, "-m", "snakemake", *map(str, arguments)]

    def snakemake(self, *arguments: object, timeout: float = 600, **variables: str):
        """Run Snakemake to its end; stdout and stderr come back as one text in ``stdout``."""
        return subprocess.run(
            self.command(*arguments),
            cwd=self.folder,
            env=self.environment() | variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout,
        )

    def results(self, name: str = "smoke") -> Path:
        return self.folder / "results" / name


def copy_project(repository: Path, folder: Path) -> Project:
    folder.mkdir(parents=True, exist_ok=True)
    for part in PARTS:
        source = repository / part
        if source.is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(source, folder / part, ignore=ignored)
        else:
            shutil.copy(source, folder / part)
    return Project(folder)


@pytest.fixture(scope="session")
def new_project(repository, tmp_path_factory):
    """A function that makes a copy in a folder of its own.

    The folder's name has spaces and letters outside ASCII, as disks of users have.
    """
    return lambda name: copy_project(repository, tmp_path_factory.mktemp(name) / "têtes à voir")


@pytest.fixture(scope="session")
def fresh_project(new_project) -> Project:
    """A copy in which nothing is run, for dry runs and errors."""
    return new_project("dry")


@pytest.fixture(scope="session")
def smoke_run(new_project):
    """The smoke preset from end to end, once for all tests: project and Snakemake's answer."""
    project = new_project("smoke")
    answer = project.snakemake(
        "--cores", 2, "all", "--configfile", "config/smoke.yaml", timeout=1100
    )
    return project, answer


@pytest.fixture(scope="session")
def smoke(smoke_run) -> Project:
    """The project after a whole smoke run."""
    project, answer = smoke_run
    assert answer.returncode == 0, answer.stdout[-6000:]
    return project
