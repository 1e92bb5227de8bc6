"""Grids of pictures with labels, and saving figures whole or not at all."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import UInt8

from facemill.figures.colours import FAINT, INK
from facemill.figures.errors import draw_error_scale
from facemill.files import writing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DPI = 200
FONT = ["DejaVu Sans"]
"""Ships with matplotlib: figures look alike on every machine."""


def new_figure(width: float, height: float) -> "Figure":
    """An empty white figure of this size in inches, without global state."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=DPI, facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def save(figure: "Figure", path: str | Path, pdf: bool = False) -> None:
    """Write the figure as PNG to ``path`` and, if asked, as PDF beside it.

    Dates and program names are left out: the same figure makes the same bytes.
    """
    path = Path(path)
    with writing(path) as part:
        figure.savefig(part, dpi=DPI, metadata={"Software": None})
    if pdf:
        with writing(path.with_suffix(".pdf")) as part:
            figure.savefig(part, dpi=DPI, metadata={"CreationDate": None, "Producer": None})


def grid(
    images: Sequence[Sequence[UInt8[np.ndarray, "_ _ _"] | None]],
    path: str | Path,
    row_labels: Sequence[str] = (),
    column_labels: Sequence[str] = (),
    title: str = "",
    subtitle: str = "",
    error_maximum: float | None = None,
    captions: Sequence[Sequence[str]] = (),
    cell: float | None = None,
    pdf: bool = False,
) -> None:
    """Save rows of equally large pictures (RGB or RGBA; None leaves a cell empty).

    ``error_maximum`` adds the scale of the error maps in mm; ``captions`` stand below the
    pictures. ``cell`` is a picture's width in inches, else one pixel of it is one of the figure.
    """
    height, width = next(image.shape[:2] for row in images for image in row if image is not None)
    cell = width / DPI if cell is None else cell
    tall = cell * height / width
    columns = max(len(row) for row in images)
    gap, line = 0.04, 0.2
    left = 0.16 + max((_text_width(label, 8.5) for label in row_labels), default=0.0)
    top = 0.12 + (0.28 if title else 0) + (0.18 if subtitle else 0) + (0.22 if column_labels else 0)
    bottom = 0.1 + (0.58 if error_maximum is not None else 0)
    step = tall + gap + (line if captions else 0)
    figure = new_figure(left + columns * (cell + gap) + 0.1, top + len(images) * step + bottom)
    canvas = _Inches(figure)
    if title:
        canvas.text(0.14, 0.12, title, size=11.5, weight="bold", va="top")
    if subtitle:
        canvas.text(0.14, 0.36, subtitle, size=8.0, color=FAINT, va="top")
    for c, label in enumerate(column_labels):
        x = left + c * (cell + gap) + cell / 2
        canvas.text(x, top - 0.06, label, size=8.5, ha="center", va="bottom")
    for r, row in enumerate(images):
        y = top + r * step
        if row_labels:
            canvas.text(left - 0.08, y + tall / 2, row_labels[r], size=8.5, ha="right", va="center")
        for c, image in enumerate(row):
            x = left + c * (cell + gap)
            if image is not None:
                canvas.axes(x, y, cell, tall).imshow(image, interpolation="antialiased")
            if captions and captions[r][c]:
                caption = captions[r][c]
                canvas.text(x + cell / 2, y + tall + 0.04, caption, size=7.5, ha="center", va="top")
    if error_maximum is not None:
        wide = min(2.6, columns * (cell + gap))
        x = left + (columns * (cell + gap) - gap - wide) / 2
        axes = canvas.axes(x, top + len(images) * step + 0.06, wide, 0.1)
        axes.set_axis_on()
        draw_error_scale(axes, error_maximum)
    save(figure, path, pdf)


class _Inches:
    """Places text and axes on a figure in inches from its upper left corner."""

    def __init__(self, figure: "Figure"):
        self.figure = figure
        self.width, self.height = map(float, figure.get_size_inches())

    def axes(self, x: float, y: float, width: float, height: float) -> "Axes":
        box = (x / self.width, 1 - (y + height) / self.height)
        axes = self.figure.add_axes((*box, width / self.width, height / self.height))
        axes.set_axis_off()
        return axes

    def text(self, x: float, y: float, text: str, size: float, color: str = INK, **how: str):
        place = (x / self.width, 1 - y / self.height)
        self.figure.text(*place, text, fontsize=size, color=color, family=FONT, **how)


def _text_width(text: str, size: float) -> float:
    """Width of a text in inches, near enough to leave room for it."""
    return max(len(line) for line in text.split("\n")) * size * 0.62 / 72
