"""From densities and colours along rays to pixels: the volume rendering sum (sec. 3.2).

With optical depths a_i = sigma_i |d| (t_{i+1} - t_i) a sample's weight is
w_i = exp(-sum_{j<i} a_j) (1 - exp(-a_i)): what reaches it, times what it stops.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class Rendered:
    """What rays see. Colours are over black."""

    colour: Float[Tensor, "*r 3"]
    opacity: Float[Tensor, "*r"]
    depth: Float[Tensor, "*r"]  # mean ray parameter of what is seen, times opacity
    weights: Float[Tensor, "*r s"]


def composite(
    density: Float[Tensor, "*r s"],
    colour: Float[Tensor, "*r s 3"],
    parameters: Float[Tensor, "*r s"],
    length: Float[Tensor, "*r"],
    widths: Float[Tensor, "*r s"] | None = None,
) -> Rendered:
    """Composite samples at rising ray ``parameters`` t on rays o + t d with |d| = ``length``.

    With ``widths`` each sample stands for so much of the parameter, round itself. Without, each
    stands for the interval up to the next one, and nothing lies behind the last that it could let
    through (release).
    """
    if widths is None:
        last = torch.full_like(parameters[..., :1], 1e10)
        widths = torch.cat([torch.diff(parameters, dim=-1), last], dim=-1)
    thickness = density * widths * length.unsqueeze(-1)
    # Not the whole sum less the own part, which an endless last interval would leave nothing of.
    before = F.pad(torch.cumsum(thickness[..., :-1], dim=-1), (1, 0))
    weights = torch.exp(-before) * -torch.expm1(-thickness)
    return Rendered(
        (weights.unsqueeze(-1) * colour).sum(dim=-2),
        weights.sum(dim=-1),
        (weights * parameters).sum(dim=-1),
        weights,
    )
