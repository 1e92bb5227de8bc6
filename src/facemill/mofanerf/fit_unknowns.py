"""What a fit moves: pose, brightness and whitened codes, and what they mean for rays and cameras.

The pose is a twist: six numbers whose exponential is a rigid motion of the head in the scene's
frame, so that no step leaves the rotations (the release moves 16 numbers of a matrix). It turns the
head about its centre before the guessed camera sees it.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from facemill.mesh.frames import FACE_TO_MOFANERF, Similarity
from facemill.mofanerf.faces import FaceCodes, Faces
from facemill.mofanerf.fit_config import FitRates
from facemill.mofanerf.model import SHAPE_DIM
from facemill.mofanerf.prior import CodePrior
from facemill.nets.screw import screw_motion
from facemill.render.cameras import Camera

PEAK = 0.7
"""Weight of an expression in the mix that is tried for it; the others share the rest."""


@dataclass
class Unknowns:
    """Leaf tensors, ready for Adam."""

    pose: Float[Tensor, "6"]  # rotation vector (rad), then the twist's shift (scene units)
    brightness: Float[Tensor, ""]  # logarithm
    shape: Float[Tensor, " k"]  # whitened
    along: Float[Tensor, " m"]  # appearance along the training people's axes, whitened
    beside: Float[Tensor, " a"]  # appearance off them, in units of the prior's floor
    logits: Float[Tensor, " n"]  # of the mix of trained expressions
    residual: Float[Tensor, " e"]  # of the expression code, beside that mix

    @property
    def mix(self) -> Float[Tensor, " n"]:
        """Weights of the trained expressions: above 0, of sum 1."""
        return torch.softmax(self.logits, dim=0)

    def groups(self, rates: FitRates) -> list[dict]:
        """Parameter groups of Adam; a rate of 0 keeps a part where it is."""
        parts = {
            "pose": [self.pose],
            "brightness": [self.brightness],
            "shape": [self.shape],
            "appearance": [self.along, self.beside],
            "mix": [self.logits],
            "expression": [self.residual],
        }
        return [{"params": of, "lr": getattr(rates, name)} for name, of in parts.items()]

    def priors(self) -> dict[str, Float[Tensor, ""]]:
        """The terms that know nothing of the image, unweighted."""
        return {
            "shape": self.shape.square().sum(),
            "appearance": self.along.square().sum() + self.beside.square().sum(),
            "expression": self.residual.square().sum(),
            "brightness": self.brightness.square(),
        }


def start(faces: Faces, prior: CodePrior) -> Unknowns:
    """The mean face with an even mix of expressions, where the guess says."""
    sizes = {
        "pose": 6,
        "shape": prior.shape_size,
        "along": len(prior.appearance.std),
        "beside": len(prior.appearance.mean),
        "logits": len(faces.expressions),
        "residual": faces.model.config.expression_dim,
    }
    made = {name: torch.zeros(size) for name, size in sizes.items()}
    made["brightness"] = torch.zeros(())
    return Unknowns(**{name: v.to(faces.device).requires_grad_() for name, v in made.items()})


def branch(unknowns: Unknowns, row: int) -> Unknowns:
    """A copy in which one trained expression has most of the mix."""
    copies = {name: v.detach().clone() for name, v in vars(unknowns).items()}
    count = len(copies["logits"])
    if count > 1:
        copies["logits"] = torch.zeros_like(copies["logits"])
        copies["logits"][row] = math.log(PEAK / (1 - PEAK) * (count - 1))
    return Unknowns(**{name: v.requires_grad_() for name, v in copies.items()})


class Decoder:
    """From unknowns to the codes that the networks know."""

    def __init__(self, faces: Faces, prior: CodePrior) -> None:
        to = lambda a: torch.from_numpy(np.ascontiguousarray(a, np.float32)).to(faces.device)  # noqa: E731
        self.mean, self.axes = to(prior.appearance.mean), to(prior.appearance.axes)
        self.std, self.floor = to(prior.appearance.std), prior.floor
        self.expressions = faces.model.expression_codes.detach()

    def __call__(
        self, of: Unknowns
    ) -> tuple[Float[Tensor, "50"], Float[Tensor, " e"], Float[Tensor, " a"]]:
        """Shape (padded), expression (not yet modulated) and appearance."""
        shape = torch.nn.functional.pad(of.shape, (0, SHAPE_DIM - len(of.shape)))
        expression = of.mix @ self.expressions + of.residual
        appearance = self.mean + (of.along * self.std) @ self.axes + self.floor * of.beside
        return shape, expression, appearance

    def numbers(self, of: Unknowns) -> FaceCodes:
        """The same as arrays, with the mix."""
        with torch.no_grad():
            parts = [*self(of), of.mix]
        return FaceCodes(*[part.cpu().numpy().astype(np.float32) for part in parts])


def posed_rays(
    origins: Float[Tensor, "r 3"], directions: Float[Tensor, "r 3"], pose: Float[Tensor, "6"]
) -> tuple[Float[Tensor, "1 r 3"], Float[Tensor, "1 r 3"]]:
    """Rays of the guessed camera as the moved head meets them: the inverse motion of the rays."""
    turn, shift = ((-part).expand_as(origins) for part in (pose[:3], pose[3:]))
    moved = screw_motion(origins, turn, shift)
    turned = screw_motion(directions, turn, torch.zeros_like(turn))
    return moved[None], turned[None]


def motion(pose: Float[Tensor, "6"]) -> Similarity:
    """The head's rigid motion in the face frame (mm), in double precision."""
    corners = torch.cat([torch.zeros(1, 3), torch.eye(3)]).double()
    pose = pose.detach().double().cpu()
    turn, shift = (part.expand_as(corners) for part in (pose[:3], pose[3:]))
    origin, *axes = screw_motion(corners, turn, shift).numpy()
    scene = Similarity(1.0, np.stack(axes, 1) - origin[:, None], origin)
    return FACE_TO_MOFANERF.inverse().after(scene).after(FACE_TO_MOFANERF)


def posed_camera(camera: Camera, pose: Float[Tensor, "6"]) -> Camera:
    """The guessed camera as it stands to the head after the motion."""
    moved = motion(pose)
    rotation = camera.extrinsics[:, :3] @ moved.rotation
    shift = camera.extrinsics[:, :3] @ moved.translation + camera.extrinsics[:, 3]
    extrinsics = np.concatenate([rotation, shift[:, None]], axis=1)
    return Camera(camera.intrinsics, extrinsics, camera.width, camera.height)


def projected(
    points: Float[Tensor, "n 3"], camera: Camera, pose: Float[Tensor, "6"]
) -> Float[Tensor, "n 2"]:
    """Image points of places in the face frame (mm) after the motion, with their gradients."""
    to = lambda a: torch.from_numpy(np.asarray(a, np.float32)).to(points.device)  # noqa: E731
    centre, scale = to(FACE_TO_MOFANERF.translation), FACE_TO_MOFANERF.scale
    turn, shift = (part.expand_as(points) for part in (pose[:3], pose[3:]))
    moved = (screw_motion(scale * points + centre, turn, shift) - centre) / scale
    local = moved @ to(camera.extrinsics[:, :3]).T + to(camera.extrinsics[:, 3])
    image = local @ to(camera.intrinsics).T
    return image[:, :2] / image[:, 2:]
