"""NFS's loss terms, one function each; canonical units (10 cm), squared where nothing else is said.

The original writes BP and BR into one entry of its loss, so that with both on only BR acts; here
they are two terms.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from facemill.nfs.config import LossWeights, ModelConfig
from facemill.nfs.model import NFS, Target
from facemill.nfs.surface import Surface, spans, vertex_normals


@dataclass(frozen=True)
class FaceModel:
    """The labelled people's linear model on the vertices of one mesh."""

    neutral: Float[Tensor, "v 3"]
    identity: Float[Tensor, "i v 3"]
    expression: Float[Tensor, "e v 3"]

    def vertices(
        self, identity: Float[Tensor, "b i"], expression: Float[Tensor, "b e"]
    ) -> Float[Tensor, "b v 3"]:
        """Faces of identity and expression weights; surplus entries of codes are passed over."""
        i, e = len(self.identity), len(self.expression)
        return (
            self.neutral
            + torch.einsum("bi,ivx->bvx", identity[:, :i], self.identity)
            + torch.einsum("be,evx->bvx", expression[:, :e], self.expression)
        )

    @cached_property
    def motion(self) -> Float[Tensor, " v"]:
        """How far each vertex moves, squared, on average over the units."""
        return self.expression.square().sum(dim=2).mean(dim=0)


@dataclass(frozen=True)
class Truth:
    """What is known of a batch: frames of one person, and of labelled people the rest.

    ``motion`` is how far each vertex moves in all the person's expressions, squared, in the mean.
    ``identity`` and ``expression`` are weights of the face model, padded with zeros to the codes'
    lengths; ``labels`` the segments of the vertices; ``cloned`` expressions that an unlabelled
    person shall be seen in (:func:`cycle_error`).
    """

    frames: Float[Tensor, "b v 3"]
    motion: Float[Tensor, " v"]
    identity: Float[Tensor, " i"] | None = None
    expression: Float[Tensor, "b z"] | None = None
    labels: Int[Tensor, " v"] | None = None
    face: FaceModel | None = None
    cloned: Float[Tensor, "b z"] | None = None


@dataclass(frozen=True)
class Generic:
    """The mean face with its operators, and the face model on its vertices (for BR)."""

    surface: Surface
    face: FaceModel


STILL = 0.02
"""Vertices that move less than this share of the mean square count as moving so much."""


def balanced(motion: Float[Tensor, " v"], balance: float) -> Float[Tensor, " v"] | None:
    """Weights of vertices by how far each of them moves (squared), (1 / motion)^balance, if any.

    Few vertices move with the lids and the brows, and little, where a jaw moves half of them by
    centimetres: of plain squares a network learns jaws. The weights are such that an error which is
    everywhere the same share of the motion costs what it costs without them.
    """
    if not balance:
        return None
    mean = motion.mean().clamp(min=1e-12)
    weights = (mean / (motion + STILL * mean)) ** balance
    return weights * (motion + 1e-12).sum() / (weights * (motion + 1e-12)).sum()


def vertex_error(
    found: Float[Tensor, "b v 3"],
    true: Float[Tensor, "b v 3"],
    free: bool = False,
    weights: Float[Tensor, " v"] | None = None,
) -> Float[Tensor, ""]:
    """Mean squared difference of coordinates, with weights of the vertices where there are any.

    ``free``: after taking off each frame's mean. A Poisson solve knows nothing of where a mesh
    lies.
    """
    difference = found - true
    if free:
        difference = difference - difference.mean(dim=1, keepdim=True)
    squares = difference.square()
    return squares.mean() if weights is None else (squares.mean(dim=2) * weights).mean()


def normal_error(
    found: Float[Tensor, "b v 3"], true: Float[Tensor, "b v 3"], faces: Int[Tensor, "f 3"]
) -> Float[Tensor, ""]:
    """Mean squared difference of the coordinates of unit vertex normals."""
    return (vertex_normals(found, faces) - vertex_normals(true, faces)).square().mean()


def jacobian_error(
    found: Float[Tensor, "b v 3"],
    true: Float[Tensor, "b v 3"],
    neutral: Float[Tensor, "v 3"],
    faces: Int[Tensor, "f 3"],
) -> Float[Tensor, ""]:
    """Mean squared difference of the triangles' Jacobians, weighted by their area at rest.

    The original counts every triangle the same; on ICT's mesh a few slivers then decide.
    """
    rest = spans(neutral[None], faces)[0]
    corners = neutral[faces]
    area = torch.linalg.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]).norm(
        dim=-1
    )
    # The rest's spans are constants, so their inverse needs no gradient.
    inverse = _inverse(rest)
    difference = (spans(found, faces) - spans(true, faces)) @ inverse
    return (difference.square().mean(dim=(2, 3)) * (area / area.sum())).sum(dim=1).mean()


def _inverse(matrices: Float[Tensor, "f 3 3"]) -> Float[Tensor, "f 3 3"]:
    """Inverse by cofactors; a matrix without volume gets zero, not infinity."""
    a, b, c = matrices.unbind(dim=-1)
    rows = torch.stack(
        [torch.linalg.cross(b, c), torch.linalg.cross(c, a), torch.linalg.cross(a, b)], dim=-2
    )
    volume = (a * torch.linalg.cross(b, c)).sum(dim=-1)[:, None, None]
    return torch.where(volume > 1e-20, rows / volume.clamp(min=1e-20), torch.zeros_like(rows))


def code_error(found: Float[Tensor, "*b z"], true: Float[Tensor, "*b z"]) -> Float[Tensor, ""]:
    """Mean squared difference of codes; entries beyond the model's are to be zero."""
    return (found - true).square().mean()


def blendshape_error(
    face: FaceModel,
    identity: Float[Tensor, " i"],
    expression: Float[Tensor, "b z"],
    true: Float[Tensor, "b v 3"],
) -> Float[Tensor, ""]:
    """BP: the face model at the predicted codes against the true vertices."""
    everybody = identity.expand(len(expression), -1)
    return vertex_error(face.vertices(everybody, expression), true)


def generic_error(
    model: NFS,
    generic: Generic,
    identity_size: int,
    expression: Float[Tensor, "b z"],
    balance: float = 0.0,
) -> Float[Tensor, ""]:
    """BR: predicted expressions decoded on the mean face, against the face model at them.

    Codes are taken as given and the mean face's own codes too: only the decoder learns from this.
    """
    codes = expression.detach()
    with torch.no_grad():
        target = model.target(generic.surface)
    nobody = codes.new_zeros(len(codes), identity_size)
    true = generic.face.vertices(nobody, codes)
    weights = balanced(generic.face.motion, balance)
    free = model.config.decoder == "jacobian"
    return vertex_error(model.decode(target, codes), true, free, weights)


def cycle_error(model: NFS, target: Target, expression: Float[Tensor, "b z"]) -> Float[Tensor, ""]:
    """Expressions cloned onto a person and read off again, against what they were.

    The cloned meshes are taken as given: only the encoder learns from this, on faces of which
    nobody knows weights, and to pass over what the decoder gets wrong.
    """
    with torch.no_grad():
        cloned = model.decode(target, expression)
    return code_error(model.codes(target, cloned), expression)


def segment_error(logits: Float[Tensor, "v l"], labels: Int[Tensor, " v"]) -> Float[Tensor, ""]:
    """Mean negative log likelihood of the true segments."""
    return functional.cross_entropy(logits, labels)


def range_error(code: Float[Tensor, "*b z"]) -> Float[Tensor, ""]:
    """Mean distance of entries from the interval [0, 1]."""
    return (torch.relu(-code) + torch.relu(code - 1.0)).mean()


TERMS = (
    "vertices", "normals", "jacobians", "identity", "expression", "blendshapes", "generic",
    "segments", "cycle", "range_identity", "range_expression",
)  # fmt: skip


def terms(
    model: NFS,
    surface: Surface,
    truth: Truth,
    generic: Generic | None,
    weights: LossWeights,
    hinge: str = "units",
    true_codes: float = 0.0,
    balance: float = 0.0,
) -> dict[str, Float[Tensor, ""]]:
    """The weighted terms of a batch by name; those that do not apply are left out.

    The neutral's codes are computed once for all frames. ``generic`` is the mean face for BR,
    ``true_codes`` the share of the frames that are decoded from their labels in place of the
    predicted codes; with ``balance`` vertices that move little count for more (:func:`balanced`).
    """
    target = model.target(surface)
    codes = model.codes(target, truth.frames)
    decoded = codes
    if truth.expression is not None:
        n = round(true_codes * len(codes))
        decoded = torch.cat([truth.expression[:n], codes[n:]])
    found = model.decode(target, decoded)
    values = reconstruction_terms(model.config, surface, found, truth, weights, balance)
    if truth.face is None:
        values |= unlabelled_terms(model, target, codes, truth, weights, hinge)
    else:
        values |= labelled_terms(model, target, codes, truth, generic, weights, balance)
    return {name: getattr(weights, name) * value for name, value in values.items()}


def reconstruction_terms(
    config: ModelConfig,
    surface: Surface,
    found: Float[Tensor, "b v 3"],
    truth: Truth,
    weights: LossWeights,
    balance: float,
) -> dict[str, Float[Tensor, ""]]:
    """Vertices, normals and Jacobians, of everybody."""
    true, free = truth.frames, config.decoder == "jacobian"
    of_vertices = balanced(truth.motion, balance)
    values = {"vertices": vertex_error(found, true, free, of_vertices)}
    if weights.normals:
        values["normals"] = normal_error(found, true, surface.faces)
    if weights.jacobians:
        values["jacobians"] = jacobian_error(found, true, surface.vertices, surface.faces)
    return values


def labelled_terms(
    model: NFS,
    target: Target,
    codes: Float[Tensor, "b z"],
    truth: Truth,
    generic: Generic | None,
    weights: LossWeights,
    balance: float,
) -> dict[str, Float[Tensor, ""]]:
    """Codes, BP, BR and segments, of people whose weights are known."""
    values = {
        "identity": code_error(target.identity, truth.identity),
        "expression": code_error(codes, truth.expression),
    }
    if weights.blendshapes:
        values["blendshapes"] = blendshape_error(truth.face, target.identity, codes, truth.frames)
    if weights.generic and generic is not None:
        values["generic"] = generic_error(model, generic, len(target.identity), codes, balance)
    if weights.segments and target.logits is not None:
        values["segments"] = segment_error(target.logits, truth.labels)
    return values


def unlabelled_terms(
    model: NFS,
    target: Target,
    codes: Float[Tensor, "b z"],
    truth: Truth,
    weights: LossWeights,
    hinge: str,
) -> dict[str, Float[Tensor, ""]]:
    """Codes kept in [0, 1], and clones read off again.

    The range is that of the expression units alone, or of all entries of both codes (release).
    """
    values = {}
    if weights.cycle and truth.cloned is not None:
        values["cycle"] = cycle_error(model, target, truth.cloned)
    if hinge == "units":
        return values | {"range_expression": range_error(codes[:, : model.config.units])}
    return values | {
        "range_expression": range_error(codes),
        "range_identity": range_error(target.identity),
    }


def total(values: Mapping[str, Float[Tensor, ""]]) -> Float[Tensor, ""]:
    """The sum of the terms."""
    return torch.stack(list(values.values())).sum()
