"""The term of the air before the surface; the others are held by the training's tests."""

from dataclasses import replace

import torch
from made_up_people import MODEL, TRAIN

from facemill.mofanerf.config import TrainConfig, TrainSettings
from facemill.mofanerf.losses import AIR_CELL, empty, terms
from facemill.mofanerf.train import initial_model
from facemill.training.settings import from_settings

CONFIG = from_settings(
    TrainConfig, TRAIN | {"images": 4, "rays": 64, "weights": {"empty": 1.0}}, "train"
)


def test_opaque_fog_is_still_told_to_thin():
    """What a ray lets through has no gradient there: exp(-1000)."""
    density = torch.full((2, 8), 1000 / AIR_CELL, requires_grad=True)
    known = torch.ones(2, 8, dtype=torch.bool)
    known[1] = False
    empty(density, known).backward()
    torch.testing.assert_close(density.grad[0], torch.full((8,), AIR_CELL / 1001 / 16))
    assert (density.grad[1] == 0).all()
    assert empty(torch.zeros(2, 8), known) == 0


def test_the_term_is_there_if_it_has_a_weight_and_moves_no_sample(data):
    settings = from_settings(TrainSettings, {"model": MODEL}, "mofanerf")
    model, batch = initial_model(settings, data), data.batch(0, CONFIG)
    shapes, textures = map(torch.from_numpy, (data.shapes, data.textures))

    def found(weight: float) -> dict[str, torch.Tensor]:
        weights = replace(CONFIG.weights, empty=weight)
        draw = torch.Generator().manual_seed(0)
        return terms(model, batch, shapes, textures, weights, CONFIG.sampling, draw)

    without, one, two = found(0.0), found(1.0), found(2.0)
    assert "empty" not in without and one["empty"] > 0
    torch.testing.assert_close(two["empty"], 2 * one["empty"])
    for name, term in without.items():
        torch.testing.assert_close(one[name], term)
