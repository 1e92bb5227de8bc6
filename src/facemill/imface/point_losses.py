"""The weighted terms over points of losses.py with their gradients, written out.

Same numbers as autograd gives, for a training step that never records anything.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from facemill.imface.config import LossWeights
from facemill.imface.data import Batch

TINY = 1e-12
"""Shortest gradient (1) that is divided by: of none there is no direction."""


def point_losses(
    outputs: tuple[Tensor, ...], batch: Batch, weights: LossWeights, disentangle: bool
) -> tuple[dict[str, Float[Tensor, ""]], tuple[Tensor | None, ...]]:
    """Weighted terms by name, and the gradients of their sum in the outputs of ``FieldSweeps``.

    A gradient that is zero is None. ``disentangle``: whether there is an E with terms of its own.
    """
    sdf, correction, _, _, deformation, gradient, neutral_gradient = outputs
    count = sdf.numel()
    residual = sdf - batch.sdf
    terms = {
        "sdf": weights.sdf / count * residual.abs().sum(),
        "correction": weights.correction / count * correction.abs().sum(),
    }
    of_sdf = residual.sign().mul_(weights.sdf / count)
    of_correction = correction.sign().mul_(weights.correction / count)

    length = torch.linalg.vector_norm(gradient, dim=-1, keepdim=True).clamp_(min=TINY)
    normal_length = torch.linalg.vector_norm(batch.normals, dim=-1, keepdim=True).clamp_(min=TINY)
    along = torch.linalg.vecdot(gradient, batch.normals).unsqueeze(-1)
    of_normals = weights.normal / count / (length * normal_length)  # of the cosine, negated
    terms["normal"] = weights.normal - (along * of_normals).sum()
    stretch = length - 1
    terms["eikonal"] = weights.eikonal / count * stretch.abs().sum()
    of_length = stretch.sign().mul_(weights.eikonal / count).div_(length)
    of_length.add_(along.mul_(of_normals).div_(length.square_()))
    of_gradient = (gradient * of_length).addcmul_(batch.normals, of_normals, value=-1)
    of_deformation = of_neutral_gradient = None
    if disentangle:
        length = torch.linalg.vector_norm(neutral_gradient, dim=-1, keepdim=True).clamp_(min=TINY)
        stretch = length - 1
        terms["eikonal_neutral"] = weights.eikonal_neutral / count * stretch.abs().sum()
        of_length = stretch.sign().mul_(weights.eikonal_neutral / count).div_(length)
        of_neutral_gradient = neutral_gradient * of_length
        share = weights.neutral_deformation / deformation.numel()
        own = deformation * batch.is_neutral[:, None, None]
        terms["neutral_deformation"] = share * own.square().sum()
        of_deformation = own.mul_(2 * share)
    return terms, (
        of_sdf, of_correction, None, None, of_deformation, of_gradient, of_neutral_gradient
    )  # fmt: skip
