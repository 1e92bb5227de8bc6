"""Where codes start from when ImFace is fitted to a scan.

Adam finds the nearest valley, and from the mean of all trained codes that may be the wrong one: a
mouth that is wide open in the scan stays shut. So the expression code starts from the mean code of
the trained expression that explains the scan best as it is.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from facemill.imface.config import FitConfig
from facemill.imface.model import ImFace
from facemill.randomness import derived_seed

LOOK = 2048
"""Points of a scan that the candidates are tried on."""


def start_codes(
    model: ImFace,
    person: str,
    expressions: Sequence[str],
    config: FitConfig,
    rows: Float[Tensor, "b n 7"] | None = None,
) -> tuple[Float[Tensor, "i ci"], Float[Tensor, "b ce"]]:
    """Codes to begin with, ready for Adam; one identity for all scans where they share it.

    ``config.start``: nearest (the mean identity and, for each scan, the trained expression or the
    mean of all that fits ``rows`` best, unit ball), mean (of all trained codes), or random (as
    training begins).
    """
    n_identities = 1 if config.share_identity else len(expressions)
    device = model.template_landmarks.device
    if config.start == "random":
        drawn = []
        for name in expressions:
            seed = derived_seed(config.seed, "imface_fit", "codes", person, name)
            rng = torch.Generator().manual_seed(seed)
            width = model.config.identity_dim + model.config.expression_dim
            drawn.append(model.config.code_std * torch.randn(width, generator=rng))
        codes = torch.stack(drawn).split(
            [model.config.identity_dim, model.config.expression_dim], 1
        )
        identity, expression = codes[0][:n_identities], codes[1]
    else:
        mean = model.identity_codes.weight.mean(dim=0)
        identity = mean.expand(n_identities, -1)
        expression = model.expression_codes.weight.mean(dim=0).expand(len(expressions), -1)
        if config.start == "nearest":
            expression = nearest_expression(model, mean, expression, rows)
    return tuple(
        codes.detach().clone().to(device).requires_grad_() for codes in (identity, expression)
    )


@torch.no_grad()
def nearest_expression(
    model: ImFace,
    identity: Float[Tensor, " ci"],
    mean: Float[Tensor, "b ce"],
    rows: Float[Tensor, "b n 7"],
) -> Float[Tensor, "b ce"]:
    """For each scan the candidate code with the least mean |f - s| over some of its points."""
    candidates = torch.cat([expression_means(model), mean[:1]])
    points, target = rows[:, :LOOK, :3].to(mean.dtype), rows[:, :LOOK, 6]
    residuals = []
    for candidate in candidates:
        condition = model.condition(identity[None], candidate[None])
        sdf = model.field(points.flatten(0, 1)[None], condition).sdf
        residuals.append((sdf.view_as(target) - target).abs().mean(dim=1))
    return candidates[torch.stack(residuals).argmin(dim=0)]


def expression_means(model: ImFace) -> Float[Tensor, "e ce"]:
    """The mean trained code of each expression over all people."""
    codes = model.expression_codes.weight
    return codes.view(model.n_expressions, -1, codes.shape[-1]).mean(dim=1)
