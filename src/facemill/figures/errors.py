"""Error maps: millimetres to colours, and the scale that explains them."""

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, UInt8

from facemill.figures.colours import FAINT, INK, NOT_EVALUATED, error_map

if TYPE_CHECKING:
    from matplotlib.axes import Axes

STEPS = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0)
"""Ends of error scales in mm: round numbers, so that figures compare."""


def error_colours(millimetres: Float[np.ndarray, " n"], maximum: float) -> UInt8[np.ndarray, "n 3"]:
    """Colours of errors from 0 to ``maximum`` mm; larger ones take the last colour.

    Not-a-number means not evaluated and is grey. A sign is ignored.
    """
    known = np.isfinite(millimetres)
    share = np.clip(np.abs(np.where(known, millimetres, 0.0)) / maximum, 0.0, 1.0)
    colours = error_map()[np.round(share * 255).astype(np.int64)]
    return np.where(known[:, None], colours, NOT_EVALUATED)


def scale_maximum(millimetres: Float[np.ndarray, " n"], percentile: float = 95.0) -> float:
    """A round end for the scale that leaves about 5 % of the values beyond it."""
    known = np.abs(millimetres[np.isfinite(millimetres)])
    reach = float(np.percentile(known, percentile)) if len(known) else 1.0
    return next((step for step in STEPS if step >= reach), STEPS[-1])


def draw_error_scale(axes: "Axes", maximum: float, label: str = "distance (mm)") -> None:
    """Draw the colour scale into ``axes`` (a narrow horizontal strip), 0 to ``maximum`` mm."""
    axes.imshow(error_map()[None], aspect="auto", extent=(0, maximum, 0, 1))
    axes.set_yticks([])
    # Round steps: quarters of 2, 20, 0.2, and fifths of what begins with 1 or 5.
    ticks = np.linspace(0, maximum, 5 if f"{maximum:e}".startswith("2") else 6)
    labels = [f"{tick:g}" for tick in np.round(ticks, 3)]
    axes.set_xticks(ticks, [*labels[:-1], f"≥ {labels[-1]}"])
    axes.tick_params(colors=INK, labelsize=7.5, length=2.5, width=0.6, color=FAINT)
    axes.set_xlabel(label, fontsize=8, color=INK, labelpad=2)
    for spine in axes.spines.values():
        spine.set_visible(False)
