"""Training curves from ``history.csv``: the total loss of all runs, and each term of it."""

import csv
import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Float

from facemill.errors import DataError
from facemill.figures.colours import FAINT, INK, SERIES
from facemill.figures.layout import FONT, new_figure, save
from facemill.files import require_file

NOT_LOSSES = ("step", "seconds", "learning_rate")


def read_history(path: str | Path) -> dict[str, Float[np.ndarray, " n"]]:
    """Columns of a ``history.csv`` by name; an empty or uneven one raises a DataError."""
    path = require_file(path, "Train again.")
    with open(path, newline="", encoding="utf-8") as file:
        header, *rows = list(csv.reader(file)) or [[]]
    try:
        table = np.array([[float(value or "nan") for value in row] for row in rows], float)
        return dict(zip(header, table.reshape(-1, len(header)).T, strict=True))
    except ValueError as error:
        raise DataError(f"{path}: not a table of numbers ({error}). Train again.") from None


def smoothed(values: Float[np.ndarray, " n"], window: int) -> Float[np.ndarray, " n"]:
    """Centred running mean in the logarithm over ``window`` rows, shorter at the ends.

    Rows that are not positive are left out of the means.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.log(values)
    good = np.isfinite(logs)
    kernel = np.ones(max(1, window | 1))
    total = _same(np.where(good, logs, 0.0), kernel)
    count = _same(good.astype(float), kernel)
    return np.where(count > 0, np.exp(total / np.maximum(count, 1)), np.nan)


def _same(values: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    half = len(kernel) // 2
    return np.convolve(values, kernel)[half : half + len(values)]


def training_curves(
    histories: Mapping[str, str | Path],
    path: str | Path,
    title: str = "Training",
    pdf: bool = True,
) -> None:
    """Save the loss curves of some runs (label -> ``history.csv``) as small multiples.

    The total loss first, then its terms, each on its own logarithmic axis: raw values faint,
    smoothed ones over them. Terms that are never positive are left out.
    """
    runs = {label: read_history(file) for label, file in histories.items()}
    terms = list(dict.fromkeys(t for run in runs.values() for t in run if t not in NOT_LOSSES))
    terms = [t for t in terms if any((run[t] > 0).any() for run in runs.values() if t in run)]
    if not terms:
        raise DataError(f"{', '.join(map(str, histories.values()))}: no loss above 0 to draw.")
    columns = min(4, len(terms))
    rows = math.ceil(len(terms) / columns)
    figure = new_figure(2.15 * columns + 0.5, 1.65 * rows + 0.75)
    top = 1 - 0.1 / figure.get_figheight()
    figure.text(0.02, top, title, fontsize=11.5, weight="bold", color=INK, family=FONT, va="top")
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes, term in zip(grid.flat, terms, strict=False):
        for colour, run in zip(SERIES * len(runs), runs.values(), strict=False):
            if term in run:
                steps, values = run["step"], run[term]
                values = np.where(values > 0, values, np.nan)
                axes.plot(steps, values, color=colour, alpha=0.22, linewidth=0.7)
                window = max(1, len(values) // 25)
                axes.plot(steps, smoothed(values, window), color=colour, linewidth=1.3)
        _dress(axes, term.replace("_", " "))
    for axes in grid.flat[len(terms) :]:
        axes.set_axis_off()
    for axes in grid[-1]:
        axes.set_xlabel("step", fontsize=7.5, color=FAINT, family=FONT)
    if len(runs) > 1:
        lines = [axes_line for axes_line in grid.flat[0].lines if axes_line.get_alpha() is None]
        figure.legend(
            lines, list(runs), loc="upper right", ncols=len(runs), frameon=False, fontsize=8
        )
    top = 1 - 0.42 / figure.get_figheight()
    figure.tight_layout(rect=(0.005, 0, 1, top), w_pad=0.8, h_pad=0.9)
    save(figure, path, pdf)


def _dress(axes, name: str) -> None:
    """A quiet logarithmic axis with the term's name above it."""
    axes.set_yscale("log")
    axes.set_title(name, fontsize=8.5, color=INK, loc="left", family=FONT, pad=4)
    axes.tick_params(which="both", labelsize=6.5, colors=FAINT, length=2, width=0.5)
    axes.tick_params(which="minor", length=1.2, labelleft=False)
    axes.grid(True, which="major", color="#e6e8ea", linewidth=0.5)
    axes.set_axisbelow(True)
    axes.locator_params(axis="x", nbins=4)
    axes.ticklabel_format(axis="x", style="plain")
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set(color="#c3c7cc", linewidth=0.6)
