"""What the interactive page shows of a run: unseen scans beside their reconstructions."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int, UInt8

from facemill.data.packs import FacePack
from facemill.errors import DataError
from facemill.figures.sheets import readable
from facemill.files import read_json
from facemill.mesh.distance import distance_to_mesh
from facemill.mesh.io import read_texture
from facemill.mesh.normals import barycentric
from facemill.mesh.surface import Mesh
from facemill.metrics.scores import read_fit
from facemill.render.texture import lookup

CROP_RADIUS = 100.0
"""Beyond this distance from the origin (mm) a reconstruction has no scan to be compared with."""

ALL_FACES = 220_000
"""Triangles of all meshes together that keep the page small enough to be shown inside another."""


def reconstruction_items(
    fits: Sequence[str | Path], faces: Sequence[str | Path], most_groups: int = 6
) -> list[dict[str, Any]]:
    """Items for :func:`facemill.figures.viewer.write_viewer`: one group per person and expression.

    ``fits`` are files ``<system>/<variant>/fit/<person>.npz``, ``faces`` the packs of the same
    people with their manifests beside. Each group holds the scan's sheet, coloured by its texture,
    and every reconstruction with its distance to that sheet in mm (exact, before the meshes are
    made coarser for display). Raises DataError if no scan has a reconstruction.
    """
    packs = {Path(path).stem: Path(path) for path in faces}
    by_person: dict[str, dict[str, dict[str, Mesh]]] = {}
    for path in map(Path, fits):
        if path.stem in packs:
            by_person.setdefault(path.stem, {})[method_name(path)] = read_fit(path)
        else:
            logging.info("%s: no faces given for %s, left out", path, path.stem)
    chosen = _spread(by_person, most_groups)
    if not chosen:
        raise DataError(
            f"viewer: none of the {len(fits)} fit files belongs to one of the people "
            f"{', '.join(packs) or '(none given)'}; give fits and faces of the same people."
        )
    meshes = sum(1 + len(by_person[person]) for person, _ in chosen)
    most_faces = max(3000, ALL_FACES // meshes)
    items = []
    for person, expression in chosen:
        pack = FacePack(packs[person])
        sheet = pack.sheet(expression)
        group = f"{person}, {readable(expression)}"
        colours = sheet_colours(pack, expression)
        items.append(_item("scan", group, sheet, most_faces, colours=colours))
        for method, meshes_of in by_person[person].items():
            if expression in meshes_of:
                mesh = meshes_of[expression]
                values = distance_to_sheet(mesh, sheet)
                items.append(_item(method, group, mesh, most_faces, values=values))
    return items


def method_name(fit: Path) -> str:
    """``results/demo/imface/se3/fit/d007.npz`` as ``imface se3``; baselines by their own name."""
    system, variant = fit.parts[-4:-2] if len(fit.parts) >= 4 else ("", fit.stem)
    return variant if system == "baselines" else f"{system} {variant}".strip()


def _spread(by_person: dict[str, dict[str, dict[str, Mesh]]], most: int) -> list[tuple[str, str]]:
    """Up to ``most`` pairs of person and expression, all people and many expressions among them."""
    found = []
    for place, (person, methods) in enumerate(by_person.items()):
        expressions = list(dict.fromkeys(e for meshes in methods.values() for e in meshes))
        turned = [expressions[(place + 3 * k) % len(expressions)] for k in range(len(expressions))]
        found.append([(person, expression) for expression in dict.fromkeys(turned)])
    rounds = max(map(len, found), default=0)
    pairs = [row[k] for k in range(rounds) for row in found if k < len(row)]
    people = list(by_person)
    return sorted(pairs[:most], key=lambda pair: people.index(pair[0]))


def distance_to_sheet(mesh: Mesh, sheet: Mesh) -> Float[np.ndarray, " v"]:
    """Distance of each vertex to the scan's sheet, mm; not-a-number outside the crop sphere."""
    distance, _, _ = distance_to_mesh(mesh.vertices, sheet)
    outside = np.linalg.norm(mesh.vertices, axis=1) > CROP_RADIUS
    return np.where(outside, np.nan, distance)


def sheet_colours(pack: FacePack, expression: str) -> UInt8[np.ndarray, "v 3"] | None:
    """Texture colours at the vertices of a scan's sheet; None without texture or uv."""
    manifest = pack.path.with_suffix(".json")
    scans = read_json(manifest)["scans"] if manifest.is_file() else {}
    texture = scans.get(expression, {}).get("texture")
    mesh = pack.registered(expression)
    if not texture or mesh.uv is None or mesh.faces_uv is None:
        return None
    _, closest, face = distance_to_mesh(pack.sheet(expression).vertices, mesh)
    weights = barycentric(closest, mesh, face)
    uv = (mesh.uv[mesh.faces_uv[face]] * weights[..., None]).sum(axis=1)
    return np.round(lookup(read_texture(texture), uv)).astype(np.uint8)


def _item(
    name: str,
    group: str,
    mesh: Mesh,
    most_faces: int,
    colours: UInt8[np.ndarray, "v 3"] | None = None,
    values: Float[np.ndarray, " v"] | None = None,
) -> dict[str, Any]:
    """One mesh made coarse enough for display, its colours or values carried along."""
    shown, origin = coarser(mesh, most_faces)
    item = {"name": name, "group": group, "vertices": shown.vertices, "faces": shown.faces}
    item["colours"] = None if colours is None else colours[origin]
    item["values"] = None if values is None else values[origin]
    if values is not None and np.isfinite(values).any():
        item["note"] = f"mean distance {np.nanmean(values):.2f} mm"
    return item


def coarser(mesh: Mesh, most_faces: int) -> tuple[Mesh, Int[np.ndarray, " v"]]:
    """A mesh of at most ``most_faces`` triangles by quadric collapse, and its vertices' origins.

    The origin of a vertex is the nearest vertex of the mesh as it was. A mesh that is small enough,
    or not manifold, stays as it is.
    """
    import igl
    from scipy.spatial import cKDTree

    if len(mesh.faces) > most_faces:
        vertices, faces, _, _ = igl.qslim(
            np.asfortranarray(mesh.vertices, np.float64),
            np.asfortranarray(mesh.faces, np.int32),
            most_faces,
        )
        if len(faces):
            _, origin = cKDTree(mesh.vertices).query(vertices)
            return Mesh(vertices, faces.astype(np.int64)), origin
        logging.info("a mesh of %d triangles is not manifold and stays fine", len(mesh.faces))
    return mesh, np.arange(len(mesh.vertices))
