"""Hidden-surface removal along +z: what a viewer far in front of the face sees."""

import numpy as np
from jaxtyping import Bool, Float, Int

from facemill.errors import GeometryError
from facemill.mesh.crop import without_unused_vertices
from facemill.mesh.projection import triangles_at
from facemill.mesh.surface import Mesh

CLEARANCE = 1e-4
"""How far above a vertex surface must lie to hide it, mm (ImFace: 1e-6 in units of 100 mm)."""


def hidden_vertices(
    vertices: Float[np.ndarray, "v 3"], faces: Int[np.ndarray, "f 3"]
) -> Bool[np.ndarray, " v"]:
    """True where some face lies more than ``CLEARANCE`` above the vertex in +z.

    A vertex is not hidden by the faces it belongs to, however steep: a ray caster that starts on
    the surface has to guess which of its hits are the start itself, the vertex numbers know.
    """
    vertices = np.asarray(vertices, np.float64)
    points, over, z = triangles_at(vertices[:, :2], vertices, faces)
    own = (faces[over] == points[:, None]).any(axis=1)
    above = ~own & (z > vertices[points, 2] + CLEARANCE)
    hidden = np.zeros(len(vertices), bool)
    hidden[points[above]] = True
    return hidden


def visible_part(mesh: Mesh) -> Mesh:
    """The faces whose three vertices are all visible from +z, and their vertices (ImFace 1.4).

    This is what removes mouth, nostril and socket interiors, the underside of the chin and what
    lies behind the ears, for any expression and without a mask.
    """
    hidden = hidden_vertices(mesh.vertices, mesh.faces)
    faces = mesh.faces[~hidden[mesh.faces].any(axis=1)]
    if len(faces) == 0:
        raise GeometryError(
            "no triangle is visible from +z; the mesh does not look out along +z. "
            "Align it to the face frame first (docs/data-layouts.md)."
        )
    return without_unused_vertices(Mesh(np.asarray(mesh.vertices, np.float64), faces))
