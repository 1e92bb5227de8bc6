"""The terms of MoFaNeRF's loss; what is ours beside the published colour term is named so."""

import torch
import torch.nn.functional as F
from torch import Tensor

from facemill.mofanerf.canonical import CanonicalField, Conditioned
from facemill.mofanerf.config import LossWeights, SamplingConfig
from facemill.mofanerf.data import Batch
from facemill.mofanerf.model import Codes, MoFaNeRF
from facemill.mofanerf.rays import Draw
from facemill.mofanerf.render import Traced, trace


def colour(seen: Tensor, truth: Tensor) -> Tensor:
    """Mean squared difference of colours over black (sec. 3.4, eq. 5)."""
    return F.mse_loss(seen, truth)


def opacity(seen: Tensor, mask: Tensor) -> Tensor:
    """Binary cross-entropy between what stops a ray and the mask (ours: the mask comes free)."""
    seen = seen.clamp(1e-4, 1 - 1e-4)
    # torch's own stops at not-a-number; a run that diverges is to be told at which step.
    return -torch.where(mask, seen.log(), (1 - seen).log()).mean()


def depth(traced: Traced, guide: Tensor, mask: Tensor, count: Tensor | None = None) -> Tensor:
    """Mean distance (scene units) of what a ray sees from the true surface (ours).

    Weighted by what stops the ray, so that fog before the surface costs as much as a wrong depth.
    ``count`` is the number of rays that the mean is over, where it is not this mask's.
    """
    away = (traced.parameters - guide.unsqueeze(-1)).abs()
    along = (traced.fine.weights * away).sum(-1)
    count = mask.sum() if count is None else count
    return (along * mask).sum() / count.clamp_min(1)


def correspondence(
    field: CanonicalField, batch: Batch, codes: Tensor, predicted_codes: Tensor | None = None
) -> Tensor:
    """How far vertices are led from where the same ones lie on the mean face (ours).

    Mean of e + 5 e^2 of the distance e (scene units): the square weighs open mouths, which are few
    vertices that move far; the distance itself settles the rest. ``predicted_codes`` belong to the
    batch's predicted faces, whose vertices count like the others.
    """
    away = (field.to_mean_face(batch.vertices, codes) - batch.canonical).norm(dim=-1)
    if batch.predicted is not None:
        faces = batch.predicted
        led = field.to_mean_face(faces.vertices, predicted_codes)
        away = torch.cat([away, (led - faces.canonical).norm(dim=-1)], dim=1)
    return (away + 5.0 * away.square()).mean()


def terms(
    model: MoFaNeRF,
    batch: Batch,
    shapes: Tensor,
    textures: Tensor,
    weights: LossWeights,
    sampling: SamplingConfig,
    generator: Draw,
    on_head: Tensor | None = None,
) -> dict[str, Tensor]:
    """All terms of a batch, each times its weight.

    ``shapes`` (p, 50) and ``textures`` (p, 3, s, s; 0 to 255) belong to the training people. A
    texture goes through its network once, however many images show its person. ``on_head`` is the
    mean number of rays on the head where the batch is one of several processes'.
    """
    people, place = batch.person.unique(return_inverse=True)
    appearance = model.appearance_of(people, textures[people].float() / 255.0)[place]
    codes = model.condition(shapes[batch.person], model.expression(batch.expression), appearance)
    traced = trace(model, batch.rays, codes, sampling, sampling.shell, generator)
    # Sums and logarithms stay in single precision whatever the networks compute in.
    with torch.autocast(batch.guide.device.type, enabled=False):
        return weighted(model, batch, traced, codes, weights, on_head)


def weighted(
    model: MoFaNeRF,
    batch: Batch,
    traced: Traced,
    codes: Codes | Conditioned,
    weights: LossWeights,
    on_head: Tensor | None = None,
) -> dict[str, Tensor]:
    """The terms of what was traced, each times its weight."""
    found = {
        "colour": weights.colour * colour(traced.fine.colour, batch.colour),
        "opacity": weights.opacity * opacity(traced.fine.opacity, batch.mask),
    }
    if traced.coarse is not None:
        found["colour_coarse"] = weights.colour_coarse * colour(traced.coarse.colour, batch.colour)
    else:
        found["depth"] = weights.depth * depth(traced, batch.guide, batch.mask, on_head)
    if isinstance(codes, Conditioned) and weights.correspondence:
        beyond = None
        if batch.predicted is not None:
            faces = batch.predicted
            beyond = model.geometry(faces.shape, model.expression(faces.expression))
        term = correspondence(model.fine, batch, codes.geometry.float(), beyond)
        found["correspondence"] = weights.correspondence * term
    return found
