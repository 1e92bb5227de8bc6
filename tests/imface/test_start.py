"""Where the codes of a fit start from."""

import pytest
import torch

from facemill.imface.config import FitConfig
from facemill.imface.model import load_model
from facemill.imface.start import start_codes


@pytest.fixture
def model(tiny_imface):
    return load_model(tiny_imface.model)[0]


def test_start_is_the_mean_of_the_trained_codes_or_random_by_scan(model):
    mean = start_codes(model, "p", ["1_neutral", "2_smile"], FitConfig())
    torch.testing.assert_close(mean[0][0], model.identity_codes.weight.mean(0))
    torch.testing.assert_close(mean[1][1], model.expression_codes.weight.mean(0))
    random = start_codes(model, "p", ["1_neutral", "2_smile"], FitConfig(start="random"))
    again = start_codes(model, "p", ["2_smile"], FitConfig(start="random"))
    assert torch.equal(random[0][1], again[0][0]) and not torch.equal(random[0][0], random[0][1])
