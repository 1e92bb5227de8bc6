"""The refiner's generator: published size, shapes, its pictures, its file."""

import json
from itertools import pairwise

import numpy as np
import pytest
import safetensors.torch
import torch

from facemill.errors import ConfigError, DataError
from facemill.files import sha256
from facemill.mofanerf.refine import (
    Refiner,
    enlarged,
    load_refiner,
    refined,
    save_refiner,
    surface_channels,
)
from facemill.mofanerf.refine_config import SMALL, RefinerConfig

TINY = RefinerConfig(channels=4, halvings=2, blocks=1)


def test_the_published_generator_has_its_published_size():
    with torch.device("meta"):
        refiner = Refiner(RefinerConfig())
    counts = {True: 0, False: 0}
    for parameter in refiner.parameters():
        counts[parameter.ndim == 4] += parameter.numel()
    widths = [32, 64, 128, 256, 512]
    pairs = sum(9 * a * b for a, b in pairwise(widths))
    assert counts[True] == 2 * 3 * 32 * 49 + 2 * pairs + 18 * 9 * 512 * 512
    assert round(sum(counts.values()) / 1e6, 1) == 45.6


def test_multiplications_of_the_published_generator_at_512():
    """Multiply-accumulates of all convolutions, against the specification's 55.6 G."""
    total = 0

    def count(module, _, out):
        nonlocal total
        weight = module.weight
        if isinstance(module, torch.nn.ConvTranspose2d):
            pixels = out.shape[2] * out.shape[3] // 4
        else:
            pixels = out.shape[2] * out.shape[3]
        total += weight.numel() * pixels

    with torch.device("meta"):
        refiner = Refiner(RefinerConfig())
        for module in refiner.modules():
            if isinstance(module, torch.nn.Conv2d | torch.nn.ConvTranspose2d):
                module.register_forward_hook(count)
        refiner(torch.zeros(1, 3, 512, 512))
    assert total / 1e9 == pytest.approx(55.6, abs=0.2)


@pytest.mark.parametrize("config", [TINY, SMALL, RefinerConfig(4, 1, 2, surface=True)])
def test_shapes_and_range(config):
    torch.manual_seed(0)
    refiner = Refiner(config)
    x = torch.rand(2, config.inputs, 32, 48) * 2 - 1
    made = refiner(x)
    assert made.shape == (2, 3, 32, 48)
    assert made.abs().max() <= 1


def test_a_residual_refiner_begins_as_what_it_gets():
    refiner = Refiner(SMALL)
    x = torch.rand(1, 7, 32, 32) * 2 - 1
    assert torch.equal(refiner(x), x[:, :3])
    refiner(x).square().sum().backward()
    assert refiner.layers[-1].weight.grad.abs().sum() > 0


def test_inputs_that_do_not_fit():
    refiner = Refiner(TINY)
    with pytest.raises(DataError, match="multiples of 4"):
        refiner(torch.zeros(1, 3, 30, 32))
    with pytest.raises(DataError, match="expected 3 channels"):
        refiner(torch.zeros(1, 7, 32, 32))
    with pytest.raises(ConfigError, match="blocks"):
        RefinerConfig(blocks=0)


def test_enlarging_keeps_colours_and_picture_size():
    coarse = np.full((8, 6, 3), 200, np.uint8)
    big = enlarged(coarse, 16, 12)
    torch.testing.assert_close(big, torch.full((3, 16, 12), 200 / 127.5 - 1))
    exact = np.random.default_rng(0).integers(0, 256, (8, 6, 3), np.uint8)
    back = ((enlarged(exact, 8, 6) + 1) * 127.5).round().byte().permute(1, 2, 0).numpy()
    assert np.array_equal(back, exact)


def test_surface_channels_do_not_depend_on_the_camera_s_place():
    """The same surface seen from elsewhere: same nearness, same normals in the camera's axes."""
    depth = np.array([[0, 700, 800], [820, 840, 900]], float)
    normals = np.zeros((2, 3, 3))
    normals[..., 2] = 1.0
    front = surface_channels(depth, normals, np.diag([1.0, -1.0, -1.0]))
    assert not front[0, 0].any()
    np.testing.assert_allclose(front[0, 1], [1.2, 0, 0, -1])
    further = surface_channels(np.where(depth > 0, depth + 300, 0), normals, np.diag([1.0, -1, -1]))
    np.testing.assert_allclose(front, further)
    turn = np.array([[0.0, 0, -1], [0, -1, 0], [-1, 0, 0]])
    towards = np.broadcast_to(turn.T @ [0, 0, -1], normals.shape)
    side = surface_channels(depth, towards, turn)
    np.testing.assert_allclose(side, front, atol=1e-7)


def test_a_picture_through_the_file_comes_out_the_same(tmp_path):
    torch.manual_seed(1)
    refiner = Refiner(RefinerConfig(4, 2, 1, surface=True)).eval()
    path = tmp_path / "refiner.safetensors"
    save_refiner(path, refiner, {"pairs": 3})
    again, metadata = load_refiner(path, refiner.config, sha256(path))
    assert metadata["pairs"] == 3
    coarse = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)
    surface = np.zeros((16, 16, 4), np.float32)
    pictures = [refined(net, coarse, (32, 32), surface) for net in (refiner, again)]
    assert pictures[0].shape == (32, 32, 3) and pictures[0].dtype == np.uint8
    assert np.array_equal(*pictures)


def test_files_that_are_not_the_wanted_weights(tmp_path):
    path = tmp_path / "refiner.safetensors"
    save_refiner(path, Refiner(TINY), {})
    with pytest.raises(DataError, match="SHA-256"):
        load_refiner(path, checksum="0" * 64)
    with pytest.raises(DataError, match="another profile; channels is 4, expected 12"):
        load_refiner(path, SMALL)
    with pytest.raises(DataError, match="no such file"):
        load_refiner(tmp_path / "none.safetensors")
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match="not a whole safetensors file"):
        load_refiner(cut)
    foreign = tmp_path / "foreign.safetensors"
    text = json.dumps({"format": "facemill.imface.1"})
    safetensors.torch.save_file({"a": torch.zeros(1)}, foreign, metadata={"facemill": text})
    with pytest.raises(DataError, match=r"facemill\.imface\.1"):
        load_refiner(foreign)
