"""Computing the operators of one mesh: cleaning, Laplacian, eigenbasis, gradients, picture.

Apart from :mod:`facemill.mesh.operators`, which reads them, so that training needs no ray caster.
"""

import numpy as np
from scipy.sparse import vstack

from facemill.mesh.clean import cleaned
from facemill.mesh.frames import Similarity
from facemill.mesh.gradients import gradient_operators
from facemill.mesh.laplacian import cotangent_laplacian, eigenbasis, vertex_masses
from facemill.mesh.operators import Operators, OperatorSettings, fingerprint
from facemill.mesh.surface import Mesh
from facemill.render.frontal import frontal_picture


def build_operators(
    mesh: Mesh,
    settings: OperatorSettings,
    name: str,
    placed: Similarity | None = None,
    residual: float = float("nan"),
    weld: bool = True,
) -> Operators:
    """Clean a mesh and compute its operators; ``placed`` leads to the canonical frame.

    Raises GeometryError for what :func:`facemill.mesh.clean.cleaned` refuses and for a mesh with
    fewer vertices than eigenfunctions.
    """
    placed = Similarity() if placed is None else placed
    clean = cleaned(mesh, name, weld)
    # Operators belong to the vertices that the file holds, which are single precision.
    vertices = placed.apply(clean.mesh.vertices).astype(np.float32)
    canonical = Mesh(vertices.astype(np.float64), clean.mesh.faces)
    mass, laplacian = vertex_masses(canonical), cotangent_laplacian(canonical)
    values, vectors = eigenbasis(laplacian, mass, settings.eigenfunctions, name)
    return Operators(
        vertices=vertices,
        faces=clean.mesh.faces.astype(np.int32),
        mass=mass.astype(np.float32),
        laplacian=laplacian.astype(np.float32),
        eigenvalues=values.astype(np.float32),
        eigenvectors=vectors.astype(np.float32),
        gradients=vstack(gradient_operators(canonical)).tocsr().astype(np.float32),
        picture=frontal_picture(canonical, settings.picture_size),
        source=clean.source.astype(np.int32),
        n_source=len(mesh.vertices),
        placed=placed,
        residual=float(residual),
        fingerprint=fingerprint(vertices, clean.mesh.faces, settings),
    )
