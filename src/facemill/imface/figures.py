"""ImFace's pictures: reconstructions with error maps, walks between codes, transfer, random faces.

Every picture is a grid of portraits: :func:`portraits` gives all of them one camera that just sees
the largest face, so that sizes compare.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from facemill.data.expressions import NEUTRAL
from facemill.data.packs import FacePack
from facemill.errors import ConfigError, DataError
from facemill.figures.errors import error_colours, scale_maximum
from facemill.figures.layout import grid
from facemill.figures.shading import portrait_camera, shade
from facemill.figures.sheets import readable
from facemill.files import read_json, writing
from facemill.imface.config import ExtractionConfig
from facemill.imface.interpolate import (
    codes_of,
    condition_of,
    expression_walk,
    identity_walk,
    read_codes,
    transfer_matrix,
)
from facemill.imface.model import ImFace, load_model
from facemill.imface.random_faces import RandomFacesConfig, random_codes
from facemill.imface.reconstruct import gradient_normals, reconstruct
from facemill.mesh.crop import large_parts
from facemill.mesh.distance import distance_to_mesh
from facemill.mesh.io import write_ply
from facemill.mesh.sheet import height_sheet
from facemill.mesh.surface import Mesh
from facemill.mesh.visibility import visible_part
from facemill.metrics.scores import read_fit
from facemill.render.cameras import Camera
from facemill.training.settings import from_settings

log = logging.getLogger(__name__)

WHITE = (255, 255, 255)
MARGIN = 1.06
"""A picture's size by that of the largest face in it."""


@dataclass(frozen=True)
class FigureConfig:
    """What the pictures show."""

    rows: int = 4  # scans, pairs of people, or people
    steps: int = 6  # pictures along a walk
    size: int = 360  # pixels of a picture's width
    yaw: float = 20.0  # degrees the head is turned by
    resolution: int = 160  # of extraction, for pictures
    expressions: tuple[str, ...] = field(default_factory=tuple)  # empty: chosen evenly

    def __post_init__(self) -> None:
        for name, least in (("rows", 1), ("steps", 2), ("size", 32), ("resolution", 8)):
            if getattr(self, name) < least:
                raise ConfigError(f"{name}: found {getattr(self, name)}, expected at least {least}")

    @property
    def extraction(self) -> ExtractionConfig:
        """A coarser grid, and no holes where surface is hidden: these meshes are looked at only."""
        return ExtractionConfig(resolution=self.resolution, visible=False)


def reconstruction(
    index: str | Path,
    faces: str | Path,
    fits: Mapping[str, str | Path],
    settings: Mapping[str, Any],
    out: str | Path,
) -> None:
    """Rows of test scans: the target, then each method's mesh and the distance from the scan to it.

    ``faces`` and the values of ``fits`` (label -> folder) hold ``<person>.npz``. Scans are chosen
    evenly over people and expressions, unseen ones last, not by how they turned out. The numbers
    below the maps are means over the scan's vertices.
    """
    config = from_settings(FigureConfig, settings, "figures")
    scans = chosen_scans(read_json(index), config)
    rows, labels, errors = [], [], []
    for person, expression, seen in scans:
        target = FacePack(Path(faces) / f"{person}.npz").sheet(expression)
        row: list[tuple[Mesh, np.ndarray | None]] = [(target, None)]
        for folder in fits.values():
            path = Path(folder) / f"{person}.npz"
            meshes = read_fit(path)
            if expression not in meshes:
                raise DataError(
                    f"{path}: no expression {expression}; it holds {', '.join(meshes)}."
                )
            distance, _, _ = distance_to_mesh(target.vertices, meshes[expression])
            # Drawn as a sheet like the scan's; the distance is to the mesh itself.
            drawn = height_sheet(meshes[expression].vertices)
            row += [(drawn, None), (target, distance)]
            errors.append(distance)
        rows.append(row)
        labels.append(f"{person}\n{readable(expression)}{'' if seen else chr(10) + '(unseen)'}")
    maximum = scale_maximum(np.concatenate(errors))
    camera = common_camera([mesh for row in rows for mesh, _ in row], config)
    images = [
        [
            shade(mesh, camera, background=WHITE)
            if values is None
            else shade(
                mesh, camera, error_colours(values, maximum), background=WHITE, contrast=0.35
            )
            for mesh, values in row
        ]
        for row in rows
    ]
    grid(
        images,
        out,
        row_labels=labels,
        column_labels=["scan", *[text for label in fits for text in (label, "error")]],
        title="Unseen people, reconstructed",
        subtitle="Distance from each point of the scan to the reconstruction; mean below each map",
        error_maximum=maximum,
        captions=[
            ["" if values is None else f"{values.mean():.2f} mm" for _, values in row]
            for row in rows
        ],
    )


def interpolation(
    model: str | Path, fits: Sequence[str | Path], settings: Mapping[str, Any], out: str | Path
) -> None:
    """Rows of walks from one unseen person to the next, by their identity codes alone."""
    config, network = opened(model, settings)
    if len(fits) < 2:
        raise DataError(
            f"{len(fits)} fitted person; a walk needs two. Add test people to the split."
        )
    codes = [codes_of(read_codes(fit), NEUTRAL, fit) for fit in fits]
    names = [Path(fit).stem for fit in fits]
    pairs = [(i, (i + 1) % len(fits)) for i in range(len(fits) if len(fits) > 2 else 1)]
    pairs = pairs[: config.rows]
    walks = [
        identity_walk(network, codes[i], codes[j], config.steps, config.extraction)
        for i, j in pairs
    ]
    grid(
        portraits(walks, config),
        out,
        row_labels=[f"{names[i]}\nto {names[j]}" for i, j in pairs],
        column_labels=shares(config.steps),
        title="From one unseen person to another",
        subtitle="Linear in the identity code; the expression code is the first person's neutral",
    )


def expressions(
    model: str | Path, fits: Sequence[str | Path], settings: Mapping[str, Any], out: str | Path
) -> None:
    """Rows of walks from neutral to an expression, by the expression codes alone."""
    config, network = opened(model, settings)
    walks, labels = [], []
    for number in range(config.rows):
        fit = fits[number % len(fits)]
        codes = read_codes(fit)
        names = chosen_expressions(list(codes), config, config.rows)
        if not names:
            raise DataError(f"{fit}: nothing but {NEUTRAL}; a walk needs another expression.")
        name = names[number % len(names)]
        start, end = codes_of(codes, NEUTRAL, fit), codes_of(codes, name, fit)
        walks.append(expression_walk(network, start, end, config.steps, config.extraction))
        labels.append(f"{Path(fit).stem}\n{readable(name)}")
    grid(
        portraits(walks, config),
        out,
        row_labels=labels,
        column_labels=shares(config.steps),
        title="From neutral to an expression",
        subtitle="Linear in an unseen person's expression code; the identity code stands still",
    )


def transfer(
    model: str | Path, fits: Sequence[str | Path], settings: Mapping[str, Any], out: str | Path
) -> None:
    """A matrix of people and expressions: everyone makes the first person's expressions."""
    config, network = opened(model, settings)
    fits = list(fits)[: config.rows]
    source = read_codes(fits[0])
    names = [NEUTRAL, *chosen_expressions(list(source), config, config.steps - 1)]
    people = [codes_of(read_codes(fit), NEUTRAL, fit) for fit in fits]
    shown = [codes_of(source, name, fits[0]) for name in names]
    grid(
        portraits(transfer_matrix(network, people, shown, config.extraction), config),
        out,
        row_labels=[Path(fit).stem for fit in fits],
        column_labels=[readable(name) for name in names],
        title=f"Expressions of {Path(fits[0]).stem}, made by others",
        subtitle="A row keeps a person's identity code, a column an expression code of the first",
    )


def random_faces(
    model: str | Path,
    settings: Mapping[str, Any],
    draw: Mapping[str, Any],
    out: str | Path,
    meshes: str | Path,
) -> None:
    """People who do not exist, as a picture and as ``<meshes>/<number>.ply`` with normals.

    ``draw`` are fields of :class:`~facemill.imface.random_faces.RandomFacesConfig`. The files hold
    what is visible from the front, as those of fitted people do.
    """
    config = from_settings(FigureConfig, settings, "figures")
    drawn = from_settings(RandomFacesConfig, draw, "imface.random")
    network, about = load_model(model)
    network.requires_grad_(False)
    codes = random_codes(network, about, drawn)
    found = [reconstruct(network, c.identity, c.expression, config.extraction) for c in codes]
    with writing(meshes) as folder:
        folder.mkdir()
        for number, (mesh, code) in enumerate(zip(found, codes, strict=True), start=1):
            shown = visible_part(mesh)
            normals = gradient_normals(network, condition_of(network, code), shown.vertices)
            write_ply(folder / f"{number:03d}.ply", shown, normals)
    rows = [found[i : i + config.steps] for i in range(0, len(found), config.steps)]
    grid(
        portraits(rows, config),
        out,
        title="People who do not exist",
        subtitle=f"Identity codes drawn from the trained ones' distribution, with {drawn.manner}",
    )


def opened(model: str | Path, settings: Mapping[str, Any]) -> tuple[FigureConfig, ImFace]:
    """What every picture of codes begins with."""
    config = from_settings(FigureConfig, settings, "figures")
    network, _ = load_model(model)
    return config, network.requires_grad_(False)


def portraits(
    rows: Sequence[Sequence[Mesh]], config: FigureConfig
) -> list[list[UInt8[np.ndarray, "h w 4"]]]:
    """Clay portraits of all faces by one camera; pieces of surface beside a face are left out."""
    rows = [[large_parts(mesh) for mesh in row] for row in rows]
    camera = common_camera([mesh for row in rows for mesh in row], config)
    return [[shade(mesh, camera, background=WHITE) for mesh in row] for row in rows]


def common_camera(meshes: Sequence[Mesh], config: FigureConfig) -> Camera:
    """A camera that just sees every one of the meshes, in pictures as high as that takes."""
    points = np.concatenate([mesh.vertices[::5] for mesh in meshes])
    tall = portrait_camera(points, config.yaw, config.size, height=2 * config.size)
    seen, _ = tall.project(points)
    height = round(float(np.ptp(seen[:, 1])) * MARGIN)
    return portrait_camera(points, config.yaw, config.size, height=height, margin=MARGIN)


def chosen_scans(index: Mapping[str, Any], config: FigureConfig) -> list[tuple[str, str, bool]]:
    """(person, expression, seen?) for each row, spread over test people and expressions."""
    split, people = index["split"], index["people"]
    unseen = set(split["unseen_expressions"])
    scans = []
    for number in range(config.rows):
        person = split["test"][number % len(split["test"])]
        present = list(people[person]["scans"])
        names = [NEUTRAL, *chosen_expressions(present, config, config.rows - 1)]
        if not config.expressions and config.rows > 1 and unseen & set(present):
            known = [e for e in present if e not in unseen]
            names = [NEUTRAL, *chosen_expressions(known, config, config.rows - 2)]
            names += [min(unseen & set(present), key=present.index)]
        name = names[min(number, len(names) - 1)]
        scans.append((person, name, name not in unseen))
    return scans


def chosen_expressions(present: Sequence[str], config: FigureConfig, count: int) -> list[str]:
    """The configured expressions, or at most ``count`` spread evenly; neutral is never one."""
    others = [name for name in present if name != NEUTRAL]
    if config.expressions:
        return [name for name in config.expressions if name in others]
    if not others or count < 1:
        return []
    places = np.linspace(0, len(others) - 1, min(count, len(others))).round().astype(int)
    return [others[i] for i in dict.fromkeys(places)]


def shares(steps: int) -> list[str]:
    """Column labels of a walk in percent."""
    return [f"{share:.0%}" for share in np.linspace(0, 1, steps)]
