"""ImFace's loss, one function per term, unweighted (weights: config.LossWeights).

Means run over all points of all scans of a batch; lengths are in units of 100 mm. Surface and free
points are mixed as they come, without re-balancing.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from facemill.imface.config import LossWeights
from facemill.imface.data import Batch
from facemill.imface.model import Condition, ImFace
from facemill.training.device import in_threads


def sdf_term(sdf: Float[Tensor, "b n"], target: Float[Tensor, "b n"]) -> Float[Tensor, ""]:
    """mean |f - s|."""
    return (sdf - target).abs().mean()


def normal_term(
    gradient: Float[Tensor, "b n 3"], normals: Float[Tensor, "b n 3"]
) -> Float[Tensor, ""]:
    """mean 1 - cos(grad_x f, n), on surface and free points alike."""
    return (1 - F.cosine_similarity(gradient, normals, dim=-1)).mean()


def eikonal_term(gradient: Float[Tensor, "b n 3"]) -> Float[Tensor, ""]:
    """mean | |grad f| - 1 |, of the observed or the neutral space's gradient."""
    return (torch.linalg.vector_norm(gradient, dim=-1) - 1).abs().mean()


def code_term(code: Float[Tensor, "b c"]) -> Float[Tensor, ""]:
    """mean z^2 over scans and dimensions: codes stay near the origin."""
    return code.square().mean()


def correction_term(correction: Float[Tensor, "b n"]) -> Float[Tensor, ""]:
    """mean |d|: shape differences shall be explained by motion where they can."""
    return correction.abs().mean()


def landmark_term(
    predicted: Float[Tensor, "b k 3"], target: Float[Tensor, "b k 3"]
) -> Float[Tensor, ""]:
    """mean |difference| over all coordinates of all landmarks."""
    return (predicted - target).abs().mean()


def neutral_deformation_term(
    deformation: Float[Tensor, "b n m"], is_neutral: Bool[Tensor, " b"]
) -> Float[Tensor, ""]:
    """mean over the whole batch of E's squared raw output, counted as 0 on other expressions.

    The mean includes those zeros: with one neutral scan in fifteen the term is fifteen times weaker
    than its weight suggests (release).
    """
    return (deformation.square() * is_neutral[:, None, None]).mean()


def training_terms(
    model: ImFace, batch: Batch, refine: bool = False
) -> dict[str, Float[Tensor, ""]]:
    """All terms of training on one batch, by the names of ``LossWeights``.

    A model without E has none of E's terms; those of the refinement come with ``refine``. For a
    step use :func:`backward`: same numbers, less memory and time.
    """
    condition, codes = conditioned(model, batch, refine)
    terms = scan_terms(model, batch, condition, codes) | point_terms(model, batch, condition)
    return terms | (refined_terms(model, batch.rows, condition) if refine else {})


def conditioned(model: ImFace, batch: Batch, refine: bool) -> tuple[Condition, dict[str, Tensor]]:
    """The condition of a batch's scans and the codes it comes from, by their terms' names."""
    identity, expression = model.codes(batch.identity, batch.expression)
    codes = {"identity_code": identity, "expression_code": expression}
    detail = model.details(batch.identity, batch.expression) if refine else None
    if detail is not None:
        codes["detail_code"] = detail
    return model.condition(identity, expression, detail), codes


def scan_terms(
    model: ImFace, batch: Batch, condition: Condition, codes: Mapping[str, Tensor]
) -> dict[str, Float[Tensor, ""]]:
    """The terms of codes and landmarks."""
    anchors = list(model.config.anchors)
    neutral_landmarks, _ = model.to_neutral(batch.landmarks, condition)
    template_landmarks, _ = model.to_template(neutral_landmarks, condition)
    goal = model.template_landmarks.expand_as(template_landmarks)
    terms = {name: code_term(code) for name, code in codes.items()}
    terms["anchors_expression"] = landmark_term(
        condition.observed_anchors, batch.landmarks[:, anchors]
    )
    terms["landmark_template"] = landmark_term(template_landmarks, goal)
    if model.config.disentangle:
        terms["anchors_identity"] = landmark_term(
            condition.neutral_anchors, batch.neutral_landmarks[:, anchors]
        )
        terms["landmark_deformation"] = landmark_term(neutral_landmarks, batch.neutral_landmarks)
    return terms


def point_terms(model: ImFace, batch: Batch, condition: Condition) -> dict[str, Float[Tensor, ""]]:
    """The terms that are means over points."""
    output, gradient, neutral_gradient = model.field_and_gradients(batch.points, condition)
    terms = {
        "sdf": sdf_term(output.sdf, batch.sdf),
        "normal": normal_term(gradient, batch.normals),
        "eikonal": eikonal_term(gradient),
        "correction": correction_term(output.correction),
    }
    if model.config.disentangle:
        terms["eikonal_neutral"] = eikonal_term(neutral_gradient)
        terms["neutral_deformation"] = neutral_deformation_term(
            output.deformation, batch.is_neutral
        )
    return terms


def refined_terms(
    model: ImFace, rows: Float[Tensor, "b n 7"], condition: Condition
) -> dict[str, Float[Tensor, ""]]:
    """Distance, normal and eikonal terms of the refined field (ImFace++).

    ``rows``: points, normals, distances in the unit ball.
    """
    with torch.enable_grad():
        points = rows[..., :3].detach().requires_grad_()
        sdf = model.refined_sdf(points, condition)
        (gradient,) = torch.autograd.grad(sdf.sum(), points, create_graph=True)
    return {
        "refined_sdf": sdf_term(sdf, rows[..., 6]),
        "refined_normal": normal_term(gradient, rows[..., 3:6]),
        "refined_eikonal": eikonal_term(gradient),
    }


def weighted(
    terms: Mapping[str, Float[Tensor, ""]], weights: LossWeights
) -> dict[str, Float[Tensor, ""]]:
    """Each term times its weight; the loss is their sum."""
    return {name: getattr(weights, name) * term for name, term in terms.items()}


def backward(
    model: ImFace, batch: Batch, weights: LossWeights, at_once: int, refine: bool = False
) -> dict[str, Float[Tensor, ""]]:
    """Weighted terms of a batch, detached; their sum's gradients are added to the parameters'.

    Points know of each other only through the condition. So they go through the fields ``at_once``
    at a time, forwards and backwards, and what they ask of the condition is collected and sent back
    through hyper-networks and codes once. Memory is that of ``at_once`` points for each thread.

    The refinement's terms move detail codes, their hyper-network and its fusion net alone: base and
    detail shall not trade places.
    """
    condition, codes = conditioned(model, batch, refine)
    of_scans = weighted(scan_terms(model, batch, condition, codes), weights)
    scans, points = batch.sdf.shape
    parts = [
        (rows, span)
        for rows in slices(scans, max(1, at_once // points))
        for span in slices(points, at_once)
    ]
    found = _passes(model, batch, weights, condition, refine, parts)

    for parameter, gradient in zip(fields_parameters(model, refine), found.parameters, strict=True):
        add_gradient(parameter, gradient)
    torch.autograd.backward(
        [torch.stack(list(of_scans.values())).sum(), *condition.layer_tensors()],
        [None, *found.layers],
    )
    return {name: term.detach() for name, term in of_scans.items()} | found.terms


class _Passed(NamedTuple):
    """What some parts of a batch ask for: gradients of layers and parameters, weighted terms."""

    layers: list[Tensor]
    parameters: list[Tensor]
    terms: dict[str, Tensor]


def _passes(
    model: ImFace,
    batch: Batch,
    weights: LossWeights,
    condition: Condition,
    refine: bool,
    parts: Sequence[tuple[slice, slice]],
) -> _Passed:
    """Forwards and backwards through the fields for all parts (scans, points).

    On a CPU each thread takes a part of its own: that has no barriers. Sums follow the order of the
    parts, whichever is ready first.
    """
    of_layers = [torch.zeros_like(tensor) for tensor in condition.layer_tensors()]
    of_parameters = [torch.zeros_like(p) for p in fields_parameters(model, refine)]
    totals: dict[str, Tensor] = {}
    condition = condition.detach()

    def passed(part: tuple[slice, slice]) -> _Passed:
        return _pass(model, batch.part(*part), weights, condition.rows(part[0]), refine)

    for (rows, span), found in zip(parts, in_threads(passed, parts, batch.sdf.device), strict=True):
        share = batch.sdf[rows, span].numel() / batch.sdf.numel()
        into = [*(tensor[rows] for tensor in of_layers), *of_parameters]
        for total, gradient in zip(into, [*found.layers, *found.parameters], strict=True):
            total.add_(gradient, alpha=share)
        for name, term in found.terms.items():
            totals[name] = totals.get(name, 0.0) + share * term
    return _Passed(of_layers, of_parameters, totals)


def _pass(
    model: ImFace, part: Batch, weights: LossWeights, condition: Condition, refine: bool
) -> _Passed:
    """Forwards and backwards through the fields for one part, with means over its own points."""
    leaves = condition.leaves()
    layers, parameters = leaves.layer_tensors(), fields_parameters(model, refine)
    base, base_layers = len(fields_parameters(model)), len(layers) - 2 * len(leaves.detail_layers)
    terms = weighted(point_terms(model, part, leaves), weights)
    asked = [*layers[:base_layers], *parameters[:base]]
    found = list(torch.autograd.grad(torch.stack(list(terms.values())).sum(), asked))
    of_layers, of_parameters = found[:base_layers], found[base_layers:]
    if refine:
        of_detail = weighted(refined_terms(model, part.rows, leaves), weights)
        asked = [*layers[base_layers:], *parameters[base:]]
        loss = torch.stack(list(of_detail.values())).sum()
        found = list(torch.autograd.grad(loss, asked))
        of_layers += found[: len(layers) - base_layers]
        of_parameters += found[len(layers) - base_layers :]
        terms |= of_detail
    return _Passed(of_layers, of_parameters, {name: term.detach() for name, term in terms.items()})


def fields_parameters(model: ImFace, refine: bool = False) -> list[Tensor]:
    """Parameters that points meet directly; those of the refinement come last."""
    parts = [model.template_field, model.identity_field.fusion]
    if model.config.disentangle:
        parts.append(model.expression_field.fusion)
    if refine:
        parts.append(model.detail_field.fusion)
    return [parameter for part in parts if part is not None for parameter in part.parameters()]


def add_gradient(parameter: Tensor, gradient: Tensor) -> None:
    """Add to ``parameter.grad`` as a backward pass does."""
    if parameter.grad is None:
        parameter.grad = gradient
    else:
        parameter.grad += gradient


def slices(count: int, size: int) -> list[slice]:
    """Slices of at most ``size`` that cover ``count`` items."""
    return [slice(i, min(i + size, count)) for i in range(0, count, size)]
