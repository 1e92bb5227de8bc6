"""From codes to a mesh: the zero level of the field, in millimetres of the face frame."""

import logging

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from facemill.imface.config import ExtractionConfig
from facemill.imface.model import Condition, ImFace
from facemill.mesh.crop import crop_to_sphere
from facemill.mesh.frames import FACE_TO_IMFACE
from facemill.mesh.grid import Grid
from facemill.mesh.isosurface import Field, extract, measured_lipschitz
from facemill.mesh.surface import Mesh
from facemill.mesh.visibility import visible_part

log = logging.getLogger(__name__)

BALL = 1.0
"""Radius of ImFace's domain in its own frame: nothing outside was ever shown to the networks."""


def sdf_field(model: ImFace, condition: Condition, batch_points: int) -> Field:
    """The signed distance of one scan as a function of points in the unit ball, for NumPy."""
    device = model.template_landmarks.device

    def field(points: np.ndarray) -> np.ndarray:
        values = np.empty(len(points), np.float32)
        with torch.inference_mode():
            for start in range(0, len(points), batch_points):
                part = points[start : start + batch_points].astype(np.float32)
                output = model.field(torch.from_numpy(part).to(device)[None], condition)
                values[start : start + batch_points] = output.sdf[0].cpu().numpy()
        return values

    return field


def gradient_normals(
    model: ImFace,
    identity_code: Float[Tensor, " ci"],
    expression_code: Float[Tensor, " ce"],
    vertices: Float[np.ndarray, "v 3"],
    config: ExtractionConfig,
) -> Float[np.ndarray, "v 3"]:
    """Unit normals at vertices (face frame, mm): the direction in which the field grows.

    Exact where normals of triangles are facetted; a similarity between frames only turns them.
    """
    device = model.template_landmarks.device
    points = FACE_TO_IMFACE.apply(vertices).astype(np.float32)
    normals = np.empty((len(points), 3))
    with torch.no_grad():
        condition = model.condition(identity_code[None], expression_code[None])
        for start in range(0, len(points), config.batch_points):
            part = torch.from_numpy(points[start : start + config.batch_points]).to(device)
            _, gradient, _ = model.field_and_gradients(part[None], condition)
            normals[start : start + config.batch_points] = gradient[0].cpu().numpy()
    return normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)


def reconstruct(
    model: ImFace,
    identity_code: Float[Tensor, " ci"],
    expression_code: Float[Tensor, " ce"],
    config: ExtractionConfig,
) -> Mesh:
    """The face that a pair of codes stands for, cut at the ball, every triangle facing outwards.

    With ``config.visible`` what lies behind the face goes, as it went from the scans: a network
    that has seen few free points makes stray surface there, which is no part of the face.
    Raises GeometryError where the field has no zero.
    """
    with torch.inference_mode():
        condition = model.condition(identity_code[None], expression_code[None])
    field = sdf_field(model, condition, config.batch_points)
    bound = measured_lipschitz(field, BALL, np.random.default_rng(0))
    grid = Grid(config.resolution, -BALL, BALL)
    extraction = extract(field, grid, lipschitz=bound, radius=BALL)
    log.debug(
        "%d queries, %.1f %% of dense; gradient bound %.2f",
        extraction.queries, 100 * extraction.queries / config.resolution**3, bound,
    )  # fmt: skip
    mesh = crop_to_sphere(extraction.mesh, np.zeros(3), BALL)
    mesh = Mesh(FACE_TO_IMFACE.inverse().apply(mesh.vertices), mesh.faces)
    return visible_part(mesh) if config.visible else mesh
