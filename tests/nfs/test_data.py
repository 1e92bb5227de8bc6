"""Batches: whose turn it is, by seed and step alone."""

import shutil

import pytest
import torch
from small_nfs import SMALL

from facemill.data.packs import write_scan_pack
from facemill.mesh.frames import Similarity
from facemill.mesh.surface import Mesh
from facemill.nfs.config import TrainConfig
from facemill.nfs.data import open_training_set

STEPS = 200
CONFIG = TrainConfig(steps=STEPS, batch=1, unlabelled_share=0.25)


@pytest.fixture(scope="module")
def data(people, demo_model, tmp_path_factory):
    """The labelled people, and one without labels whose mesh is that of a test person."""
    folder = tmp_path_factory.mktemp("unlabelled")
    for name in ("operators", "faces"):
        (folder / name).mkdir()
    shutil.copy(people / "test000-narrow.npz", folder / "operators/d1.npz")
    moved = demo_model.neutral + demo_model.expression[0]
    scans = {
        name: (Mesh(vertices, demo_model.faces), Similarity())
        for name, vertices in (("1_neutral", demo_model.neutral), ("2_smile", moved))
    }
    write_scan_pack(folder / "faces/d1.npz", scans)
    return open_training_set(people, folder / "operators", folder / "faces", ("d1",))


def turns(data, config: TrainConfig) -> list[bool]:
    """Of every step, whether it is an unlabelled person's."""
    return [data.batch(step, config, SMALL).truth.face is None for step in range(STEPS)]


def test_unlabelled_people_have_their_share_of_the_steps(data):
    share = sum(turns(data, CONFIG)) / STEPS
    assert abs(share - 0.25) < 0.1
    assert not any(turns(data, TrainConfig(steps=STEPS, batch=1, unlabelled_share=0.0)))


def test_unlabelled_people_come_after_the_warm_up(data):
    warm = turns(data, TrainConfig(steps=STEPS, batch=1, unlabelled_share=0.25, warmup=0.4))
    plain = turns(data, CONFIG)
    assert any(plain[:80]) and not any(warm[:80])
    assert warm[80:] == plain[80:]


def test_a_batch_depends_on_seed_and_step_alone(data):
    for step in (0, 7, turns(data, CONFIG).index(True)):
        one, other = (data.batch(step, CONFIG, SMALL).truth for _ in range(2))
        assert torch.equal(one.frames, other.frames)
    seeds = [data.batch(3, TrainConfig(batch=1, seed=seed), SMALL).truth.frames for seed in (0, 1)]
    assert seeds[0].shape != seeds[1].shape or not torch.equal(*seeds)
