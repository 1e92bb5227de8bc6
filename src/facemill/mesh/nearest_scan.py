"""The baseline of pure memory: for every scan the training scan that lies nearest to it.

Nothing is modelled and nothing moved. A system that does not beat this has learnt its training
faces by heart.
"""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from facemill.data.index import load_index
from facemill.data.packs import FacePack, SamplePack
from facemill.errors import DataError
from facemill.files import write_npz
from facemill.mesh.distance import distance_to_mesh
from facemill.mesh.surface_fit import BaselineConfig, samples_to_fit
from facemill.training.settings import from_settings

log = logging.getLogger(__name__)


def fit_person(
    index: str | Path,
    faces: str | Path,
    samples: str | Path,
    settings: Mapping[str, Any],
    out: str | Path,
) -> None:
    """The sheet of the nearest training scan for every scan of a person, as a fit file.

    Nearest is the least mean distance from the scan's surface samples to the training scan's sheet,
    whoever's and whatever expression it is. ``<expression>/nearest`` names it: person, expression.
    """
    config = from_settings(BaselineConfig, settings, "baselines")
    pack = SamplePack(samples)
    points = {
        expression: samples_to_fit(pack, expression, config)[0][: config.nearest_points]
        for expression in pack.expressions
    }
    chosen = nearest_scans(points, load_index(index)["split"], Path(faces))
    arrays: dict[str, np.ndarray] = {}
    for expression, (person, known, distance) in chosen.items():
        sheet = FacePack(Path(faces) / f"{person}.npz").sheet(known)
        arrays[f"{expression}/vertices"] = sheet.vertices.astype(np.float32)
        arrays[f"{expression}/faces"] = sheet.faces.astype(np.int32)
        arrays[f"{expression}/nearest"] = np.array([person, known])
        log.info(
            "%s %s: nearest is %s %s at %.3f mm",
            pack.path.stem, expression, person, known, distance,
        )  # fmt: skip
    write_npz(out, arrays)


def nearest_scans(
    points: Mapping[str, np.ndarray], split: Mapping[str, Any], faces: Path
) -> dict[str, tuple[str, str, float]]:
    """(person, expression, mean distance in mm) of the nearest training scan for each point set.

    All point sets meet a training scan together, so that each is opened and indexed once.
    """
    ends = np.cumsum([len(of) for of in points.values()])[:-1]
    together = np.concatenate(list(points.values()))
    best: dict[str, tuple[str, str, float]] = {}
    for person in split["train"]:
        pack = FacePack(faces / f"{person}.npz")
        for known in pack.expressions:
            if known not in split["seen_expressions"]:
                continue
            distance, _, _ = distance_to_mesh(together, pack.sheet(known))
            for expression, part in zip(points, np.split(distance, ends), strict=True):
                mean = float(part.mean())
                if expression not in best or mean < best[expression][2]:
                    best[expression] = (person, known, mean)
    if not best:
        raise DataError(f"{faces}: no training scan with a seen expression; prepare people first.")
    return best
