"""Operators of neutrals that the face model makes, whose vertices keep the model's numbers."""

from dataclasses import replace

import numpy as np
from jaxtyping import Float

from facemill.data.blendshapes import Blendshapes
from facemill.mesh.operators import Operators, OperatorSettings
from facemill.mesh.operators_build import build_operators
from facemill.mesh.surface import Mesh


def neutral_operators(mesh: Mesh, settings: OperatorSettings, name: str) -> Operators:
    """Operators of a part of the model's mesh: all its vertices, some of its faces or others."""
    operators = build_operators(mesh, settings, name, weld=False)
    return replace(operators, n_source=len(mesh.vertices))


def whole_operators(
    model: Blendshapes,
    identity: Float[np.ndarray, " i"],
    region: str,
    settings: OperatorSettings,
    name: str,
) -> Operators:
    """Operators of a drawn person on a region with all its vertices, canonical units."""
    neutral = model.vertices(identity, np.zeros(len(model.units)))
    _, faces = model.region_faces(region)
    return neutral_operators(Mesh(neutral, faces), settings, f"{name} {region}")
