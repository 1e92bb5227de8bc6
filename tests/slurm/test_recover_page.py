"""Without a cluster: Snakemake is killed, and what the recovery page says brings a whole result."""

import shutil
import subprocess
from pathlib import Path

import pytest
from cluster import wait_until
from recovery_page import first_commands, follow

HERE = Path(__file__).parent


@pytest.mark.workflow
def test_killed_snakemake_is_recovered_by_the_page(repository, environment, tmp_path):
    shutil.copytree(repository / "profiles", tmp_path / "profiles")
    shutil.copy(HERE / "workflows" / "slow.smk", tmp_path / "Snakefile")
    (tmp_path / "workflow" / "scripts").mkdir(parents=True)
    shutil.copy(HERE / "workflows" / "slow.py", tmp_path / "workflow" / "scripts")

    with (tmp_path / "first.out").open("w") as output:
        head = subprocess.Popen(
            ["snakemake", "--cores", "all", "all"],
            cwd=tmp_path,
            env=environment,
            stdout=output,
            stderr=output,
        )
    started = tmp_path / "started"
    orphan = int(wait_until(lambda: started.exists() and started.read_text(), 120, "the command"))
    head.kill()
    head.wait()
    assert alive(orphan), "the command goes on without Snakemake"

    page = (repository / "docs" / "recover.md").read_text(encoding="utf-8")
    follow(first_commands(page, "## Snakemake was killed: on one machine"), tmp_path, environment)
    assert not alive(orphan)
    assert (tmp_path / "results" / "slow.txt").read_text() == "whole\n"


def alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and waits to be collected does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
