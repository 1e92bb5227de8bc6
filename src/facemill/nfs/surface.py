"""A neutral mesh with its operators as tensors, and the geometry that losses and networks share."""

import warnings
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from facemill.mesh.operators import Operators
from facemill.mesh.poisson import PoissonSolver
from facemill.nets.diffusion import SurfaceOperators


@dataclass(frozen=True)
class Surface:
    """A neutral mesh in the canonical frame; ``picture`` runs from 0 to 1.

    ``source`` numbers the vertices in the mesh it came from. ``poisson`` is there for Jacobian
    decoders alone.
    """

    vertices: Float[Tensor, "v 3"]
    faces: Int[Tensor, "f 3"]
    operators: SurfaceOperators
    picture: Float[Tensor, "s s"]
    source: Int[Tensor, " v"]
    poisson: PoissonSolver | None = None

    def first(self, count: int | None) -> SurfaceOperators:
        """The operators with the ``count`` smoothest eigenfunctions; None: all."""
        if count is None or count >= len(self.operators.eigenvalues):
            return self.operators
        return replace(
            self.operators,
            eigenvalues=self.operators.eigenvalues[:count],
            eigenvectors=self.operators.eigenvectors[:, :count],
        )


def surface_of(
    operators: Operators, device: torch.device | str = "cpu", poisson: bool = False
) -> Surface:
    """Tensors of a mesh's operators; with ``poisson`` the solve's matrix is factorised as well."""

    def dense(array: np.ndarray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(array)).to(device)

    def sparse(matrix) -> Tensor:
        matrix = matrix.tocsr()
        matrix.sort_indices()
        parts = (matrix.indptr.astype(np.int64), matrix.indices.astype(np.int64), matrix.data)
        with warnings.catch_warnings():
            # torch calls its sparse matrices a beta once a process.
            warnings.simplefilter("ignore", UserWarning)
            found = torch.sparse_csr_tensor(*map(torch.from_numpy, parts), matrix.shape)
        return found.to(device)

    return Surface(
        vertices=dense(operators.vertices),
        faces=dense(operators.faces.astype(np.int64)),
        operators=SurfaceOperators(
            mass=dense(operators.mass),
            eigenvalues=dense(operators.eigenvalues),
            eigenvectors=dense(operators.eigenvectors),
            gradients=sparse(operators.gradients),
            transposed=sparse(operators.gradients.T),
        ),
        picture=dense(operators.picture.astype(np.float32) / 255.0),
        source=dense(operators.source.astype(np.int64)),
        poisson=PoissonSolver(operators.mesh) if poisson else None,
    )


def face_normals(
    vertices: Float[Tensor, "b v 3"], faces: Int[Tensor, "f 3"]
) -> Float[Tensor, "b f 3"]:
    """Unit normals of triangles by the right-hand rule."""
    return torch.nn.functional.normalize(_cross(vertices, faces), dim=-1, eps=1e-12)


def vertex_normals(
    vertices: Float[Tensor, "b v 3"], faces: Int[Tensor, "f 3"]
) -> Float[Tensor, "b v 3"]:
    """Unit normals of vertices: the unweighted mean of the unit normals around (NFS release)."""
    normals = face_normals(vertices, faces)
    total = torch.zeros_like(vertices)
    for corner in range(3):
        total = total.index_add(1, faces[:, corner], normals)
    return torch.nn.functional.normalize(total, dim=-1, eps=1e-12)


def spans(vertices: Float[Tensor, "b v 3"], faces: Int[Tensor, "f 3"]) -> Float[Tensor, "b f 3 3"]:
    """Columns: two edges of each triangle, and its normal times the square root of twice its area.

    With a normal of that length a mesh that grows by s has Jacobians s I (Sumner, Popovic 2004).
    """
    corners = vertices[:, faces]
    edges = corners[:, :, 1:] - corners[:, :, :1]
    cross = _cross(vertices, faces)
    length = cross.norm(dim=-1, keepdim=True).clamp(min=1e-12)
    return torch.cat([edges, (cross / length.sqrt())[:, :, None]], dim=2).transpose(2, 3)


def _cross(vertices: Tensor, faces: Tensor) -> Tensor:
    a, b, c = (vertices[:, faces[:, corner]] for corner in range(3))
    return torch.linalg.cross(b - a, c - a)


class PoissonSolution(torch.autograd.Function):
    """Vertices with given Jacobians; the matrix is symmetric, so the way back is the same solve."""

    @staticmethod
    def forward(ctx, poisson: PoissonSolver, jacobians: Tensor) -> Tensor:
        """Vertices (b, v, 3) in double precision inside, their mean the neutral's."""
        ctx.poisson = poisson
        rows = jacobians.detach().cpu().double().numpy()
        found = np.stack([poisson.vertices(one) for one in rows])
        return torch.from_numpy(found).to(jacobians)

    @staticmethod
    def backward(ctx, gradient: Tensor):
        """J^T of the solve: right^T A^-1 of the gradient without its mean."""
        poisson = ctx.poisson
        columns = gradient.detach().cpu().double().numpy()
        centred = columns - columns.mean(axis=1, keepdims=True)
        back = np.stack([poisson.right.T @ poisson.solve(one) for one in centred])
        b, _, _ = columns.shape
        shaped = back.reshape(b, -1, 3, 3).transpose(0, 1, 3, 2)
        return None, torch.from_numpy(np.ascontiguousarray(shaped)).to(gradient)


def solved(surface: Surface, jacobians: Float[Tensor, "b f 3 3"]) -> Float[Tensor, "b v 3"]:
    """The neutral moved so that its triangles have these Jacobians, its mean where it was."""
    if surface.poisson is None:
        raise ValueError("this surface was made without its Poisson solver")
    return PoissonSolution.apply(surface.poisson, jacobians)
