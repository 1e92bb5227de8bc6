"""Each loss term on cases that can be reckoned by hand."""

import pytest
import torch
from small_imface import small_batch, small_model

from facemill.imface import losses
from facemill.imface.config import LossWeights


def test_sdf_term_is_the_mean_distance():
    value = losses.sdf_term(torch.tensor([[0.1, -0.2]]), torch.tensor([[0.0, 0.1]]))
    assert value.item() == pytest.approx(0.2)


def test_normal_term_sees_directions_only():
    gradient = torch.tensor([[[5.0, 0, 0], [0, 2, 0], [0, 0, -3]]])
    normals = torch.tensor([[[1.0, 0, 0], [1, 0, 0], [0, 0, 1]]])
    assert losses.normal_term(gradient, normals).item() == pytest.approx((0 + 1 + 2) / 3)


def test_eikonal_term_sees_lengths_only_and_has_a_finite_gradient_at_zero():
    gradient = torch.tensor([[[0.0, 3, 4], [0, 0, 0]]], requires_grad=True)
    value = losses.eikonal_term(gradient)
    assert value.item() == pytest.approx((4 + 1) / 2)
    value.backward()
    assert gradient.grad.isfinite().all()


def test_code_term_is_a_mean_over_scans_and_dimensions():
    assert losses.code_term(torch.tensor([[1.0, 2.0], [0.0, 0.0]])).item() == pytest.approx(5 / 4)


def test_landmark_and_correction_terms_are_mean_absolute_values():
    a = torch.zeros(2, 5, 3)
    b = a.clone()
    b[0, 0, 0] = 3.0
    assert losses.landmark_term(a, b).item() == pytest.approx(3 / 30)
    assert losses.correction_term(torch.tensor([[1.0, -3.0]])).item() == pytest.approx(2)


def test_neutral_deformation_counts_other_scans_as_zeros_in_the_mean():
    deformation = torch.ones(4, 10, 6)
    is_neutral = torch.tensor([True, False, False, False])
    value = losses.neutral_deformation_term(2 * deformation, is_neutral)
    assert value.item() == pytest.approx(4 / 4)
    assert losses.neutral_deformation_term(deformation, ~is_neutral).item() == pytest.approx(3 / 4)


def test_weights_of_the_release_apply_by_name():
    terms = {name: torch.tensor(1.0) for name in vars(LossWeights())}
    weighted = losses.weighted(terms, LossWeights())
    assert len(weighted) == 16
    assert (weighted["sdf"], weighted["eikonal_neutral"]) == (3000, 50)
    assert (weighted["identity_code"], weighted["neutral_deformation"]) == (1e6, 1e4)


def test_sums_over_parts_do_not_depend_on_the_number_of_threads():
    model, batch = small_model(dtype=torch.float32), small_batch(torch.float32, points=200)
    layers = model.field_layers(losses.conditioned(model, batch, False)[0])
    parts = [(rows, span) for rows in losses.slices(3, 1) for span in losses.slices(200, 30)]
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 3, 3):
            torch.set_num_threads(threads)
            gradients, terms = losses._passes(model, batch, LossWeights(), layers, parts)
            found.append([*gradients, *terms.values()])
    finally:
        torch.set_num_threads(before)
    for other in found[1:]:
        assert all(torch.equal(a, b) for a, b in zip(found[0], other, strict=True))
