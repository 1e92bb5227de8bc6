"""Pictures of what the codes are good for: walks, faces of nobody, driven faces, a turning head."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from facemill.errors import DataError
from facemill.figures.animation import write_gif
from facemill.figures.layout import grid
from facemill.figures.sheets import readable
from facemill.files import writing
from facemill.mesh.frames import HEAD_CENTRE
from facemill.mofanerf.config import SamplingConfig, require, require_at_least
from facemill.mofanerf.faces import FaceCodes, Faces
from facemill.mofanerf.fit_files import read_fit
from facemill.mofanerf.interpolate import RandomConfig, random_codes, walk, with_expression
from facemill.mofanerf.rigging import expression_rig, fitted_rig, read_rows
from facemill.render.cameras import Camera, orbit
from facemill.render.pixels import eight_bit
from facemill.render.png import png
from facemill.render.views import DISTANCE, FOCAL, SIZE
from facemill.training.device import choose_device, keep_freed_memory
from facemill.training.settings import from_settings

ZOOM = 1.4
"""Portraits are larger than training views by so much: faces, not necks."""

CELL = 0.9
"""Inches of a portrait in a figure."""

Picture = UInt8[np.ndarray, "h w 3"]


@dataclass(frozen=True)
class AppsConfig:
    """What the pictures show."""

    size: int = 192  # pixels of a face
    steps: int = 5  # faces along a walk
    people: int = 3  # rows of the rigging matrix
    frames: int = 24  # of the turntable, there and back
    turn: float = 60.0  # degrees that it turns to either side
    seconds: float = 4.0  # that it takes
    ridge: float = 1e-2  # of the map from blendshape weights
    random: RandomConfig = field(default_factory=RandomConfig)
    sampling: SamplingConfig = field(default_factory=SamplingConfig)

    def __post_init__(self) -> None:
        require_at_least(self, 16, "size")
        require_at_least(self, 2, "steps", "frames")
        require_at_least(self, 1, "people")
        require_at_least(self, 0, "ridge")
        require(0 < self.turn <= 90, f"turn: found {self.turn}, expected degrees from 0 to 90")
        require(self.seconds > 0, f"seconds: found {self.seconds}, expected above 0")


class Portraits:
    """A model with its codes and the way its pictures are made."""

    def __init__(self, model: str | Path, codes: str | Path, settings: Mapping[str, Any]) -> None:
        self.config = from_settings(AppsConfig, settings, "mofanerf.apps")
        keep_freed_memory()
        self.faces = Faces(model, codes, choose_device("auto"))
        self.model_path = model

    def camera(self, yaw: float = 0.0, zoom: float = ZOOM) -> Camera:
        """A camera of the training distance, at these pictures' size."""
        size = self.config.size
        focal = zoom * FOCAL * size / SIZE
        return orbit(yaw, 0.0, DISTANCE, focal, size, size, HEAD_CENTRE)

    def portrait(self, codes: FaceCodes, yaw: float = 0.0, zoom: float = ZOOM) -> Picture:
        """8-bit colours over black."""
        seen = self.faces.draw(codes, self.camera(yaw, zoom), self.config.sampling).colour
        return eight_bit(seen)

    def row(self, faces: Sequence[FaceCodes]) -> list[Picture | None]:
        """Portraits of faces beside each other."""
        return [self.portrait(codes) for codes in faces]

    def people(self, fits: Sequence[str | Path], count: int) -> dict[str, FaceCodes]:
        """Codes of fitted people by file name, and of training people where these are too few.

        A fit of other weights is a DataError.
        """
        found = {Path(fit).stem: read_fit(fit, self.model_path).codes for fit in fits[:count]}
        for person in self.faces.train_people[: count - len(found)]:
            found[person] = self.faces.codes_of(person, self.faces.expressions[0])
        return found


def interpolation(
    model: str | Path,
    codes: str | Path,
    fits: Sequence[str | Path],
    settings: Mapping[str, Any],
    out: str | Path,
) -> None:
    """Walks from one person to another, in all codes and in one kind at a time."""
    of = Portraits(model, codes, settings)
    (first, start), (second, end) = of.people(fits, 2).items()
    faces = of.faces
    expressive = faces.expressions[min(1, len(faces.expressions) - 1)]
    neutral = [with_expression(codes, faces, faces.expressions[0]) for codes in (start, end)]
    smiling = with_expression(start, faces, expressive)
    kinds = {
        f"{first} to {second}\nall codes": (start, end, ("shape", "appearance", "expression")),
        "shape alone": (*neutral, ("shape",)),
        "appearance alone": (*neutral, ("appearance",)),
        f"to {readable(expressive)}\nexpression alone": (neutral[0], smiling, ("expression",)),
    }
    steps = of.config.steps
    grid(
        [of.row(walk(a, b, steps, parts)) for a, b, parts in kinds.values()],
        out,
        list(kinds),
        [f"{share:.0%}" for share in np.linspace(0, 1, steps)],
        title="Between two people" + (", each known from one image" if len(fits) > 1 else ""),
        subtitle="Linear in the codes; what a row does not name stays the first person's",
        cell=CELL,
    )


def random_faces(
    model: str | Path, codes: str | Path, settings: Mapping[str, Any], out: str | Path
) -> None:
    """People who do not exist."""
    of = Portraits(model, codes, settings)
    drawn = random_codes(of.faces, of.config.random)
    wide = min(len(drawn), 5 if len(drawn) % 5 == 0 else 4)
    rows = [of.row(drawn[i : i + wide]) for i in range(0, len(drawn), wide)]
    wider = of.config.random.temperature
    grid(
        rows,
        out,
        title="People who do not exist",
        subtitle="Drawn with the training people's covariance"
        + ("" if wider == 1 else f"; deviations x {wider:g}"),
        cell=CELL,
    )


def rigging(
    model: str | Path,
    codes: str | Path,
    fits: Sequence[str | Path],
    settings: Mapping[str, Any],
    out: str | Path,
    frames: str | Path,
    weights: str | Path | None = None,
    rig: str | Path | None = None,
) -> None:
    """A matrix of people and what drives them, and every cell as ``<frames>/<row>_<column>.png``.

    Without ``weights`` the columns are the trained expressions; else the rows of that table (see
    ``rigging.read_rows``). ``rig`` describes the trained expressions in the table's weights;
    without it these are the expressions themselves.
    """
    of = Portraits(model, codes, settings)
    faces = of.faces
    table = read_rows(rig) if rig else None
    known = fitted_rig(faces, table, of.config.ridge, str(rig)) if table else expression_rig(faces)
    driven = _own_expressions(faces, table) if weights is None else read_rows(weights)
    try:
        for row in driven.values():
            known.mix(row)
    except DataError as error:
        raise DataError(f"{weights}: {error}") from None
    people = of.people(fits, of.config.people)
    matrix = [
        [of.portrait(known.drive(faces, who, row)) for row in driven.values()]
        for who in people.values()
    ]
    with writing(frames) as folder:
        folder.mkdir()
        for person, row in zip(people, matrix, strict=True):
            for name, picture in zip(driven, row, strict=True):
                safe = "".join(c if c.isalnum() or c in "-_." else "_" for c in name)
                (folder / f"{person}_{safe}.png").write_bytes(png(picture))
    grid(
        matrix,
        out,
        list(people),
        [readable(name) for name in driven],
        title="Faces driven by weights",
        subtitle="A row keeps a person's shape and appearance, a column has one row of weights",
        cell=CELL,
    )


def _own_expressions(
    faces: Faces, described: Mapping[str, Mapping[str, float]] | None
) -> dict[str, dict[str, float]]:
    """The trained expressions as weights."""
    if described is not None:
        return {name: dict(described[name]) for name in faces.expressions}
    neutral, *others = faces.expressions
    return {neutral: {}} | {name: {name: 1.0} for name in others}


def turntable(
    model: str | Path,
    codes: str | Path,
    fits: Sequence[str | Path],
    settings: Mapping[str, Any],
    out: str | Path,
) -> None:
    """An animated GIF of a fitted head that turns from side to side while its expression changes.

    The way back shows the same pictures, so half of the frames are rendered.
    """
    of = Portraits(model, codes, settings)
    config, faces = of.config, of.faces
    neutral = with_expression(next(iter(of.people(fits, 1).values())), faces, faces.expressions[0])
    smiling = with_expression(neutral, faces, faces.expressions[min(1, len(faces.expressions) - 1)])
    half = config.frames // 2 + 1
    along = 0.5 - 0.5 * np.cos(np.pi * np.arange(half) / (half - 1))  # slow at both ends
    yaws = config.turn * (2 * along - 1)
    rendered = [
        of.portrait(face, float(yaw), zoom=1.0)
        for face, yaw in zip(walk(neutral, smiling, half), yaws, strict=True)
    ]
    shown = rendered + rendered[-2:0:-1]
    write_gif(out, shown, len(shown) / config.seconds)
