"""What needs no cluster: when the tests skip, whose configuration they leave alone, the profile."""

import cluster
import pytest
import yaml


def test_missing_daemons_are_a_reason_to_skip(monkeypatch):
    monkeypatch.setattr(cluster, "find_program", lambda name: None if name == "slurmd" else name)
    assert "slurmd not found" in cluster.reason_to_skip()


def test_somebody_elses_slurm_is_a_reason_to_skip(monkeypatch, tmp_path):
    monkeypatch.setattr(cluster, "find_program", lambda name: name)
    monkeypatch.setattr(cluster, "CONFIGURATION", tmp_path)
    monkeypatch.setattr(cluster.os, "geteuid", lambda: 0)
    monkeypatch.delenv("FACEMILL_TEST_SLURM", raising=False)
    (tmp_path / "slurm.conf").write_text("ClusterName=theirs\n")
    assert "belongs to somebody else" in cluster.reason_to_skip()


def test_somebody_elses_configuration_comes_back(monkeypatch, tmp_path):
    monkeypatch.setattr(cluster, "CONFIGURATION", tmp_path)
    (tmp_path / "slurm.conf").write_text("ClusterName=theirs\n")
    mine = cluster.Cluster(tmp_path / "base")
    mine.put_configuration_aside()
    mine.write_configuration()
    assert f"StateSaveLocation={tmp_path}/base/state" in (tmp_path / "slurm.conf").read_text()
    mine.restore_configuration()
    assert [path.name for path in tmp_path.iterdir()] == ["slurm.conf"]
    assert (tmp_path / "slurm.conf").read_text() == "ClusterName=theirs\n"


def test_profiles_do_not_contradict_each_other(repository):
    """Both are in force on a cluster, and the workstation's wins where they do."""
    slurm, workstation = (
        yaml.safe_load((repository / folder / "config.yaml").read_text(encoding="utf-8"))
        for folder in ("slurm", "profiles/default")
    )
    shared = slurm.keys() & workstation.keys()
    assert {key: slurm[key] for key in shared} == {key: workstation[key] for key in shared}
    # The workstation's limit of GPUs must not count on a cluster.
    for resource in workstation.get("resources", {}):
        assert slurm["set-resource-scopes"][resource] == "local"


@pytest.mark.parametrize("name", ["cpu", "gpu"])
def test_partition_table_is_one_that_the_plugin_reads(repository, name):
    partitions = pytest.importorskip("snakemake_executor_plugin_slurm.partitions")
    table = partitions.read_partition_file(repository / "slurm" / "partitions.yaml")
    (partition,) = [partition for partition in table if partition.name == name]
    assert (partition.limits.max_gpu > 0) == (name == "gpu")
