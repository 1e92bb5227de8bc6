"""Pictures of the correspondence: places of the template as colours, and textures handed on.

Both are painted in the template's (x, y) square, over which the template is a height field: a
reconstruction's texture coordinates are its vertices' places on the template. So a picture is as
fine as its pixels, however coarse the mesh under it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8

from facemill.data.expressions import NEUTRAL
from facemill.data.packs import FacePack
from facemill.errors import DataError
from facemill.figures.layout import grid
from facemill.figures.shading import shade
from facemill.figures.sheets import readable
from facemill.files import read_json
from facemill.imface.config import ExtractionConfig
from facemill.imface.correspondence import (
    match,
    on_template,
    seen_vertices,
    template_colours,
    template_places,
)
from facemill.imface.figures import WHITE, chosen_expressions, common_camera, opened
from facemill.imface.interpolate import ScanCodes, codes_of, mesh_of, read_codes
from facemill.imface.model import ImFace
from facemill.mesh.crop import large_parts
from facemill.mesh.io import read_texture
from facemill.mesh.surface import Mesh
from facemill.render.raycast import RayScene
from facemill.render.texture import lookup, texel_uv

HALF = 100.0
"""Half the side of the painted square, mm: the template lies in the crop ball."""

FINE, COARSE = 768, 384
"""Texels along the square: of drawn colours, and of textures, each texel of which is a search."""

SQUARES = 8.0
"""Side of the painted squares of scans without a texture, mm."""


def correspondence_colours(
    model: str | Path, fits: Sequence[str | Path], settings: Mapping[str, Any], out: str | Path
) -> None:
    """People by expressions, every point coloured by its place on the template."""
    config, network = opened(model, settings)
    fits = list(fits)[: config.rows]
    found = [read_codes(fit) for fit in fits]
    names = [NEUTRAL, *chosen_expressions(list(found[0]), config, config.steps - 1)]
    meshes = [
        [
            painted_on_template(network, codes_of(codes, name, fit), config.extraction)
            for name in names
        ]
        for codes, fit in zip(found, fits, strict=True)
    ]
    camera = common_camera([mesh for row in meshes for mesh in row], config)
    colours = template_colours(template_square(FINE), lines=True).reshape(FINE, FINE, 3)
    grid(
        [
            [shade(mesh, camera, texture=colours, background=WHITE, contrast=0.8) for mesh in row]
            for row in meshes
        ],
        out,
        row_labels=[Path(fit).stem for fit in fits],
        column_labels=[readable(name) for name in names],
        title="Same colour, same place",
        subtitle="Colours and the 10 mm grid are the template's, found through both warps",
    )


def texture_transfer(
    model: str | Path,
    fits: Sequence[str | Path],
    faces: str | Path,
    settings: Mapping[str, Any],
    out: str | Path,
) -> None:
    """Everybody's neutral reconstruction in everybody's skin.

    ``faces`` holds ``<person>.npz`` with the manifest beside that names the textures. Where one
    has none, squares painted on the scan show the same.
    """
    config, network = opened(model, settings)
    fits = list(fits)[: min(config.rows, config.steps - 1)]
    codes = [codes_of(read_codes(fit), NEUTRAL, fit) for fit in fits]
    packs = [FacePack(Path(faces) / f"{Path(fit).stem}.npz") for fit in fits]
    skins = [skin(pack, NEUTRAL) for pack in packs]
    sheets = [with_xy(pack.sheet(NEUTRAL)) for pack in packs]
    meshes = [painted_on_template(network, code, config.extraction) for code in codes]
    camera = common_camera([*sheets, *meshes], config)
    first = [
        shade(sheet, camera, texture=painting(sheet, scan, texture), background=WHITE)
        for sheet, (scan, texture) in zip(sheets, skins, strict=True)
    ]
    rows = [[None, *first]]
    sources = [
        (replace(scan, vertices=on_template(network, code, scan).vertices), texture)
        for code, (scan, texture) in zip(codes, skins, strict=True)
    ]
    for mesh, code in zip(meshes, codes, strict=True):
        there = on_template(network, code, mesh)
        painted = [painting(there, scan, texture) for scan, texture in sources]
        worn = [shade(mesh, camera, texture=image, background=WHITE) for image in painted]
        rows.append([shade(mesh, camera, background=WHITE), *worn])
    people = [Path(fit).stem for fit in fits]
    grid(
        rows,
        out,
        row_labels=["scan", *[f"{person}\nreconstructed" for person in people]],
        column_labels=["", *[f"skin of {person}" for person in people]],
        title="Skins handed on through the template",
        subtitle="A column's scan gives its texture to every row's reconstruction",
    )


def painted_on_template(model: ImFace, codes: ScanCodes, extraction: ExtractionConfig) -> Mesh:
    """A reconstruction whose texture coordinates are its vertices' places on the template."""
    mesh = large_parts(mesh_of(model, codes, extraction))
    return with_xy(mesh, template_places(model, codes, mesh.vertices))


def with_xy(mesh: Mesh, places: Float[np.ndarray, "v 3"] | None = None) -> Mesh:
    """The mesh with texture coordinates in the painted square: (x, y) of places, or its own."""
    places = mesh.vertices if places is None else places
    uv = (np.asarray(places[:, :2], np.float64) / HALF + 1.0) / 2.0
    return Mesh(mesh.vertices, mesh.faces, uv, mesh.faces)


def template_square(size: int) -> Float[np.ndarray, "n 2"]:
    """(x, y) of the texel centres of the template's square, mm, row after row."""
    rows, columns = np.divmod(np.arange(size * size), size)
    uv = texel_uv(np.stack([rows, columns], axis=-1).astype(np.float64), size, size)
    return HALF * (2.0 * uv - 1.0)


def skin(pack: FacePack, expression: str) -> tuple[Mesh, UInt8[np.ndarray, "h w 3"]]:
    """The visible triangles of a scan, over its own vertices, and its texture.

    Without a texture or texture coordinates: squares over the scan's (x, y).
    """
    mesh = pack.registered(expression)
    manifest = pack.path.with_suffix(".json")
    scans = read_json(manifest)["scans"] if manifest.is_file() else {}
    texture = scans.get(expression, {}).get("texture")
    seen = seen_vertices(pack, expression)[mesh.faces].all(axis=1)
    if texture is None or mesh.uv is None or mesh.faces_uv is None:
        return with_xy(Mesh(mesh.vertices, mesh.faces[seen])), squares(FINE)
    part = Mesh(mesh.vertices, mesh.faces[seen], mesh.uv, mesh.faces_uv[seen])
    return part, read_texture(texture)


def squares(size: int) -> UInt8[np.ndarray, "h w 3"]:
    """Light and dark squares tinted by place, in the (x, y) square."""
    xy = template_square(size)
    dark = (np.floor(xy / SQUARES).sum(axis=1) % 2 == 1)[:, None]
    colours = template_colours(xy)
    return np.where(dark, colours // 2, colours).reshape(size, size, 3)


def painting(
    target: Mesh, source: Mesh, texture: UInt8[np.ndarray, "h w 3"], size: int = COARSE
) -> UInt8[np.ndarray, "size size 3"]:
    """The source's texture as the target wears it, over the painted square.

    Both meshes stand in one space (the template's; or each other's own), the source with its own
    texture coordinates. Each texel is a point of the target and takes the colour of the source's
    point nearest to it. Texels beyond the target take the nearest one's, so that no rim shows.
    """
    from scipy.ndimage import distance_transform_edt

    above = np.column_stack([template_square(size), np.full(size * size, 2 * HALF)])
    down = np.broadcast_to(np.array([0.0, 0.0, -1.0]), above.shape)
    hits = RayScene(target.vertices, target.faces).cast(above, down)
    if len(hits.rays) == 0:
        raise DataError(
            "no point of the reconstruction lies over the template; the model is untrained. "
            "Train it for longer."
        )
    points = hits.interpolate(np.asarray(target.vertices, np.float64), target.faces)
    uv = match(points, source).interpolate(source.uv, source.faces_uv)
    colours = np.round(lookup(texture, uv)).astype(np.uint8)
    image = hits.scatter(colours).reshape(size, size, 3)
    known = hits.mask.reshape(size, size)
    nearest = distance_transform_edt(~known, return_distances=False, return_indices=True)
    return image[tuple(nearest)]
