"""NFS step by step as published: the plain twin.

Gradients one vertex after the other, eigenfunctions of the generalised problem, and a training step
that encodes a copy of the neutral for every frame with a sparse product for every frame.
"""

from dataclasses import replace

import numpy as np
import torch
from scipy.sparse import diags_array
from scipy.sparse.linalg import eigsh
from torch import Tensor

from facemill.mesh.gradients import RIDGE, plain_vertex_normals, tangent_frames
from facemill.mesh.laplacian import SHIFT, cotangent_laplacian, vertex_masses
from facemill.mesh.surface import Mesh
from facemill.nfs import losses
from facemill.nfs.config import LossWeights
from facemill.nfs.data import Batch
from facemill.nfs.losses import Generic
from facemill.nfs.model import NFS, Target


def gradients(mesh: Mesh) -> list[np.ndarray]:
    """For each vertex the (2, neighbours) matrix from differences to gradients."""
    first, second = tangent_frames(plain_vertex_normals(mesh))
    around: list[set[int]] = [set() for _ in mesh.vertices]
    for a, b, c in mesh.faces.tolist():
        around[a] |= {b, c}
        around[b] |= {a, c}
        around[c] |= {a, b}
    found = []
    for i, neighbours in enumerate(around):
        step = mesh.vertices[sorted(neighbours)] - mesh.vertices[i]
        tangent = np.stack([step @ first[i], step @ second[i]], axis=1)
        found.append(np.linalg.solve(tangent.T @ tangent + RIDGE * np.eye(2), tangent.T))
    return found


def eigenvalues(mesh: Mesh, count: int) -> np.ndarray:
    """Of the generalised problem, with the library's defaults."""
    laplacian, mass = cotangent_laplacian(mesh), vertex_masses(mesh)
    shifted = laplacian + SHIFT * diags_array(np.ones(len(mass)))
    return eigsh(shifted.tocsc(), count, M=diags_array(mass).tocsc(), sigma=SHIFT)[0]


def step(model: NFS, batch: Batch, generic: Generic, weights: LossWeights) -> Tensor:
    """The loss of a batch as the mean over single frames, each with passes of its own."""
    truth, count = batch.truth, len(batch.truth.frames)
    values = []
    for n in range(count):
        one = replace(truth, frames=truth.frames[n : n + 1], expression=truth.expression[n : n + 1])
        values.append(
            losses.total(losses.terms(model, batch.surface, one, generic, weights)) / count
        )
    return torch.stack(values).sum()


@torch.no_grad()
def decode(model: NFS, target: Target, code: Tensor) -> Tensor:
    """One frame, all vertices from layer to layer, nothing kept from the frame before."""
    first = model.decoder.of_target(target.features, target.identity)
    moved = target.surface.vertices + model.decoder(first, (target.gates * code)[None])[0]
    if model.config.anchored:
        moved -= model.decoder(first, torch.zeros_like(target.gates)[None])[0]
    return moved
