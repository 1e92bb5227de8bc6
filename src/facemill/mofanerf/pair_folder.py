"""Pairs of coarse and true pictures in the published layout, a folder of files."""

from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from facemill.errors import DataError
from facemill.mofanerf.pairs import Pair, PairKey


class PairFolder:
    """Pictures in the published layout, paired by relative path.

    ``<coarse>/<person>/<expression>/<pitch>_<i>.png`` and ``<truth>/`` alike, where the two folders
    are called ``train`` and ``gt`` (MoFaNeRF) or ``train_A`` and ``train_B`` (pix2pixHD).
    """

    NAMES = (("train", "gt"), ("train_A", "train_B"))

    def __init__(self, folder: str | Path) -> None:
        """Find the pairs; a picture without its partner is a DataError that names it."""
        folder = Path(folder)
        both = [(folder / a, folder / b) for a, b in self.NAMES]
        there = [pair for pair in both if all(side.is_dir() for side in pair)]
        if not there:
            raise DataError(
                f"{folder}: neither train and gt nor train_A and train_B lie in it. Name the "
                "folder that holds coarse pictures and truth side by side."
            )
        self.coarse, self.truth = there[0]
        sides = [self._pictures(side) for side in there[0]]
        alone = sorted(sides[0].keys() ^ sides[1].keys())
        if alone or not sides[0]:
            first = f"{alone[0]}.png has no partner" if alone else "no picture at all"
            raise DataError(
                f"{folder}: {first} ({len(alone)} such; {len(sides[0])} pictures in "
                f"{self.coarse.name}, {len(sides[1])} in {self.truth.name}). Pictures are paired "
                "by <person>/<expression>/<view>.png: add the missing ones or remove these."
            )
        self.keys = tuple(sorted(sides[0]))

    def read(self, key: PairKey) -> Pair:
        """Both pictures; without an alpha channel the mask is what is not black."""
        coarse = _picture(self.coarse / f"{key}.png")
        truth = _picture(self.truth / f"{key}.png")
        if truth.shape[2] == 3:
            alpha = np.where(truth.any(axis=2, keepdims=True), 255, 0).astype(np.uint8)
            truth = np.concatenate([truth, alpha], axis=2)
        return Pair(coarse[..., :3], truth * (truth[..., 3:] > 0))

    @staticmethod
    def _pictures(side: Path) -> dict[PairKey, Path]:
        found = {}
        for path in side.rglob("*.png"):
            parts = path.relative_to(side).with_suffix("").parts
            if len(parts) != 3:
                raise DataError(
                    f"{path}: expected {side.name}/<person>/<expression>/<view>.png. Move or "
                    "remove it."
                )
            found[PairKey(*parts)] = path
        return found


def _picture(path: Path) -> UInt8[np.ndarray, "h w c"]:
    """RGB or RGBA of a picture file."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as image:
            return np.array(image.convert("RGBA" if "A" in image.mode else "RGB"))
    except (UnidentifiedImageError, OSError) as error:
        raise DataError(
            f"{path}: not a whole picture ({error}). Render or copy it again."
        ) from None
