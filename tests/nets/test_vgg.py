"""The perceptual distance: the network's shape, the distance written out, and files it refuses."""

import pytest
import safetensors.torch
import torch
from torch.nn import functional

from facemill.errors import DataError
from facemill.files import sha256
from facemill.nets.vgg import MEAN, PLAN, STD, WEIGHTS, PerceptualDistance


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A file as torchvision's state dict, of made-up numbers, and its convolutions in order."""
    generator = torch.Generator().manual_seed(0)
    tensors, number, inputs = {}, 0, 3
    for step in PLAN:
        if step == "M":
            number += 1
            continue
        spread = (2 / (9 * inputs)) ** 0.5
        weight = spread * torch.randn(step, inputs, 3, 3, generator=generator)
        tensors[f"features.{number}.weight"] = weight
        tensors[f"features.{number}.bias"] = 0.1 * torch.randn(step, generator=generator)
        number, inputs = number + 2, step
    path = tmp_path_factory.mktemp("vgg") / "vgg19.safetensors"
    safetensors.torch.save_file(tensors, path)
    return path, tensors


def test_the_distance_is_that_of_features_after_the_first_layer_of_each_block(weights):
    path, tensors = weights
    distance = PerceptualDistance(path, sha256(path))
    a, b = torch.rand(2, 1, 3, 32, 32, generator=torch.Generator().manual_seed(1)) * 2 - 1
    total, blocks = 0.0, 0
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (MEAN, STD))
    x = torch.cat([((p + 1) / 2 - mean) / std for p in (a, b)])
    number, first = 0, True
    for step in PLAN:
        if step == "M":
            x, number, first = functional.max_pool2d(x, 2), number + 1, True
            continue
        weight, bias = (tensors[f"features.{number}.{part}"] for part in ("weight", "bias"))
        x = functional.conv2d(x, weight, bias, padding=1).clamp(min=0)
        if first:
            total += WEIGHTS[blocks] * (x[0] - x[1]).abs().mean().item()
            blocks += 1
        number, first = number + 2, False
    assert blocks == 5
    assert distance(a, b).item() == pytest.approx(total, rel=1e-5)
    assert distance(a, a).item() == 0
    assert not any(p.requires_grad for p in distance.parameters())


def test_weights_of_another_checksum_or_network_are_refused(weights, tmp_path):
    path, tensors = weights
    with pytest.raises(DataError, match="SHA-256"):
        PerceptualDistance(path, "0" * 64)
    with pytest.raises(DataError, match="no such file"):
        PerceptualDistance(tmp_path / "vgg.pth", "0" * 64)
    other = tmp_path / "other.safetensors"
    less = {k: v for k, v in tensors.items() if not k.startswith("features.28")}
    safetensors.torch.save_file(less, other)
    with pytest.raises(DataError, match=r"features\.28"):
        PerceptualDistance(other, sha256(other))
    page = tmp_path / "vgg.pth"
    page.write_text("<html>quota exceeded</html>")
    with pytest.raises(DataError, match="not a file of weights"):
        PerceptualDistance(page, sha256(page))
