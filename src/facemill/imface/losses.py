"""ImFace's loss, one function per term, unweighted (weights: config.LossWeights).

Means run over all points of all scans of a batch; lengths are in units of 100 mm. Surface and free
points are mixed as they come, without re-balancing.
"""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from facemill.imface.config import LossWeights
from facemill.imface.data import Batch
from facemill.imface.model import ImFace


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


def training_terms(model: ImFace, batch: Batch) -> dict[str, Float[Tensor, ""]]:
    """All twelve terms of training on one batch, by the names of ``LossWeights``."""
    identity_code, expression_code = model.codes(batch.identity, batch.expression)
    condition = model.condition(identity_code, expression_code)
    output, gradient, neutral_gradient = model.field_and_gradients(batch.points, condition)
    neutral_landmarks, _ = model.to_neutral(batch.landmarks, condition)
    template_landmarks, _ = model.to_template(neutral_landmarks, condition)
    anchors = list(model.config.anchors)
    return {
        "sdf": sdf_term(output.sdf, batch.sdf),
        "normal": normal_term(gradient, batch.normals),
        "eikonal": eikonal_term(gradient),
        "eikonal_neutral": eikonal_term(neutral_gradient),
        "identity_code": code_term(identity_code),
        "expression_code": code_term(expression_code),
        "correction": correction_term(output.correction),
        "anchors_expression": landmark_term(
            condition.observed_anchors, batch.landmarks[:, anchors]
        ),
        "anchors_identity": landmark_term(
            condition.neutral_anchors, batch.neutral_landmarks[:, anchors]
        ),
        "landmark_deformation": landmark_term(neutral_landmarks, batch.neutral_landmarks),
        "landmark_template": landmark_term(
            template_landmarks, model.template_landmarks.expand_as(template_landmarks)
        ),
        "neutral_deformation": neutral_deformation_term(output.deformation, batch.is_neutral),
    }


def weighted(
    terms: Mapping[str, Float[Tensor, ""]], weights: LossWeights
) -> dict[str, Float[Tensor, ""]]:
    """Each term times its weight; the loss is their sum."""
    return {name: getattr(weights, name) * term for name, term in terms.items()}
