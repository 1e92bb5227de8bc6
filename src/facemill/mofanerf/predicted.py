"""Vertices, and faces that nobody was shown, for the warp to learn from (ours).

The warp is taught where vertices lie on the mean face, but only of scans that are trained on. The
linear model of registered faces says where they lie for any shape code and expression. It is made
of the training scans alone, so nothing that is held out comes in with it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float, Float32, Int
from torch import Tensor

from facemill.mesh.frames import FACE_TO_MOFANERF
from facemill.mofanerf.face_model import FaceModel


@dataclass(frozen=True)
class Predicted:
    """m vertices of each of b predicted faces, scene's frame."""

    shape: Float[Tensor, "b 50"]
    expression: Int[Tensor, " b"]
    vertices: Float[Tensor, "b m 3"]
    canonical: Float[Tensor, "b m 3"]  # the same vertices on the mean face

    def to(self, device: torch.device) -> "Predicted":
        """The same on another device."""
        return Predicted(*[value.to(device) for value in vars(self).values()])


@dataclass(frozen=True)
class VertexChoice:
    """Which of the kept vertices of a face are shown in a step."""

    below: Float[np.ndarray, "e m"]  # cumulative chances of those that an expression moves

    @classmethod
    def of(cls, model: FaceModel, rows: Int[np.ndarray, " m"]) -> "VertexChoice":
        """Chances that go with how far an expression moves a vertex of ``rows`` in the mean."""
        moved = np.linalg.norm(model.shift[:, rows], axis=-1).astype(np.float64)
        moved[moved.sum(axis=1) < 1e-6] = 1.0  # the neutral face
        below = np.cumsum(moved, axis=1)
        return cls(below / below[:, -1:])

    def draw(
        self, rng: np.random.Generator, expression: int, count: int, moving_share: float
    ) -> Int[np.ndarray, " n"]:
        """Numbers of ``count`` kept vertices: a share by how far they move, the others evenly."""
        moving = round(moving_share * count)
        even = rng.integers(self.below.shape[1], size=count - moving)
        row = np.searchsorted(self.below[expression], rng.random(moving), side="right")
        return np.concatenate([even, row])


@dataclass(frozen=True)
class PredictedFaces:
    """Where faces that nobody was shown are drawn from."""

    model: FaceModel
    shapes: Float32[np.ndarray, "p 50"]  # of the training people
    untrained: Sequence[tuple[int, int]]  # (person, expression) without a training scan
    rows: Int[np.ndarray, " m"]  # vertices to choose from

    @cached_property
    def choice(self) -> VertexChoice:
        """How vertices are drawn from ``rows``."""
        return VertexChoice.of(self.model, self.rows)

    def draw(
        self, rngs: Sequence[np.random.Generator], count: int, moving_share: float
    ) -> Predicted:
        """A face for each generator, with ``count`` of its vertices.

        Half of them are training people in an expression that they are not trained in, as far as
        there are any; the others lie anywhere between two training people, in any expression.
        """
        faces = [self._face(rng) for rng in rngs]
        rows = [
            self.rows[self.choice.draw(rng, number, count, moving_share)]
            for rng, (_, number) in zip(rngs, faces, strict=True)
        ]
        vertices = [
            FACE_TO_MOFANERF.apply(self.model.vertices(*face, chosen))
            for face, chosen in zip(faces, rows, strict=True)
        ]
        canonical = FACE_TO_MOFANERF.apply(self.model.canonical[np.stack(rows)].reshape(-1, 3))
        shapes, numbers = zip(*faces, strict=True)
        return Predicted(
            torch.from_numpy(np.stack(shapes)),
            torch.tensor(numbers),
            torch.from_numpy(np.stack(vertices).astype(np.float32)),
            torch.from_numpy(canonical.reshape(len(rngs), count, 3).astype(np.float32)),
        )

    def _face(self, rng: np.random.Generator) -> tuple[Float32[np.ndarray, "50"], int]:
        """Shape code and row of the expression."""
        if self.untrained and rng.random() < 0.5:
            person, expression = self.untrained[rng.integers(len(self.untrained))]
            return self.shapes[person], expression
        first, second = self.shapes[rng.choice(len(self.shapes), size=2, replace=False)]
        share = np.float32(rng.random())
        return first + share * (second - first), int(rng.integers(len(self.model.shift)))
