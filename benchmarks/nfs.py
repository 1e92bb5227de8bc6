"""NFS against its plain twin: operators, gradients, a training step, retargeting.

    python benchmarks/nfs.py [--threads 1] [--vertices 10000 26000] [--batch 8] [--width 256]

Meshes are noisy half spheres of about so many vertices; the step is timed on the first of them with
a fresh network. Seconds are CPU time, so that other load counts little; frames per second are by
the clock.
"""

import argparse
import time
from collections.abc import Callable

import numpy as np
import plain_nfs
import torch

from facemill.mesh.gradients import gradient_operators
from facemill.mesh.operators import Operators, OperatorSettings
from facemill.mesh.operators_build import build_operators
from facemill.mesh.surface import Mesh
from facemill.nfs import losses
from facemill.nfs.config import LossWeights, ModelConfig
from facemill.nfs.data import Batch
from facemill.nfs.losses import FaceModel, Generic, Truth
from facemill.nfs.model import NFS
from facemill.nfs.surface import surface_of


def dome(count: int) -> Mesh:
    """A bumpy half ellipsoid of the size of a face, canonical units."""
    side = round(count**0.5)
    axis = np.linspace(-1.0, 1.0, side)
    x, y = (part.ravel() for part in np.meshgrid(axis, axis, indexing="ij"))
    z = 0.9 * np.sqrt(np.clip(2.1 - x**2 - y**2, 0.0, None)) + 0.03 * np.sin(9 * x) * np.cos(7 * y)
    i = (np.arange(side - 1)[:, None] * side + np.arange(side - 1)).ravel()
    faces = np.concatenate(
        [np.stack([i, i + side, i + side + 1], 1), np.stack([i, i + side + 1, i + 1], 1)]
    )
    return Mesh(np.stack([0.8 * x, 0.9 * y, z - 0.3], axis=1), faces)


def cpu(work: Callable[[], object]) -> float:
    """CPU seconds of one call."""
    began = time.process_time()
    work()
    return time.process_time() - began


def batch_on(operators: Operators, size: int, config: ModelConfig) -> tuple[Batch, Generic]:
    """Made-up frames and labels on a mesh."""
    torch.manual_seed(0)
    surface = surface_of(operators)
    v = len(surface.vertices)
    face = FaceModel(
        surface.vertices,
        0.01 * torch.randn(config.modes, v, 3),
        0.01 * torch.randn(config.units, v, 3),
    )
    expression = torch.zeros(size, config.code)
    expression[:, : config.units] = torch.rand(size, config.units)
    identity = torch.zeros(config.identity_size)
    frames = face.vertices(identity.expand(size, -1), expression)
    labels = torch.randint(config.segments, (v,))
    truth = Truth(frames, identity, expression, labels, face)
    return Batch(surface, truth, "all"), Generic(surface, face)


def operators_rows(counts: list[int], eigenfunctions: int) -> list[Operators]:
    """Time operators of each size; the built ones."""
    built = []
    print("| vertices | operators | gradients | loop | ratio | generalised eigenproblem |")
    print("| ---: | ---: | ---: | ---: | ---: | ---: |")
    for count in counts:
        mesh = dome(count)
        settings = OperatorSettings(eigenfunctions)
        whole = cpu(lambda m=mesh, s=settings: built.append(build_operators(m, s, "dome")))
        quick = cpu(lambda m=mesh: gradient_operators(m))
        slow = cpu(lambda m=mesh: plain_nfs.gradients(m))
        plain = cpu(lambda m=mesh: plain_nfs.eigenvalues(m, eigenfunctions))
        print(
            f"| {len(mesh.vertices)} | {whole:.2f} s | {quick:.3f} s | {slow:.2f} s | "
            f"{slow / quick:.0f} | {plain:.2f} s |"
        )
    return built


def step_row(operators: Operators, size: int, width: int) -> None:
    """Time a training step both ways and compare the losses."""
    config = ModelConfig(width=width, dropout=0.0, norm="layer")
    torch.manual_seed(0)
    model = NFS(config)
    batch, generic = batch_on(operators, size, config)
    weights = LossWeights()
    held = {}

    def shared() -> None:
        loss = losses.total(losses.terms(model, batch.surface, batch.truth, generic, weights))
        loss.backward()
        held["shared"] = loss.item()

    def plain() -> None:
        loss = plain_nfs.step(model, batch, generic, weights)
        loss.backward()
        held["plain"] = loss.item()

    shared()
    quick, slow = cpu(shared), cpu(plain)
    print(
        f"\nTraining step, batch {size}, {len(operators.vertices)} vertices, width {width}: "
        f"{slow:.1f} s of CPU for every frame by itself, {quick:.1f} s with shared passes, ratio "
        f"{slow / quick:.2f}; losses {held['plain']:.6f} and {held['shared']:.6f}."
    )
    with torch.no_grad():
        target = model.eval().target(batch.surface)
        codes = torch.randn(size, config.code)
        model.decode(target, codes)
        began = time.perf_counter()
        model.decode(target, codes)
        rate = size / (time.perf_counter() - began)
    print(f"Retargeting: {rate:.1f} frames per second decoded, {torch.get_num_threads()} threads.")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--vertices", type=int, nargs="+", default=[10_000, 26_000])
    parser.add_argument("--eigenfunctions", type=int, default=128)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--width", type=int, default=256)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    built = operators_rows(args.vertices, args.eigenfunctions)
    step_row(built[0], args.batch, args.width)


if __name__ == "__main__":
    main()
