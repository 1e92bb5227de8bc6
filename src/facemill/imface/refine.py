"""Test time of ImFace++'s refinement: detail codes, once identity and expression are found."""

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from facemill.imface import losses
from facemill.imface.config import FitConfig
from facemill.imface.model import ImFace
from facemill.training.descent import Descent
from facemill.training.progress import Progress

AT_ONCE = 8192
"""Points of all scans in one pass: a refined point holds four times the memory of a coarse one."""


def fit_details(
    model: ImFace,
    identity: Float[Tensor, "s ci"],
    expression: Float[Tensor, "s ce"],
    rows_of: Callable[[slice, int], Float[Tensor, "b n 7"]],
    config: FitConfig,
    work: Path | None = None,
    of: Mapping[str, Any] | None = None,
) -> tuple[Float[Tensor, "s cd"], dict[str, float]]:
    """Detail codes of s scans and the weighted terms of the last step, by Adam from the mean code.

    The published test time lets base and detail overlap; here the base stands still, as it does for
    the detail in training. ``rows_of(scans, step)`` gives samples in the unit ball. ``work`` and
    ``of`` as in :func:`~facemill.imface.fit.fit_scans`.
    """
    start = model.detail_codes.weight.mean(dim=0).expand(len(identity), -1)
    detail = start.detach().clone().requires_grad_()
    optimiser = torch.optim.Adam([detail], lr=config.learning_rate)
    with torch.no_grad():
        base = model.condition(identity, expression)
    descent = Descent(work and work / "detail", of or {}, {"detail": detail}, optimiser)
    name = f"imface_fit detail of {len(identity)} scans"
    progress = Progress(name, config.steps, descent.steps)
    totals = descent.terms
    for step in range(descent.steps, config.steps):
        optimiser.param_groups[0]["lr"] = config.learning_rate * decay(config, step)
        optimiser.zero_grad()
        totals = {}
        for part in losses.slices(len(identity), max(1, AT_ONCE // config.points)):
            rows = rows_of(part, step)
            layers = model.detail_field.layers(detail[part], model.template_anchors)
            terms = losses.refined_terms(model, rows, base.rows(part).with_detail(layers))
            terms["detail_code"] = losses.code_term(detail[part])
            weighted = {name: getattr(config.weights, name) * term for name, term in terms.items()}
            (torch.stack(list(weighted.values())).sum() * len(rows)).backward()
            for name, value in weighted.items():
                totals[name] = totals.get(name, 0.0) + value.item() * len(rows) / len(identity)
        optimiser.step()
        descent.note(step + 1, totals, last=step + 1 == config.steps)
        progress.update(step + 1, f"loss {sum(totals.values()):.4g}")
    progress.close()
    return detail.detach(), totals


def decay(config: FitConfig, step: int) -> float:
    """Factor on the learning rate at ``step``.

    cosine: from 1 to 1 % along half a wave. staircase (release): 1 up to 200/1500 of the run, then
    times 0.95 every 10/1500 of it.
    """
    share = step / config.steps
    if config.schedule == "cosine":
        return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * share))
    return 0.95 ** (math.floor((share * 1500 - 200) / 10) + 1) if share * 1500 >= 200 else 1.0
