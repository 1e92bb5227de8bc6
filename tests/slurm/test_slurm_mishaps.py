"""One run in which everything goes wrong once: all of it is noticed and made good."""

import os
import shutil
import signal
from pathlib import Path
from types import SimpleNamespace

import pytest
from cluster import run, wait_until

pytestmark = pytest.mark.slurm
WORKFLOWS = Path(__file__).parent / "workflows"


@pytest.fixture(scope="module")
def aftermath(slurm, snakemake, repository, tmp_path_factory):
    """The jobs and files of a run that lost a node and had a job cancelled by hand."""
    folder = tmp_path_factory.mktemp("mishaps")
    shutil.copytree(repository / "slurm", folder / "slurm")
    before = slurm.last_job()

    def running(rule: str) -> dict[str, str] | None:
        jobs = slurm.jobs_of(rule, after=before)
        return next((job for job in jobs if job["state"] == "RUNNING"), None)

    slurm.give_nodes_up_after(10)
    try:
        head = snakemake(folder, "--snakefile", str(WORKFLOWS / "mishaps.smk"))
        wait_until((folder / "lost.begun").exists, 120, "job on the node to be lost")
        slurm.lose(running("lost")["node"])
        cancelled = wait_until(lambda: running("cancelled"), 120, "job to be cancelled")
        run(["scancel", cancelled["id"]])
        head.succeed(600)
        jobs = {
            rule: slurm.jobs_of(rule, after=before)
            for rule in ("gpu", "cancelled", "memory", "lost")
        }
        devices = slurm.devices(jobs["gpu"][0]["id"])
    finally:
        slurm.give_nodes_up_after(60)
        if "n2" not in slurm.daemons:
            slurm.start_node("n2")
        slurm.wait_idle()
    return SimpleNamespace(jobs=jobs, folder=folder, output=head.text, devices=devices)


def states(jobs: list[dict[str, str]]) -> list[str]:
    return [job["state"] for job in jobs]


def test_gpu_rule_goes_to_the_gpu_partition_with_one_device(aftermath):
    (job,) = aftermath.jobs["gpu"]
    assert (job["state"], job["partition"]) == ("COMPLETED", "gpu")
    assert aftermath.devices == 1
    seen = dict(line.split("=") for line in (aftermath.folder / "gpu.txt").read_text().splitlines())
    assert seen["SLURM_JOB_PARTITION"] == "gpu"
    assert seen["CUDA_VISIBLE_DEVICES"] in {"0", "1"}


def test_other_rules_go_to_the_cpu_partition(aftermath):
    others = [job for rule in ("cancelled", "memory", "lost") for job in aftermath.jobs[rule]]
    assert {job["partition"] for job in others} == {"cpu"}


def test_cancelled_job_is_noticed_and_sent_again(aftermath):
    assert states(aftermath.jobs["cancelled"]) == ["CANCELLED", "COMPLETED"]
    assert (aftermath.folder / "cancelled.txt").read_text() == "2\n"


def test_second_attempt_gets_more_memory(aftermath):
    assert states(aftermath.jobs["memory"]) == ["FAILED", "COMPLETED"]
    assert [job["memory"] for job in aftermath.jobs["memory"]] == ["400M", "800M"]


def test_lost_node_is_survived(aftermath):
    assert states(aftermath.jobs["lost"]) == ["NODE_FAIL", "COMPLETED"]
    assert [job["node"] for job in aftermath.jobs["lost"]] == ["n2", "n1"]
    assert (aftermath.folder / "lost.txt").read_text() == "n1\n"
    assert "node failure" in aftermath.output


def test_ctrl_c_cancels_the_jobs_and_releases_the_lock(slurm, snakemake, repository, tmp_path):
    shutil.copytree(repository / "slurm", tmp_path / "slurm")
    before = slurm.last_job()
    head = snakemake(tmp_path, "cancelled", "--snakefile", str(WORKFLOWS / "mishaps.smk"))

    def state(wanted: str) -> bool:
        return states(slurm.jobs_of("cancelled", after=before)) == [wanted]

    wait_until(lambda: state("RUNNING"), 120, "running job")
    head.process.send_signal(signal.SIGINT)
    assert head.process.wait(120) == 1
    wait_until(lambda: state("CANCELLED"), 30, "cancelled job")
    assert not (tmp_path / ".snakemake" / "locks").exists()


@pytest.mark.skipif(
    os.environ.get("FACEMILL_SLOW") != "1",
    reason="takes three minutes, as Slurm's shortest time limit is one; set FACEMILL_SLOW=1",
)
def test_job_over_its_time_limit_gets_more(slurm, snakemake, repository, tmp_path):
    shutil.copytree(repository / "slurm", tmp_path / "slurm")
    before = slurm.last_job()
    head = snakemake(tmp_path, "timeout", "--snakefile", str(WORKFLOWS / "mishaps.smk"))
    head.succeed(800)
    jobs = slurm.jobs_of("timeout", after=before)
    assert states(jobs) == ["TIMEOUT", "COMPLETED"]
    assert [job["minutes"] for job in jobs] == ["1:00", "2:00"]
