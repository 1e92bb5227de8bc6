"""Meshes for other programs: a fitted person as PLY files, with normals from the field itself.

A normal is the gradient of the signed distance at the vertex, not a mean over triangles: it does
not depend on how fine the grid was.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from facemill.errors import ConfigError
from facemill.files import writing
from facemill.imface.config import ExtractionConfig
from facemill.imface.correspondence import template_colours, template_places
from facemill.imface.interpolate import condition_of, mesh_of, read_codes
from facemill.imface.model import load_model
from facemill.imface.reconstruct import gradient_normals
from facemill.mesh.io import write_ply
from facemill.training.settings import from_settings

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ExportConfig:
    """What the exported meshes are like."""

    resolution: int = 256  # grid points along an axis of the ball's cube
    colours: bool = True  # colour vertices by their place on the template

    def __post_init__(self) -> None:
        if self.resolution < 8:
            raise ConfigError(f"resolution: found {self.resolution}, expected at least 8")


def export_person(
    model: str | Path, fit: str | Path, settings: Mapping[str, Any], out: str | Path
) -> None:
    """Write ``<out>/<expression>.ply`` for every scan of a fit file; face frame, millimetres.

    ``settings`` are fields of :class:`ExportConfig`. The meshes are extracted anew from the codes,
    what is hidden from the front left out, so that they may be finer than those of the fit.
    """
    config = from_settings(ExportConfig, settings, "imface.export")
    network, _ = load_model(model)
    network.requires_grad_(False)
    extraction = ExtractionConfig(resolution=config.resolution)
    with writing(out) as folder:
        folder.mkdir()
        for expression, codes in read_codes(fit).items():
            mesh = mesh_of(network, codes, extraction)
            normals = gradient_normals(network, condition_of(network, codes), mesh.vertices)
            places = template_places(network, codes, mesh.vertices) if config.colours else None
            colours = None if places is None else template_colours(places[:, :2])
            write_ply(folder / f"{expression}.ply", mesh, normals, colours)
            log.info("%s: %d vertices", expression, len(mesh.vertices))
