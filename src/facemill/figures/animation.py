"""Animated pictures."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from facemill.files import writing

PALETTE_FROM = 12
"""Pictures, evenly spread, that the common palette is made of."""


def write_gif(path: str | Path, pictures: Sequence[UInt8[np.ndarray, "r c 3"]], fps: float) -> None:
    """Write equally large pictures as a GIF that repeats for ever.

    All share one palette: flicker between palettes is more visible than few colours. GIF counts in
    hundredths of a second and browsers slow down above 50 pictures a second: from there on pictures
    are left out.
    """
    from PIL import Image

    step = max(1, int(np.ceil(fps / 50.0)))
    shown = [Image.fromarray(np.ascontiguousarray(picture)) for picture in pictures[::step]]
    chosen = np.unique(np.linspace(0, len(shown) - 1, PALETTE_FROM).round().astype(int))
    strip = Image.new("RGB", (shown[0].width * len(chosen), shown[0].height))
    for number, index in enumerate(chosen):
        strip.paste(shown[index], (number * shown[0].width, 0))
    palette = strip.quantize(255, method=Image.Quantize.MEDIANCUT)
    frames = [picture.quantize(palette=palette) for picture in shown]
    each = max(20, 10 * round(100.0 * step / fps))
    with writing(path) as part:
        # Without an own disposal Pillow leaves out pictures that equal the one before.
        frames[0].save(part, save_all=True, append_images=frames[1:], duration=each, loop=0)
