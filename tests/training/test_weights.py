"""Files of trained networks: what comes back, what is refused, who may read them."""

import os
import stat

import pytest
import torch
from torch import nn

from facemill.errors import DataError
from facemill.training.weights import read_weights, write_weights


@pytest.fixture
def written(tmp_path):
    """A small network in a file of the format "toy"."""
    torch.manual_seed(0)
    network, path = nn.Linear(3, 2), tmp_path / "poids.safetensors"
    write_weights(path, network, {"format": "toy", "people": ["ä", "b"]})
    return network, path


def read(path):
    return read_weights(path, "toy", "Name a toy.", "Train it again.")


def test_tensors_and_metadata_come_back(written):
    network, path = written
    metadata, tensors = read(path)
    assert metadata == {"format": "toy", "people": ["ä", "b"]}
    assert all(torch.equal(tensors[name], value) for name, value in network.state_dict().items())


def test_others_may_read_the_file_as_any_other(written):
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE(written[1].stat().st_mode) == 0o666 & ~umask


def test_one_altered_number_is_noticed(written):
    _, path = written
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"poids.safetensors.*damaged or altered"):
        read(path)
