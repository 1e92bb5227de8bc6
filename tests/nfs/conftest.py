"""A small face model and its labelled people, made once for all tests of this folder."""

from dataclasses import replace

import pytest
from small_nfs import DATA, OPERATORS, SMALL, made, taught, with_own_units
from small_nfs_uses import face_of, written

from facemill.data.blendshape_sources import demo_blendshapes
from facemill.nfs.draw import make_people
from facemill.nfs.model import save_model
from facemill.nfs.operators import operators_build


@pytest.fixture(scope="session")
def demo_model():
    """The embedded heads' linear model with three modes."""
    return demo_blendshapes(0, 3)


@pytest.fixture(scope="session")
def people(demo_model, tmp_path_factory):
    """The folder of three training people, one for validation and one test person."""
    out = tmp_path_factory.mktemp("nfs") / "people"
    make_people({"data": DATA, "operators": OPERATORS, "seed": 0}, demo_model, out)
    return out


@pytest.fixture(scope="session")
def take(demo_model, people, tmp_path_factory):
    """A folder with a model, a take of two frames, a target, and the operators of both."""
    folder = tmp_path_factory.mktemp("take")
    model = made(replace(SMALL, anchored=True))
    save_model(folder / "model.safetensors", model, demo_model.units, {})
    frames = {"neutral": None, "f1": 1, "f2": 2}
    written(folder / "source", {name: face_of(demo_model, unit=n) for name, n in frames.items()})
    written(folder, {"target": face_of(demo_model, identity=(-1.0, 1.0, 0.0))})
    for mesh in ("source/neutral", "target"):
        out = folder / f"{mesh.rpartition('/')[2]}.npz"
        operators_build(folder / f"{mesh}.obj", people / "people.npz", OPERATORS, out)
    return folder


@pytest.fixture(scope="session")
def trained(demo_model, tmp_path_factory):
    """A network that has learnt seven units from eight people: about a minute, once a worker."""
    return taught(tmp_path_factory.mktemp("taught"), with_own_units(demo_model))
