"""People of Multiface as NFS's unlabelled ones: placed without landmarks, learnt from, measured."""

import json
from dataclasses import asdict

import numpy as np
import pytest
from commands import refused
from scipy.spatial.transform import Rotation
from small_multiface import NEUTRAL_TAKE, entity
from small_nfs import OPERATORS, SMALL

from facemill.data.index import build_index
from facemill.data.multiface import takes_in
from facemill.data.packs import FacePack
from facemill.data.splits import make_split
from facemill.files import write_json
from facemill.mesh.frames import FACE_TO_NFS, Similarity
from facemill.mesh.operators import read_operators
from facemill.nfs.data import open_training_set, person_frames
from facemill.nfs.evaluate import scanned_case
from facemill.nfs.multiface import nfs_multiface
from facemill.nfs.operators import operators_build
from facemill.nfs.train import train

NAME = "m--20180227--0000--6795937--GHS"
HEAD = Similarity(1.0, Rotation.from_euler("xy", [170, 20], degrees=True).as_matrix())
"""The tracking's own frame of the head: millimetres, here nearly upside down."""


@pytest.fixture(scope="module")
def frames(demo_model):
    """A drawn head in its tracking's frame: three neutral frames and a smile that grows."""

    def head(smile: float) -> np.ndarray:
        weights = np.zeros(19)
        weights[0] = smile
        vertices = demo_model.vertices(np.array([0.5, -0.5, 0.3]), weights)
        return HEAD.apply(FACE_TO_NFS.inverse().apply(vertices))

    smiles = [head(amount) for amount in np.linspace(0.0, 1.0, 6)]
    return {NEUTRAL_TAKE: [head(0.0)] * 3, "E008_Smile_Mouth_Closed": smiles}


@pytest.fixture(scope="module")
def made(demo_model, frames, people, tmp_path_factory):
    """The root with one entity, and the folders of its pack and of its operators."""
    root = tmp_path_factory.mktemp("multiface")
    entity(root / NAME, demo_model.faces, frames)
    faces, operators = root / "faces", root / "operators"
    settings = {"root": str(root), "frames_per_take": 3}
    nfs_multiface(root / NAME, people / "people.npz", settings, 5.0, faces / f"{NAME}.npz")
    settings = OPERATORS | {"max_residual": 5.0}
    operators_build(
        faces / f"{NAME}.npz", people / "people.npz", settings, operators / f"{NAME}.npz"
    )
    return root


def test_the_neutral_lies_on_the_mean_face_in_its_own_size(made, frames, demo_model):
    pack = FacePack(made / "faces" / f"{NAME}.npz")
    assert len(pack.expressions) == 1 + 3 + 3 and not pack.has_landmarks("1_neutral")
    truth = HEAD.inverse().apply(frames[NEUTRAL_TAKE][0])
    away = pack.vertices("1_neutral")[: len(truth)] - truth
    assert np.sqrt((away**2).sum(axis=1).mean()) < 8.0
    np.testing.assert_allclose(pack.source_to_face("1_neutral").scale, 1.0)
    np.testing.assert_array_equal(pack.registered("1_neutral").faces, demo_model.faces)
    # All frames moved together: what a smile adds is what was drawn.
    smile = pack.vertices("E008_Smile_Mouth_Closed_000117")[: len(truth)]
    turned = pack.source_to_face("1_neutral").apply_to_normals(
        frames["E008_Smile_Mouth_Closed"][5] - frames[NEUTRAL_TAKE][0]
    )
    np.testing.assert_allclose(smile - pack.vertices("1_neutral")[: len(truth)], turned, atol=1e-3)


def test_operators_hold_the_front_and_lead_the_frames_along(made):
    operators = read_operators(made / "operators" / f"{NAME}.npz")
    assert operators.residual < 5.0
    assert operators.placed.scale == pytest.approx(FACE_TO_NFS.scale)
    moved = person_frames(operators, FacePack(made / "faces" / f"{NAME}.npz"))
    np.testing.assert_allclose(moved[0], operators.vertices, atol=1e-5)
    assert len(operators.vertices) < 0.8 * operators.n_source
    case = scanned_case(NAME, *(made / part / f"{NAME}.npz" for part in ("operators", "faces")))
    assert 0.2 < case.mask.mean() <= 1.0 and case.mask.max() == 1.0


def test_it_is_learnt_from_without_labels(made, people, tmp_path):
    split = make_split([NAME], ["1_neutral"], {"test_people": 0}, 0)
    index = build_index("multiface", made, [NAME], ["1_neutral"], split, takes_in)
    write_json(tmp_path / "index.json", index)
    recipe = {"steps": 2, "batch": 2, "unlabelled_share": 1.0, "validate_every": 0, "log_every": 1}
    train(
        people, {"model": asdict(SMALL), "train": recipe}, tmp_path / "work",
        *(tmp_path / name for name in ("m.safetensors", "h.csv", "r.json")),
        threads=1, index=tmp_path / "index.json", unlabelled=[NAME],
        operators=made / "operators", faces=made / "faces",
    )  # fmt: skip
    assert json.loads((tmp_path / "r.json").read_text())["unlabelled_people"] == 1
    held = open_training_set(people, made / "operators", made / "faces", [NAME])
    batch = held.unlabelled_batch(NAME, np.random.default_rng(0), 4, SMALL)
    assert batch.truth.frames.shape[0] == 4 and batch.truth.expression is None


def test_what_is_missing_is_told_in_one_line(repository, capsys, made, people, tmp_path):
    refused(
        repository, capsys, tmp_path / "out", "nobody", "expected one folder for each take",
        script="nfs_multiface", person=made / "nobody", people=people / "people.npz",
        out=">out.npz",
    )  # fmt: skip
