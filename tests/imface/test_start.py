"""Where the codes of a fit start from."""

import pytest
import torch

from facemill.imface.config import FitConfig
from facemill.imface.model import load_model
from facemill.imface.start import expression_means, start_codes


@pytest.fixture
def model(tiny_imface):
    return load_model(tiny_imface.model)[0]


def test_start_is_the_mean_of_the_trained_codes_or_random_by_scan(model):
    mean = start_codes(model, "p", ["1_neutral", "2_smile"], FitConfig(start="mean"))
    torch.testing.assert_close(mean[0][0], model.identity_codes.weight.mean(0))
    torch.testing.assert_close(mean[1][1], model.expression_codes.weight.mean(0))
    random = start_codes(model, "p", ["1_neutral", "2_smile"], FitConfig(start="random"))
    again = start_codes(model, "p", ["2_smile"], FitConfig(start="random"))
    assert torch.equal(random[0][1], again[0][0]) and not torch.equal(random[0][0], random[0][1])


def test_start_is_the_trained_expression_that_fits_best(model):
    with torch.no_grad():
        model.expression_codes.weight.mul_(5)  # expressions that differ clearly
        means = expression_means(model)
        identity = model.identity_codes.weight.mean(0)
        points = torch.rand(3, 300, 3) - 0.5
        rows = torch.zeros(3, 300, 7)
        rows[..., :3] = points
        shown = [2, 0, 1]
        for scan, number in enumerate(shown):
            condition = model.condition(identity[None], means[number][None])
            rows[scan, :, 6] = model.field(points[scan][None], condition).sdf[0]
    names = ["a", "b", "c"]
    _, codes = start_codes(model, "p", names, FitConfig(start="nearest"), rows)
    for code, number in zip(codes, shown, strict=True):
        assert torch.equal(code.detach(), means[number])
    shared, _ = start_codes(model, "p", names, FitConfig(share_identity=True), rows)
    assert len(shared) == 1
