"""The patch discriminators: published size, receptive field, losses in closed form."""

from itertools import pairwise

import pytest
import torch

from facemill.errors import ConfigError
from facemill.nets.patchgan import (
    MultiScalePatchGAN,
    PatchGAN,
    PatchGANConfig,
    feature_matching,
    least_squares,
    start_weights,
)


def test_two_scales_of_the_published_size():
    network = MultiScalePatchGAN(6)
    widths = [6, 64, 128, 256, 512, 1]
    one = sum(16 * a * b + b for a, b in pairwise(widths))
    assert sum(p.numel() for p in network.parameters()) == 2 * one == 5_535_618
    found = network(torch.zeros(1, 6, 64, 64))
    assert [len(stages) for stages in found] == [5, 5]
    assert [tuple(stages[-1].shape) for stages in found] == [(1, 1, 11, 11), (1, 1, 7, 7)]
    assert found[0][0].shape == (1, 64, 33, 33)


def test_a_verdict_sees_a_patch_of_70_pixels():
    """The receptive field of three strided and two plain 4 x 4 layers is 70 pixels."""
    network = PatchGAN(3, PatchGANConfig(channels=4)).double()
    # Instance norm looks at the whole picture: without it the field is that of the convolutions.
    for stage in network.stages:
        for name, module in list(getattr(stage, "named_children", lambda: [])()):
            if isinstance(module, torch.nn.InstanceNorm2d):
                setattr(stage, name, torch.nn.Identity())
    picture = torch.randn(1, 3, 160, 160, dtype=torch.float64, requires_grad=True)
    network(picture)[-1][0, 0, 10, 10].backward()
    rows = torch.nonzero(picture.grad.abs().sum((0, 1, 3))).ravel()
    assert int(rows.max() - rows.min()) + 1 == 70


def test_the_coarser_scale_sees_means_of_neighbours():
    network = MultiScalePatchGAN(3, PatchGANConfig(channels=4))
    constant = torch.full((1, 3, 32, 32), 0.5)
    alone = network.scales[1](torch.full((1, 3, 16, 16), 0.5))
    torch.testing.assert_close(network(constant)[1][-1], alone[-1])  # borders are not darkened


def verdicts(*values):
    return [[torch.zeros(1), torch.full((1, 1, 2, 2), v)] for v in values]


def test_losses_in_closed_form():
    assert least_squares(verdicts(1.0, 0.5), 1.0).item() == pytest.approx(0.25)
    assert least_squares(verdicts(1.0, 0.5), 0.0).item() == pytest.approx(1.25)
    made = [[torch.ones(2), torch.zeros(3), torch.zeros(1)], [torch.ones(4) * 3, torch.ones(1)]]
    real = [[torch.zeros(2), torch.ones(3) * 2, torch.ones(1)], [torch.zeros(4), torch.zeros(1)]]
    # (1 + 2) of the first scale, 3 of the second, mean over scales; verdicts do not count.
    assert feature_matching(made, real).item() == pytest.approx(3.0)


def test_no_gradient_of_feature_matching_reaches_the_real_side():
    a = torch.ones(3, requires_grad=True)
    b = torch.zeros(3, requires_grad=True)
    feature_matching([[a, a]], [[b, b]]).backward()
    assert a.grad is not None and b.grad is None


def test_first_weights_have_the_published_deviation():
    torch.manual_seed(0)
    network = MultiScalePatchGAN(6)
    start_weights(network)
    weights = torch.cat([p.ravel() for p in network.parameters() if p.ndim == 4])
    assert weights.std().item() == pytest.approx(0.02, rel=0.01)
    assert all(not p.any() for p in network.parameters() if p.ndim == 1)


def test_sizes_below_one_are_refused():
    with pytest.raises(ConfigError, match="scales"):
        PatchGANConfig(scales=0)
