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
    """The signed distance of one scan as a function of points in the unit ball, for NumPy.

    The refined one where the condition has detail.
    """
    device = model.template_landmarks.device
    refined = len(condition.detail_layers) > 0

    def field(points: np.ndarray) -> np.ndarray:
        values = np.empty(len(points), np.float32)
        with torch.no_grad():
            for start in range(0, len(points), batch_points):
                part = points[start : start + batch_points].astype(np.float32)
                part = torch.from_numpy(part).to(device)[None]
                sdf = (
                    model.refined_sdf(part, condition)
                    if refined
                    else model.field(part, condition).sdf
                )
                values[start : start + batch_points] = sdf[0].cpu().numpy()
        return values

    return field


def condition_of(
    model: ImFace,
    identity_code: Float[Tensor, " ci"],
    expression_code: Float[Tensor, " ce"],
    detail_code: Float[Tensor, " cd"] | None = None,
) -> Condition:
    """What follows from one scan's codes alone, on the model's device, without a graph."""
    device = model.template_landmarks.device
    codes = [identity_code, expression_code, detail_code]
    with torch.no_grad():
        return model.condition(*[None if c is None else c[None].to(device) for c in codes])


def gradient_normals(
    model: ImFace,
    condition: Condition,
    vertices: Float[np.ndarray, "v 3"],
    batch_points: int = 65536,
) -> Float[np.ndarray, "v 3"]:
    """Unit normals at vertices (face frame, mm): the direction in which the field grows.

    Exact where normals of triangles are facetted; a similarity between frames only turns them.
    """
    device = model.template_landmarks.device
    points = FACE_TO_IMFACE.apply(vertices).astype(np.float32)
    normals = np.empty((len(points), 3))
    for start in range(0, len(points), batch_points):
        part = torch.from_numpy(points[start : start + batch_points]).to(device)[None]
        if len(condition.detail_layers) > 0:
            part.requires_grad_()
            (gradient,) = torch.autograd.grad(model.refined_sdf(part, condition).sum(), part)
        else:
            with torch.no_grad():
                _, gradient, _ = model.field_and_gradients(part, condition)
        normals[start : start + batch_points] = gradient[0].cpu().numpy()
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
    return FACE_TO_IMFACE.inverse().apply_to_normals(normals)


def reconstruct(
    model: ImFace,
    identity_code: Float[Tensor, " ci"],
    expression_code: Float[Tensor, " ce"],
    config: ExtractionConfig,
    detail_code: Float[Tensor, " cd"] | None = None,
) -> Mesh:
    """The face that codes stand for, cut at the ball, every triangle facing outwards.

    With ``config.visible`` what lies behind the face goes, as it went from the scans: a network
    that has seen few free points makes stray surface there, which is no part of the face.
    Raises GeometryError where the field has no zero.
    """
    condition = condition_of(model, identity_code, expression_code, detail_code)
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
