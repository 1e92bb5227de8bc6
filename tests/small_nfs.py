"""A small NFS network, and labelled people for it, as the tests of the system use them."""

import torch

from facemill.nfs.config import ModelConfig
from facemill.nfs.model import NFS

SMALL = ModelConfig(
    width=16, blocks=2, decoder_layers=3, dropout=0.0, eigenfunctions=12, picture_size=16,
    picture_channels=1, picture_code=8, norm="layer", code=24, units=19, identity=8, modes=3,
)  # fmt: skip

DATA = {
    "source": "demo", "train_people": 3, "validation_people": 1, "test_people": 2,
    "expressions": 12, "test_expressions": 4, "regions": ["narrow"], "vertices": 400,
    "demo_modes": 3,
}  # fmt: skip
OPERATORS = {"eigenfunctions": 16, "picture_size": 16}


def made(config: ModelConfig) -> NFS:
    """A fresh network, the same every time."""
    torch.manual_seed(0)
    return NFS(config).eval()
