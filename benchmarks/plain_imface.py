"""ImFace's training loss written the straightforward way, on the weights of a model of ours.

One small hyper-network after another, offsets to the landmarks as inputs, 4 x 4 screw matrices for
every point, autograd's double backward. Tests compare the numbers, benchmarks the time and memory.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from facemill.imface import losses
from facemill.imface.data import Batch
from facemill.imface.model import HyperBlendField, ImFace


def hyper_layers(field: HyperBlendField, code: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Weight (b, out, in) and bias (b, out) of each generated layer, one net for each tensor."""
    hyper = field.hyper
    tensors = []
    for net in range(len(hyper.sizes)):
        hidden = code
        for weight, bias in zip(hyper.hidden_weights, hyper.hidden_biases, strict=True):
            hidden = F.relu(hidden @ weight[net] + bias[net])
        tensors.append(hidden @ hyper.output_weights[net].T + hyper.output_biases[net])
    return [
        (tensors[2 * i].view(-1, out, fan_in), tensors[2 * i + 1])
        for i, (out, fan_in) in enumerate(field.shapes)
    ]


def siren(x: Tensor, layers: list[tuple[Tensor, Tensor]], omega: float) -> Tensor:
    """sin(omega (W x + b)) layer by layer, then the linear head."""
    for number, (weight, bias) in enumerate(layers):
        x = x @ weight.transpose(-1, -2) + bias.unsqueeze(-2)
        if number < len(layers) - 1:
            x = torch.sin(omega * x)
    return x


def blend(points: Tensor, layers: list, anchors: Tensor, fusion: torch.nn.Module, omega: float):
    """Offsets to all anchors in, one output for each anchor, mixed."""
    offsets = (points[:, :, None] - anchors[..., None, :, :]).flatten(-2)
    weights = fusion(points)
    local = siren(offsets, layers, omega).unflatten(-1, (weights.shape[-1], -1))
    return (weights[..., None] * local).sum(-2)


def hat(w: Tensor) -> Tensor:
    """Cross-product matrices (..., 3, 3)."""
    x, y, z = w.unbind(-1)
    zero = torch.zeros_like(x)
    return torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).unflatten(-1, (3, 3))


def screw(points: Tensor, raw: Tensor) -> Tensor:
    """Homogeneous matrix of each point's twist, applied to it; no twist may be exactly zero."""
    angle = raw[..., :3].norm(dim=-1)[..., None]
    w, v = raw[..., :3] / angle, raw[..., 3:] / angle
    matrix = hat(w)
    square = matrix @ matrix
    angle = angle[..., None]
    eye = torch.eye(3, dtype=points.dtype, device=points.device)
    rotation = eye + torch.sin(angle) * matrix + (1 - torch.cos(angle)) * square
    pitch = angle * eye + (1 - torch.cos(angle)) * matrix + (angle - torch.sin(angle)) * square
    top = torch.cat([rotation, pitch @ v[..., None]], -1)
    bottom = torch.tensor([0.0, 0.0, 0.0, 1.0], dtype=points.dtype, device=points.device)
    motion = torch.cat([top, bottom.expand(*top.shape[:-2], 1, 4)], -2)
    homogeneous = torch.cat([points, torch.ones_like(points[..., :1])], -1)
    return (motion @ homogeneous[..., None])[..., :3, 0]


def warp(model: ImFace, points: Tensor, raw: Tensor) -> Tensor:
    """Screw or translation."""
    return screw(points, raw) if model.config.warp == "se3" else points + raw


class Field:
    """The field of some scans, its generated weights made one net after the other."""

    def __init__(self, model: ImFace, identity_code: Tensor, expression_code: Tensor) -> None:
        self.model = model
        both = torch.cat([expression_code, identity_code], -1)
        self.observed = model.observed_landmark_net(both)
        self.neutral = model.neutral_landmark_net(identity_code)
        self.e_layers = hyper_layers(model.expression_field, expression_code)
        self.i_layers = hyper_layers(model.identity_field, identity_code)

    def to_neutral(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """E: points of the neutral face, and the raw output."""
        raw = self._blend(x, self.e_layers, self.observed, self.model.expression_field.fusion)
        return warp(self.model, x, raw), raw

    def to_template(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """I: points of the template, and the correction."""
        raw = self._blend(x, self.i_layers, self.neutral, self.model.identity_field.fusion)
        return warp(self.model, x, raw[..., :-1]), raw[..., -1]

    def template_sdf(self, x: Tensor) -> Tensor:
        """T."""
        template = self.model.template_field
        anchors = self.model.template_landmarks[list(self.model.config.anchors)]
        return self._blend(x, template.siren.layers(), anchors, template.fusion)[..., 0]

    def _blend(self, x: Tensor, layers: list, anchors: Tensor, fusion: torch.nn.Module) -> Tensor:
        return blend(x, layers, anchors, fusion, self.model.config.omega)


def terms(model: ImFace, batch: Batch) -> dict[str, Tensor]:
    """The twelve terms of training, as ``facemill.imface.losses.training_terms`` gives them."""
    picked = list(model.config.anchors)
    identity_code, expression_code = model.codes(batch.identity, batch.expression)
    field = Field(model, identity_code, expression_code)
    points = batch.points.detach().clone().requires_grad_()
    neutral_points, deformation = field.to_neutral(points)
    template_points, correction = field.to_template(neutral_points)
    sdf = field.template_sdf(template_points) + correction
    gradient, neutral_gradient = torch.autograd.grad(
        sdf.sum(), [points, neutral_points], create_graph=True
    )
    neutral_landmarks, _ = field.to_neutral(batch.landmarks)
    template_landmarks, _ = field.to_template(neutral_landmarks)
    goal = model.template_landmarks.expand_as(template_landmarks)
    return {
        "sdf": losses.sdf_term(sdf, batch.sdf),
        "normal": losses.normal_term(gradient, batch.normals),
        "eikonal": losses.eikonal_term(gradient),
        "eikonal_neutral": losses.eikonal_term(neutral_gradient),
        "identity_code": losses.code_term(identity_code),
        "expression_code": losses.code_term(expression_code),
        "correction": losses.correction_term(correction),
        "anchors_expression": losses.landmark_term(field.observed, batch.landmarks[:, picked]),
        "anchors_identity": losses.landmark_term(field.neutral, batch.neutral_landmarks[:, picked]),
        "landmark_deformation": losses.landmark_term(neutral_landmarks, batch.neutral_landmarks),
        "landmark_template": losses.landmark_term(template_landmarks, goal),
        "neutral_deformation": losses.neutral_deformation_term(deformation, batch.is_neutral),
    }
