"""A cluster for the session, and Snakemake runs that cannot outlive their test."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from cluster import Cluster, die_with_parent, reason_to_skip

# What a checkout needs to run; the library itself comes from the environment.
PROJECT = ("Snakefile", "config.yaml", "config", "envs", "profiles", "slurm", "workflow")
# A first look at the jobs after seconds, as these take seconds; the profile is made for hours.
IMPATIENCE = ("--slurm-init-seconds-before-status-checks=4", "--seconds-between-status-checks=4")


@pytest.fixture(scope="session")
def slurm():
    """A running Slurm with two nodes and two GPUs; skips where none can be started."""
    if reason := reason_to_skip():
        pytest.skip(reason)
    # Short and open to the user munge, unlike pytest's own temporary folders.
    base = Path(tempfile.mkdtemp(prefix="facemill-slurm-"))
    base.chmod(0o755)
    cluster = Cluster(base)
    try:
        yield cluster.start()
        cluster.stop()
    finally:
        shutil.rmtree(base)


@pytest.fixture(scope="session")
def environment() -> dict[str, str]:
    """As after `source .venv/bin/activate`: this Python's programs first, nothing of Slurm."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SLURM_")}
    return kept | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}


@pytest.fixture(scope="session")
def checkout(repository, tmp_path_factory):
    """Make a copy of the project without results, in a folder that all nodes see."""

    def copy(name: str) -> Path:
        folder = tmp_path_factory.mktemp(name)
        for part in PROJECT:
            source = repository / part
            if source.is_dir():
                shutil.copytree(source, folder / part)
            else:
                shutil.copy(source, folder / part)
        return folder

    return copy


class Run:
    """One `snakemake --profile slurm ...` in a folder; its output lands in a file there."""

    def __init__(self, folder: Path, arguments: list[str], environment: dict[str, str]):
        self.output = folder / "snakemake.out"
        command = ["snakemake", "--profile", "slurm", *arguments, *IMPATIENCE]
        with self.output.open("w") as output:
            self.process = subprocess.Popen(
                command,
                cwd=folder,
                env=environment,
                stdout=output,
                stderr=output,
                stdin=subprocess.DEVNULL,
                preexec_fn=die_with_parent,
            )

    @property
    def text(self) -> str:
        return self.output.read_text(errors="replace")

    def succeed(self, seconds: float) -> None:
        """Wait for the end; fail with the output's tail if it ends badly or too late."""
        try:
            status = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            status = f"none after {seconds} s"
        assert status == 0, f"snakemake's exit status is {status}\n{self.text[-6000:]}"

    def kill(self) -> None:
        """Kill -9, as the machine's memory guard or an impatient user does."""
        self.process.kill()
        self.process.wait()


@pytest.fixture(scope="session")
def snakemake(environment):
    """Start Snakemake with the project's Slurm profile; what still runs at the end is killed."""
    runs = []

    def start(folder: Path, *arguments: str) -> Run:
        runs.append(Run(folder, list(arguments), environment))
        return runs[-1]

    yield start
    for run in runs:
        if run.process.poll() is None:
            run.kill()
