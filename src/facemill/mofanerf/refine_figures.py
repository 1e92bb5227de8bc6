"""The refiner's picture: truth, coarse picture, refined picture, and how far both are off."""

from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from facemill.figures.layout import grid
from facemill.figures.sheets import readable
from facemill.metrics.images import psnr
from facemill.mofanerf.figures import ERROR_GAIN
from facemill.mofanerf.pairs import BESIDE, Pair, PairKey, PairPack
from facemill.mofanerf.refine import load_refiner
from facemill.mofanerf.refine_evaluate import both_methods
from facemill.mofanerf.splits import ViewSplit, read_view_split
from facemill.mofanerf.table import PAIRS, SEEN, UNSEEN, split_name

ROWS = 2
"""Pictures of each split."""


def refine_figure(
    model: str | Path, pairs: str | Path, split_path: str | Path, out: str | Path
) -> None:
    """Save some held-out pictures of each split before and after refining."""
    refiner, _ = load_refiner(model)
    pack = PairPack(pairs)
    split = read_view_split(split_path)
    images, labels, captions = [], [], []
    for key in shown(pack, split):
        pair = pack.read(key)
        truth = pair.truth[..., :3]
        made = both_methods(refiner, pair)
        images.append([truth, *made.values(), *(_error(p, truth) for p in made.values())])
        captions.append(["", *(_quality(p, pair) for p in made.values()), "", ""])
        where = split_name(split, key.person, key.expression).replace(", ", ",\n")
        labels.append(f"{where}\n{key.person} {readable(key.expression)}")
    titles = ["truth", "half size, enlarged", "refined"]
    titles += [f"error x {ERROR_GAIN:g}, {when}" for when in ("before", "after")]
    grid(images, out, labels, titles, captions=captions, cell=1.4)


def shown(pack: PairPack, split: ViewSplit) -> list[PairKey]:
    """The first pictures of each split, of several people where there are such."""
    chosen = []
    for name in (SEEN, PAIRS, UNSEEN):
        own = [key for key in pack.keys if split_name(split, key.person, key.expression) == name]
        of_people = {key.person: key for key in reversed(own) if BESIDE not in key.view}
        chosen += sorted(of_people.values())[:ROWS]
    return chosen


def _quality(picture: UInt8[np.ndarray, "h w 3"], pair: Pair) -> str:
    given = picture / 255.0, pair.truth[..., :3] / 255.0
    return f"{psnr(*given):.1f} dB, in the mask {psnr(*given, pair.mask):.1f}"


def _error(
    picture: UInt8[np.ndarray, "h w 3"], truth: UInt8[np.ndarray, "h w 3"]
) -> UInt8[np.ndarray, "h w 3"]:
    off = np.abs(picture.astype(np.float32) - truth)
    return np.clip(np.round(ERROR_GAIN * off), 0, 255).astype(np.uint8)
