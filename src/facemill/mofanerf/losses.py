"""The terms of MoFaNeRF's loss; what is ours beside the published colour term is named so."""

import torch
import torch.nn.functional as F
from torch import Tensor

from facemill.mofanerf.canonical import CanonicalField, Conditioned
from facemill.mofanerf.config import LossWeights, SamplingConfig
from facemill.mofanerf.data import Batch, ShownFaces
from facemill.mofanerf.model import Codes, MoFaNeRF
from facemill.mofanerf.predicted import Predicted
from facemill.mofanerf.rays import UNIT, Draw
from facemill.mofanerf.render import Traced, trace

AIR_CELL = 5.0 / UNIT
"""The length of ray (scene units) that a density in the air is judged over."""


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


def empty(density: Tensor, air: Tensor) -> Tensor:
    """Mean of log(1 + sigma AIR_CELL) at places of which those in ``air`` are empty (ours).

    Rendering tells little of fog in an open mouth: faces with closed lips never show what lies
    behind them, samples are far apart there, and the density of opaque fog has no gradient. Under
    the logarithm it has one.
    """
    return (torch.log1p(density * AIR_CELL) * air).mean()


def correspondence(model: MoFaNeRF, faces: ShownFaces, codes: Tensor) -> Tensor:
    """How far vertices are led from where the same ones lie on the mean face (ours).

    Mean of e + 5 e^2 of the distance e (scene units): the square weighs open mouths, which are few
    vertices that move far; the distance itself settles the rest. ``codes`` (b, g) are what drives
    the geometry of ``faces``; vertices of predicted ones count like the others.
    """
    away = _led_astray(model.fine, faces, codes)
    beyond = faces.predicted
    if beyond is not None:
        own = model.geometry(beyond.shape, model.expression(beyond.expression))
        away = torch.cat([away, _led_astray(model.fine, beyond, own)], dim=1)
    return (away + 5.0 * away.square()).mean()


def _led_astray(field: CanonicalField, faces: ShownFaces | Predicted, codes: Tensor) -> Tensor:
    return (field.to_mean_face(faces.vertices, codes) - faces.canonical).norm(dim=-1)


def warp_terms(
    model: MoFaNeRF, faces: ShownFaces, shapes: Tensor, weights: LossWeights
) -> dict[str, Tensor]:
    """The term of a step that teaches the warp alone, times its weight."""
    codes = model.geometry(shapes[faces.person], model.expression(faces.expression))
    return {"correspondence": weights.correspondence * correspondence(model, faces, codes)}


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
    person = batch.faces.person
    people, place = person.unique(return_inverse=True)
    appearance = model.appearance_of(people, textures[people].float() / 255.0)[place]
    expression = model.expression(batch.faces.expression)
    codes = model.condition(shapes[person], expression, appearance)
    traced = trace(model, batch.rays, codes, sampling, generator)
    air = None
    if isinstance(codes, Conditioned) and weights.empty:
        air = model.fine.density_at(batch.places, codes)
    # Sums and logarithms stay in single precision whatever the networks compute in.
    with torch.autocast(batch.guide.device.type, enabled=False):
        found = weighted(model, batch, traced, codes, weights, on_head)
        if air is not None:
            found["empty"] = weights.empty * empty(air, batch.air)
        return found


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
        term = correspondence(model, batch.faces, codes.geometry.float())
        found["correspondence"] = weights.correspondence * term
    return found
