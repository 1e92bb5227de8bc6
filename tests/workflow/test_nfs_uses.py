"""Meshes of one's own through Snakemake: weights read off a take, and what they drive."""

import csv

import numpy as np
import pytest

from facemill.data.packs import FacePack
from facemill.mesh.glb import read_glb_morphs
from facemill.mesh.io import read_mesh, write_obj

pytestmark = [pytest.mark.workflow, pytest.mark.timeout(1200)]

CONFIG = ("--configfile", "config/smoke.yaml")
TARGETS = ("nfs_rig", "nfs_retarget_one")
TABLE = "results/smoke/nfs/inverse_rig/mein Take.csv"
OWN = ("source=mein Take", "target=kopf.obj", f"weights={TABLE}")


@pytest.fixture(scope="module")
def used(smoke):
    """The smoke run's project after a take was read, cloned, and driven by what was read."""
    take, *_, other = sorted((smoke.results() / "faces").glob("*.npz"))
    pack = FacePack(take)
    for expression in pack.expressions:
        write_obj(smoke.folder / "mein Take" / f"{expression}.obj", pack.registered(expression))
    write_obj(smoke.folder / "kopf.obj", FacePack(other).registered("1_neutral"))
    for targets, own in ((["nfs_inverse_rig"], OWN[:1]), (TARGETS, OWN)):
        answer = smoke.snakemake("--cores", 2, *targets, *CONFIG, "--config", *own)
        assert answer.returncode == 0, answer.stdout[-6000:]
    return smoke


def test_weights_are_read_off_a_take(used):
    with open(used.folder / TABLE, newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["frame"] for row in rows] == ["2_smile", "3_mouth_stretch"]
    assert all(0 <= float(row["2_smile"]) <= 1 for row in rows)


def test_the_table_drives_another_head(used):
    out = used.results() / "nfs/rig/mein Take/kopf"
    still = read_mesh(used.folder / "kopf.obj")
    for name in ("2_smile", "3_mouth_stretch"):
        found = read_mesh(out / f"frames/{name}.obj")
        np.testing.assert_array_equal(found.faces, still.faces)
        assert 0 < np.abs(found.vertices - still.vertices).max() < 100, "mm"
    assert read_glb_morphs(out / "rig.glb").weights.shape == (2, 19)
    assert (out / "preview.gif").read_bytes().startswith(b"GIF89a")


def test_the_take_is_cloned(used):
    out = used.results() / "nfs/retarget/mein Take/kopf"
    frames = {path.name for path in (out / "frames").glob("*.obj")}
    assert frames == {"2_smile.obj", "3_mouth_stretch.obj"}
    assert (out / "weights.csv").read_text() == (used.folder / TABLE).read_text()


def test_a_mesh_that_changes_is_prepared_again_and_no_other(used):
    (used.folder / "kopf.obj").touch()
    answer = used.snakemake("-n", *TARGETS, *CONFIG, "--config", *OWN)
    assert answer.stdout.count("\nrule nfs_user_operators:") == 1 and "target-kopf" in answer.stdout
    assert "\nrule nfs_train:" not in answer.stdout
    assert "\nrule operators_build:" not in answer.stdout
