"""ImFace's loss, one function per term, unweighted (weights: config.LossWeights).

Means run over all points of all scans of a batch; lengths are in units of 100 mm. Surface and free
points are mixed as they come, without re-balancing.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from facemill.imface.blend import parameters_of
from facemill.imface.config import LossWeights
from facemill.imface.data import Batch
from facemill.imface.model import Condition, ImFace
from facemill.imface.point_losses import point_losses
from facemill.imface.sweeps import FieldSweeps
from facemill.nets.siren import Layers
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

    Points know of each other only through the fields' layers. So they go through the fields
    ``at_once`` at a time, forwards and backwards, and what they ask of the layers is collected and
    sent back through hyper-networks and codes once. Memory is that of ``at_once`` points for each
    thread.

    The refinement's terms move detail codes, their hyper-network and its fusion net alone: base and
    detail shall not trade places.
    """
    condition, codes = conditioned(model, batch, refine)
    of_scans = weighted(scan_terms(model, batch, condition, codes), weights)
    layers = model.field_layers(condition)
    scans, points = batch.sdf.shape
    parts = [
        (rows, span)
        for rows in slices(scans, max(1, at_once // points))
        for span in slices(points, at_once)
    ]
    passed = _passes(model, batch, weights, layers, parts)
    tensors, gradients, terms = model.sweep_parameters(layers), passed.gradients, passed.terms
    if refine:
        refined = _refined_passes(model, batch, weights, condition, parts)
        tensors = tensors + _detail_parameters(model, condition)
        gradients, terms = gradients + refined.gradients, terms | refined.terms
    torch.autograd.backward(
        [torch.stack(list(of_scans.values())).sum(), *tensors], [None, *gradients]
    )
    return {name: term.detach() for name, term in of_scans.items()} | terms


class _Passed(NamedTuple):
    """What some parts of a batch ask for: gradients of tensors, weighted terms."""

    gradients: list[Tensor]
    terms: dict[str, Tensor]


def _passes(
    model: ImFace,
    batch: Batch,
    weights: LossWeights,
    layers: Sequence[Layers],
    parts: Sequence[tuple[slice, slice]],
) -> _Passed:
    """Forwards and backwards through the fields for all parts (scans, points).

    On a CPU each thread takes a part of its own: that has no barriers. Sums follow the order of the
    parts, whichever is ready first.
    """

    def sweeps(rows: slice) -> FieldSweeps:
        *warps, template = layers  # the template's are the same for all scans
        own = [[(weight[rows], bias[rows]) for weight, bias in warp] for warp in warps]
        return model.sweeps([*own, template])

    with torch.no_grad():
        fields = {start: sweeps(rows) for start, rows in {r.start: r for r, _ in parts}.items()}

    @torch.no_grad()
    def passed(part: tuple[slice, slice]) -> _Passed:
        own, passes = batch.part(*part), fields[part[0].start].fresh()
        terms, of_outputs = point_losses(
            passes.outputs(own.points), own, weights, model.config.disentangle
        )
        return _Passed(passes.backward(*of_outputs)[1], terms)

    found = in_threads(passed, parts, batch.sdf.device)
    return _summed(model.sweep_parameters(layers), batch, parts, found)


def _refined_passes(
    model: ImFace,
    batch: Batch,
    weights: LossWeights,
    condition: Condition,
    parts: Sequence[tuple[slice, slice]],
) -> _Passed:
    """The same for the refinement's terms, by autograd."""
    condition = condition.detach()

    def passed(part: tuple[slice, slice]) -> _Passed:
        leaves = condition.rows(part[0]).leaves()
        terms = weighted(refined_terms(model, batch.part(*part).rows, leaves), weights)
        loss = torch.stack(list(terms.values())).sum()
        gradients = torch.autograd.grad(loss, _detail_parameters(model, leaves))
        return _Passed(list(gradients), {name: term.detach() for name, term in terms.items()})

    found = in_threads(passed, parts, batch.sdf.device)
    return _summed(_detail_parameters(model, condition), batch, parts, found)


def _summed(
    tensors: Sequence[Tensor],
    batch: Batch,
    parts: Sequence[tuple[slice, slice]],
    found: Iterable[_Passed],
) -> _Passed:
    """Means over parts to means over the batch; layers of some scans to those of all."""
    gradients = [torch.zeros_like(tensor) for tensor in tensors]
    terms: dict[str, Tensor] = {}
    for (rows, span), own in zip(parts, found, strict=True):
        share = batch.sdf[rows, span].numel() / batch.sdf.numel()
        into = [
            total if total.shape == gradient.shape else total[rows]
            for total, gradient in zip(gradients, own.gradients, strict=True)
        ]
        torch._foreach_add_(into, own.gradients, alpha=share)
        for name, term in own.terms.items():
            terms[name] = terms.get(name, 0.0) + share * term
    return _Passed(gradients, terms)


def _detail_parameters(model: ImFace, condition: Condition) -> list[Tensor]:
    """What the refinement's points ask for: its layers and its fusion net."""
    return parameters_of(condition.detail_layers, model.detail_field.fusion)


def slices(count: int, size: int) -> list[slice]:
    """Slices of at most ``size`` that cover ``count`` items."""
    return [slice(i, min(i + size, count)) for i in range(0, count, size)]
