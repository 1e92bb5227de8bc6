"""A mesh from the density: the level set in the shell round the predicted surface.

What lies far in front of that surface is empty and what lies far behind it is solid, whatever the
field says there: behind skin it was never shown anything. So the mesh is what the field itself
holds, without the fog and the insides that a plain threshold finds.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import igl
import numpy as np
import torch
from jaxtyping import UInt8
from scipy.ndimage import maximum_filter

from facemill.data.packs import FacePack
from facemill.errors import ConfigError, GeometryError
from facemill.files import write_json
from facemill.mesh.connectivity import parts
from facemill.mesh.crop import without_unused_vertices
from facemill.mesh.distance import distance_to_mesh, winding_number
from facemill.mesh.frames import FACE_TO_MOFANERF, HEAD_CENTRE
from facemill.mesh.grid import Grid
from facemill.mesh.io import write_obj, write_ply
from facemill.mesh.isosurface import Field, extract
from facemill.mesh.normals import face_normals_and_areas
from facemill.mesh.sampling import sample_surface
from facemill.mesh.surface import Mesh
from facemill.mofanerf.faces import FaceCodes, Faces
from facemill.randomness import generator
from facemill.render.cameras import orbit
from facemill.render.pixels import eight_bit
from facemill.render.raycast import RayScene, vertex_normals
from facemill.render.views import DISTANCE, FOCAL, SIZE
from facemill.training.device import choose_device, keep_freed_memory
from facemill.training.settings import from_settings

YAWS, PITCHES, SIDE = range(-90, 91, 30), (-30, 0, 30), 256
"""Degrees and pixels of the cameras between which a head is shown in training."""

GRAZING = 0.3
"""Least cosine between a normal and the way to a camera that sees more than an outline there."""
HARDLY_AROUND = 0.2
"""Winding number below which a head, open at its neck, does not lie round a point."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class MeshConfig:
    """How a mesh is made of a density."""

    resolution: int = 192  # grid points along an axis of the cube round the head's sphere
    level: float = 6.0  # density (1/50 mm) that is the surface
    outside: float = 12.0  # mm before the predicted surface in which the field is asked
    inside: float = 6.0  # mm behind it
    radius: float = 170.0  # mm round the head's centre
    seen: bool = True  # without what no camera of the published grid sees: the back of the head
    points_at_once: int = 32768  # points in one call of the field; bounds memory
    samples: int = 20000  # points on the mesh whose distances to the source mesh are told

    def __post_init__(self) -> None:
        for name in ("resolution", "points_at_once", "samples"):
            if getattr(self, name) < 8:
                raise ConfigError(f"{name}: found {getattr(self, name)}, expected at least 8")
        for name in ("level", "outside", "inside", "radius"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"{name}: found {getattr(self, name)}, expected a number above 0")


@dataclass(frozen=True)
class DensityMesh:
    """A mesh in the face frame (mm), triangles facing outwards, and the colours of its vertices."""

    mesh: Mesh
    colours: UInt8[np.ndarray, "v 3"]


def density_mesh(faces: Faces, codes: FaceCodes, config: MeshConfig = MeshConfig()) -> DensityMesh:
    """The density's level set as one connected piece, with the colours seen from outside.

    Raises GeometryError where the field is nowhere as dense as the level.
    """
    predicted = faces.surface_of(codes)
    scale = FACE_TO_MOFANERF.scale
    field = shell_field(faces, codes, predicted, config)
    half = config.radius * scale
    grid = Grid(config.resolution, -half, half)
    found = extract(field, grid, radius=half)
    log.debug("%d queries of %d grid points", found.queries, config.resolution**3)
    vertices = FACE_TO_MOFANERF.inverse().apply(found.mesh.vertices)
    whole = Mesh(vertices, found.mesh.faces)
    mesh = largest_part(without_rim(whole, predicted))
    if config.seen:
        mesh = largest_part(seen_part(mesh))
    return DensityMesh(mesh, vertex_colours(faces, codes, mesh, config))


def shell_field(faces: Faces, codes: FaceCodes, predicted: Mesh, config: MeshConfig) -> Field:
    """Negative in what is dense, positive in what is not; points and values in scene units.

    In the shell it follows the logarithm of the density over the level; elsewhere it is the signed
    distance to the shell, so that its zero is never farther than its value.
    """
    model, ready, scale = faces.model, faces.ready(codes), FACE_TO_MOFANERF.scale
    to_face = FACE_TO_MOFANERF.inverse()
    cell = 2 * config.radius * scale / (config.resolution - 1)
    mesh = np.ascontiguousarray(predicted.vertices, np.float64)
    triangles = np.ascontiguousarray(predicted.faces, np.int64)

    def field(points: np.ndarray) -> np.ndarray:
        face_points = np.ascontiguousarray(to_face.apply(points))
        signed = igl.signed_distance(
            face_points,
            mesh,
            triangles,
            sign_type=igl.SIGNED_DISTANCE_TYPE_PSEUDONORMAL,
        )[0]
        # Behind a fold that cuts through itself, as ears have, the sign is wrong far out.
        behind = np.flatnonzero(signed < -config.inside)
        around = winding_number(face_points[behind], predicted)
        signed[behind[around < HARDLY_AROUND]] *= -1.0
        values = np.where(
            signed > 0, signed - config.outside, np.minimum(signed + config.inside, 0.0)
        )
        values = values.astype(np.float32) * np.float32(scale)
        inside = np.flatnonzero((signed < config.outside) & (signed > -config.inside))
        with torch.no_grad():
            for start in range(0, len(inside), config.points_at_once):
                part = inside[start : start + config.points_at_once]
                at = torch.from_numpy(points[part].astype(np.float32)).to(faces.device)
                density = model.field(at[None, :, None], at[None], ready)[0].flatten()
                over = torch.log((density + 1e-3) / config.level).cpu().numpy()
                values[part] = np.clip(-over, -1.0, 1.0) * np.float32(cell)
        return values

    return field


def without_rim(mesh: Mesh, predicted: Mesh) -> Mesh:
    """The mesh without what lies beyond the open edge of the predicted surface (the neck).

    There the shell ends in the air, and the level set runs round its end.
    """
    edges = np.sort(predicted.faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
    _, back, counts = np.unique(edges, axis=0, return_inverse=True, return_counts=True)
    open_edge = (counts[back.ravel()] == 1).reshape(-1, 3)  # of each face: edges 01, 12, 20
    if not open_edge.any():
        return mesh
    _, nearest, which = distance_to_mesh(mesh.vertices, predicted)
    corners = np.asarray(predicted.vertices, np.float64)[predicted.faces[which]]
    beyond = np.zeros(len(mesh.vertices), bool)
    for number in range(3):
        a, b = corners[:, number], corners[:, (number + 1) % 3]
        along = (b - a) / np.maximum(np.linalg.norm(b - a, axis=1, keepdims=True), 1e-12)
        off = nearest - a
        away = np.linalg.norm(off - (off * along).sum(1, keepdims=True) * along, axis=1)
        beyond |= open_edge[which, number] & (away < 1e-3)
    kept = mesh.faces[~beyond[mesh.faces].any(axis=1)]
    return without_unused_vertices(Mesh(mesh.vertices, kept))


def seen_part(mesh: Mesh) -> Mesh:
    """The triangles of a head that some camera between the profiles sees, not at a grazing angle.

    Training views stand from one ear to the other; behind them the field was shown nothing.
    """
    scene, seen = RayScene(mesh.vertices, mesh.faces), np.zeros(len(mesh.vertices), bool)
    normals = vertex_normals(mesh.vertices, mesh.faces)
    for yaw in YAWS:
        for pitch in PITCHES:
            camera = orbit(yaw, pitch, DISTANCE, FOCAL * SIDE / SIZE, SIDE, SIDE, HEAD_CENTRE)
            hits = scene.see(camera)
            depth = hits.scatter(hits.distance.astype(np.float32)).reshape(SIDE, SIDE)
            depth = maximum_filter(depth, 3)  # a vertex projects between pixels
            points, away = camera.project(mesh.vertices)
            column, row = np.clip(points.astype(int), 0, SIDE - 1).T
            towards = camera.centre - mesh.vertices
            towards /= np.linalg.norm(towards, axis=1, keepdims=True)
            facing = (towards * normals).sum(axis=1) > GRAZING
            seen |= facing & (away <= depth[row, column] + 0.5)
    return without_unused_vertices(Mesh(mesh.vertices, mesh.faces[seen[mesh.faces].all(axis=1)]))


def largest_part(mesh: Mesh) -> Mesh:
    """The connected piece with the largest area."""
    if len(mesh.faces) == 0:
        raise GeometryError(
            "the density has no level set near the predicted surface: the model is hardly trained, "
            "or the level (mofanerf.mesh.level) is too high."
        )
    of_face = parts(mesh.faces, len(mesh.vertices))
    areas = np.bincount(of_face, face_normals_and_areas(mesh)[1])
    return without_unused_vertices(Mesh(mesh.vertices, mesh.faces[of_face == areas.argmax()]))


@torch.no_grad()
def vertex_colours(
    faces: Faces, codes: FaceCodes, mesh: Mesh, config: MeshConfig
) -> UInt8[np.ndarray, "v 3"]:
    """The field's colours at the vertices, seen against the normals."""
    places = FACE_TO_MOFANERF.apply(mesh.vertices).astype(np.float32)
    ways = -vertex_normals(mesh.vertices, mesh.faces).astype(np.float32)
    ready, colours = faces.ready(codes), np.empty((len(places), 3), np.float32)
    for start in range(0, len(places), config.points_at_once):
        part = slice(start, start + config.points_at_once)
        at, way = (torch.from_numpy(a[part]).to(faces.device)[None] for a in (places, ways))
        colours[part] = faces.model.field(at[:, :, None], way, ready)[1][0, :, 0].cpu().numpy()
    return eight_bit(colours)


def distances(mesh: Mesh, source: Mesh, count: int, rng: np.random.Generator) -> dict[str, float]:
    """Distances (mm) of points on a mesh, uniform by area, to the mesh it should be."""
    away = distance_to_mesh(sample_surface(mesh, count, rng).points, source)[0]
    return {
        "median_mm": float(np.median(away)),
        "mean_mm": float(away.mean()),
        "share_beyond_5_mm": float((away > 5.0).mean()),
    }


def export_mesh(
    model: str | Path,
    codes: str | Path,
    pack: str | Path,
    person: str,
    expression: str,
    settings: Mapping[str, Any],
    ply: str | Path,
    obj: str | Path,
    report: str | Path,
) -> dict[str, Any]:
    """Write a person of the codes with a trained expression as PLY and OBJ, and how far it is off.

    ``pack`` is the person's face pack, whose registered mesh is the measure. ``settings`` are
    fields of MeshConfig.
    """
    config = from_settings(MeshConfig, settings, "mofanerf.mesh")
    keep_freed_memory()
    faces = Faces(model, codes, choose_device("auto"))
    made = density_mesh(faces, faces.codes_of(person, expression), config)
    source = FacePack(pack).registered(expression)
    rng = generator(0, "mofanerf_mesh", person, expression)
    told = {
        "person": person,
        "expression": expression,
        "vertices": len(made.mesh.vertices),
        "faces": len(made.mesh.faces),
        **distances(made.mesh, source, config.samples, rng),
    }
    write_json(report, told)
    write_obj(obj, made.mesh, colours=made.colours)
    write_ply(ply, made.mesh, vertex_normals(made.mesh.vertices, made.mesh.faces), made.colours)
    log.info(
        "%s %s: %d vertices, median %.2f mm from the source mesh, %.1f %% of area beyond 5 mm",
        person, expression, told["vertices"], told["median_mm"], 100 * told["share_beyond_5_mm"],
    )  # fmt: skip
    return told
