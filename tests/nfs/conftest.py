"""A small face model and its labelled people, made once for all tests of this folder."""

import pytest
from small_nfs import DATA, OPERATORS

from facemill.data.blendshape_sources import demo_blendshapes
from facemill.nfs.draw import make_people


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
