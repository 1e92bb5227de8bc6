"""DiffusionNet (Sharp et al. 2022): learning on surfaces by diffusion and gradients.

What a network learns here does not hang on vertex numbers or triangles: features spread along the
surface for a learned time, and are compared with their gradients.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

LEAST_TIME = 1e-8
"""Learned times are clamped here from below."""


@dataclass(frozen=True)
class SurfaceOperators:
    """A mesh's masses, eigenbasis and gradients as tensors.

    ``gradients`` stacks both tangent directions, a sparse (2 v, v) matrix in CSR; ``transposed`` is
    its transpose, kept so that the way back needs no conversion.
    """

    mass: Float[Tensor, " v"]
    eigenvalues: Float[Tensor, " k"]
    eigenvectors: Float[Tensor, "v k"]
    gradients: Tensor
    transposed: Tensor


class SparseProduct(torch.autograd.Function):
    """A constant sparse matrix times a dense one, with the gradient by the prebuilt transpose."""

    @staticmethod
    def forward(ctx, matrix: Tensor, transposed: Tensor, dense: Tensor) -> Tensor:
        """matrix @ dense."""
        ctx.transposed = transposed
        return matrix @ dense

    @staticmethod
    def backward(ctx, gradient: Tensor):
        """transposed @ gradient; the matrices are constants."""
        return None, None, ctx.transposed @ gradient.contiguous()


class DiffusionBlock(nn.Module):
    """Diffuse, compare with gradients, mix at every vertex, add."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.time = nn.Parameter(torch.zeros(width))
        self.real = nn.Linear(width, width, bias=False)
        self.imaginary = nn.Linear(width, width, bias=False)
        self.mix = nn.Sequential(
            nn.Linear(3 * width, width),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(width, width),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(width, width),
        )

    def forward(
        self, x: Float[Tensor, "b v c"], surface: SurfaceOperators
    ) -> Float[Tensor, "b v c"]:
        """Features of frames on one surface; only their batch differs, never the surface."""
        spread = self.diffused(x, surface)
        return x + self.mix(torch.cat([x, spread, self.gradient_features(spread, surface)], dim=-1))

    def diffused(
        self, x: Float[Tensor, "b v c"], surface: SurfaceOperators
    ) -> Float[Tensor, "b v c"]:
        """Heat flow for each channel's time t: Phi exp(-lambda t) Phi^T M x."""
        modes = surface.eigenvectors.T @ (surface.mass[:, None] * x)
        time = self.time.clamp(min=LEAST_TIME)
        return surface.eigenvectors @ (torch.exp(-surface.eigenvalues[:, None] * time) * modes)

    def gradient_features(
        self, x: Float[Tensor, "b v c"], surface: SurfaceOperators
    ) -> Float[Tensor, "b v c"]:
        """tanh of the scalar product of each gradient with a learned rotation and scaling of it.

        With the gradient as a complex number g and a complex matrix A: tanh(Re(conj(g) A g)), which
        does not change when the tangent frames turn.
        """
        b, v, c = x.shape
        columns = x.transpose(0, 1).reshape(v, b * c)
        both = SparseProduct.apply(surface.gradients, surface.transposed, columns)
        east, north = both.view(2, v, b, c).transpose(1, 2)
        turned_east = self.real(east) - self.imaginary(north)
        turned_north = self.imaginary(east) + self.real(north)
        return torch.tanh(east * turned_east + north * turned_north)


class DiffusionNet(nn.Module):
    """Linear, blocks, linear: from features of vertices to features of vertices."""

    def __init__(
        self, inputs: int, outputs: int, width: int = 256, blocks: int = 4, dropout: float = 0.5
    ) -> None:
        super().__init__()
        self.first = nn.Linear(inputs, width)
        self.blocks = nn.ModuleList(DiffusionBlock(width, dropout) for _ in range(blocks))
        self.last = nn.Linear(width, outputs)

    def forward(
        self, x: Float[Tensor, "b v i"], surface: SurfaceOperators
    ) -> Float[Tensor, "b v o"]:
        """Outputs at the vertices."""
        x = self.first(x)
        for block in self.blocks:
            x = block(x, surface)
        return self.last(x)

    def mean(self, x: Float[Tensor, "b v i"], surface: SurfaceOperators) -> Float[Tensor, "b o"]:
        """The outputs' mean over the surface, weighted by mass."""
        return mass_mean(self(x, surface), surface.mass)


def mass_mean(x: Float[Tensor, "b v c"], mass: Float[Tensor, " v"]) -> Float[Tensor, "b c"]:
    """Mean over the vertices, weighted by mass."""
    return (mass / mass.sum()) @ x
