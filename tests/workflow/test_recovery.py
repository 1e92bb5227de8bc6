"""Snakemake killed in the middle of preprocessing: the next run needs no cleaning by hand."""

import os
import signal
import subprocess
import time

import pytest

from facemill.data.packs import FacePack, SamplePack

pytestmark = [pytest.mark.workflow, pytest.mark.timeout(1200)]

RUN = (
    "--cores", 2, "prepare", "--configfile", "config/smoke.yaml",
    "--config", "people=2", "split={test_people: 1}", "name=killed",
)  # fmt: skip


def kill_while_preparing(project) -> None:
    """Start a run; end Snakemake and its jobs by SIGKILL as soon as a face is being prepared."""
    run = subprocess.Popen(
        project.command(*RUN),
        cwd=project.folder,
        env=project.environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    logs = project.folder / "logs/killed/mesh_prepare"
    deadline = time.monotonic() + 600
    while not any(path.stat().st_size for path in logs.glob("*.log")):
        assert run.poll() is None and time.monotonic() < deadline, "nothing was being prepared"
        time.sleep(0.05)
    os.killpg(run.pid, signal.SIGKILL)
    run.wait()


def test_a_killed_run_goes_on_without_half_files(new_project):
    project = new_project("killed")
    kill_while_preparing(project)
    results = project.results("killed")
    # Nothing lies under a final name that is not whole.
    for path in results.glob("faces/*.npz"):
        assert FacePack(path).expressions

    locked = project.snakemake(*RUN)
    assert locked.returncode == 1 and "--unlock" in locked.stdout
    assert project.snakemake("--unlock", *RUN).returncode == 0
    answer = project.snakemake(*RUN)
    assert answer.returncode == 0, answer.stdout[-4000:]

    packs = sorted(results.glob("faces/*.npz"))
    assert len(packs) == 2
    assert all(len(FacePack(path).expressions) == 3 for path in packs)
    assert all(SamplePack(path).expressions for path in results.glob("samples/*.npy"))
    assert not [path for path in (project.folder / "work").rglob("*") if path.is_file()]


def test_preprocessing_comes_from_a_cache_that_runs_share(new_project, tmp_path):
    project = new_project("cached")
    target = "results/killed/samples/d001.npy"
    run = ("--cores", 1, target, *RUN[3:], "--cache")
    first = project.snakemake(*run, SNAKEMAKE_OUTPUT_CACHE=str(tmp_path))
    assert first.returncode == 0, first.stdout[-4000:]
    (project.folder / target).unlink()
    again = project.snakemake(*run, SNAKEMAKE_OUTPUT_CACHE=str(tmp_path))
    assert again.returncode == 0, again.stdout[-4000:]
    assert "from cache" in again.stdout
    assert SamplePack(project.folder / target).expressions
