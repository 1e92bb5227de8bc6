"""Several processes: the mean of their gradients is the gradient of the whole step.

Weights are not compared: fresh networks of sines are so rough that rounding grows with each step.
"""

import copy

import pytest
import torch
from small_imface import small_model

from facemill.imface import losses
from facemill.imface.config import LossWeights, TrainConfig
from facemill.imface.data import open_training_set
from facemill.imface.train import Steps
from facemill.training.processes import Processes

CONFIG = TrainConfig(batch_scans=4, points=64, steps=10)


@pytest.mark.parametrize("refine", [False, True])
def test_the_mean_gradient_of_two_halves_is_that_of_the_whole(made_data, refine):
    data = open_training_set(*made_data())
    people, expressions = len(data.people), len(data.expressions)
    fresh = small_model(people=people, expressions=expressions, dtype=torch.float32, detail_dim=4)

    def gradient(processes: Processes) -> tuple[dict, dict]:
        model = copy.deepcopy(fresh).double()
        batch = Steps(data, CONFIG, 10, model, 1, processes).batch(3)
        doubled = type(batch)(
            *[v.double() if v.is_floating_point() else v for v in vars(batch).values()]
        )
        terms = losses.backward(model, doubled, LossWeights(), 64, refine)
        found = {n: p.grad for n, p in model.named_parameters() if p.grad is not None}
        return found, terms

    whole, terms = gradient(Processes())
    (first, terms_1), (second, terms_2) = (gradient(Processes(rank, 2)) for rank in range(2))
    assert whole.keys() == first.keys() == second.keys()
    for name, expected in whole.items():
        torch.testing.assert_close((first[name] + second[name]) / 2, expected, msg=name)
    for name, expected in terms.items():
        torch.testing.assert_close((terms_1[name] + terms_2[name]) / 2, expected, msg=name)
