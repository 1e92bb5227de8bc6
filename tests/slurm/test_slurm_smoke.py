"""The smoke preset through sbatch, to the tables; Snakemake is killed and the page followed.

Figures and the report run where Snakemake does; the smoke run without a cluster makes them.
"""

import re

import pytest
from cluster import wait_until
from recovery_page import first_commands, follow

pytestmark = [pytest.mark.slurm, pytest.mark.timeout(1800)]
SMOKE = ("--configfile", "config/smoke.yaml", "--jobs", "4")
RESULTS = "results/smoke"
SYSTEMS = ("imface", "mofanerf", "nfs")
TABLES = tuple(f"{system}_table" for system in SYSTEMS)
MODEL = f"{RESULTS}/imface/se3/model.safetensors"


@pytest.fixture(scope="module")
def smoke(slurm, snakemake, checkout):
    """A folder in which the smoke preset has run to its end on the cluster, and its jobs."""
    folder = checkout("smoke")
    before = slurm.last_job()
    snakemake(folder, *TABLES, *SMOKE).succeed(1500)
    return folder, [job for job in slurm.jobs() if int(job["id"]) > before]


def test_smoke_run_ends_in_tables(smoke):
    folder, _ = smoke
    tables = {name: folder / RESULTS / "tables" / f"{name}.csv" for name in SYSTEMS}
    assert all(table.stat().st_size > 0 for table in tables.values())
    header, *rows = tables["imface"].read_text().splitlines()
    assert header == "system,method,split,metric,unit,value,n"
    assert {row.split(",")[1] for row in rows} >= {"se3", "pca", "mean"}


def test_each_step_was_a_job_of_its_own(smoke):
    _, jobs = smoke
    assert {job["state"] for job in jobs} == {"COMPLETED"}
    rules = [re.sub("^rule_|_wildcards_.*$", "", job["rule"]) for job in jobs]
    for rule in ("data_person", "mesh_prepare", "sdf_sample"):
        assert rules.count(rule) == 4, f"{rule}: one job for each of four people"
    assert {"data_topology", "baseline_train", "geometry_evaluate"} <= set(rules)


def test_training_and_fitting_had_one_gpu_each(smoke, slurm):
    _, jobs = smoke
    partitions = {job["rule"].split("_wildcards_")[0]: job["partition"] for job in jobs}
    on_gpus = {rule for rule, partition in partitions.items() if partition == "gpu"}
    assert {"rule_imface_train", "rule_imface_fit"} <= on_gpus
    for job in jobs:
        assert slurm.devices(job["id"]) == (1 if job["partition"] == "gpu" else 0)


def test_second_run_sends_nothing(smoke, slurm, snakemake):
    folder, _ = smoke
    before = slurm.last_job()
    run = snakemake(folder, *TABLES, *SMOKE)
    run.succeed(120)
    assert "Nothing to be done" in run.text
    assert slurm.last_job() == before


def test_killed_snakemake_is_recovered_by_the_page(
    smoke, slurm, snakemake, repository, environment
):
    folder, _ = smoke
    whole = (folder / MODEL).read_bytes()
    (folder / MODEL).unlink()

    before = slurm.last_job()
    run = snakemake(folder, MODEL, *SMOKE)

    def training() -> dict[str, str] | None:
        jobs = slurm.jobs_of("imface_train", after=before)
        return next((job for job in jobs if job["state"] == "RUNNING"), None)

    orphan = wait_until(training, 120, "training job")
    run.kill()
    assert training(), "the job goes on without Snakemake"

    page = (repository / "docs" / "recover.md").read_text(encoding="utf-8")
    commands = first_commands(page, "## Snakemake was killed: on Slurm")
    start = "snakemake --profile slurm"
    assert commands.endswith(start)
    follow(commands.removesuffix(start), folder, environment)
    snakemake(folder, MODEL, *SMOKE).succeed(600)

    first, *others = slurm.jobs_of("imface_train", after=before)
    assert (first["id"], first["state"]) == (orphan["id"], "CANCELLED")
    assert [job["state"] for job in others] == ["COMPLETED"]
    assert (folder / MODEL).read_bytes() == whole
