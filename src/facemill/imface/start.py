"""Where codes start from when ImFace is fitted to a scan."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from facemill.imface.config import FitConfig
from facemill.imface.model import ImFace
from facemill.randomness import derived_seed


def start_codes(
    model: ImFace, person: str, expressions: Sequence[str], config: FitConfig
) -> tuple[Float[Tensor, "i ci"], Float[Tensor, "b ce"]]:
    """Codes to begin with, ready for Adam; one identity for all scans where they share it.

    ``config.start``: mean (of all trained codes) or random (as training begins, and as published).
    Starting from the trained expression nearest to the scan was tried and changed nothing.
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
        identity = model.identity_codes.weight.mean(dim=0).expand(n_identities, -1)
        expression = model.expression_codes.weight.mean(dim=0).expand(len(expressions), -1)
    return tuple(
        codes.detach().clone().to(device).requires_grad_() for codes in (identity, expression)
    )
