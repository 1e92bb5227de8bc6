"""NFS against its plain twin: operators, gradients, a training step, retargeting.

    python benchmarks/nfs.py [--threads 2] [--vertices 10000 26000] [--batch 8] [--ict FOLDER]

Meshes are bumpy half spheres of about so many vertices, and the ICT model's head with neck where
its folder is given. The step (on a mesh of its own, ICT's narrow face has 6 706 vertices) and
retargeting (on the first mesh) are timed with fresh networks of the published sizes, retargeting
also with those of config.yaml. Seconds are CPU time, so that other load counts little; frames per
second are by the clock.
"""

import argparse
import time
from collections.abc import Callable

import numpy as np
import plain_nfs
import torch

from facemill.data.blendshape_sources import ict_blendshapes
from facemill.mesh.gradients import gradient_operators
from facemill.mesh.laplacian import cotangent_laplacian, eigenbasis, vertex_masses
from facemill.mesh.operators import Operators, OperatorSettings
from facemill.mesh.operators_build import build_operators
from facemill.mesh.surface import Mesh
from facemill.nfs import losses
from facemill.nfs.config import LossWeights, ModelConfig
from facemill.nfs.data import Batch
from facemill.nfs.losses import FaceModel, Generic, Truth
from facemill.nfs.model import NFS
from facemill.nfs.retarget import Clone, RetargetConfig
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


def clock(work: Callable[[], object]) -> float:
    """Seconds of one call by the clock."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


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
    truth = Truth(frames, face.motion, identity, expression, labels, face)
    return Batch(surface, truth, "all"), Generic(surface, face)


def operators_rows(meshes: list[tuple[str, Mesh]], eigenfunctions: int) -> list[Operators]:
    """Time operators of each mesh on one thread; the built ones."""
    built = []
    print("| mesh | vertices | operators | gradients | loop | ratio | eigenbasis | plain | ratio |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for name, mesh in meshes:
        settings = OperatorSettings(eigenfunctions)
        whole = cpu(lambda m=mesh, s=settings: built.append(build_operators(m, s, "mesh")))
        used = built[-1].mesh
        quick = min(cpu(lambda m=used: gradient_operators(m)) for _ in range(3))
        slow = cpu(lambda m=used: plain_nfs.gradients(m))
        smooth = cpu(lambda m=used: eigenfunctions_of(m, eigenfunctions))
        plain = cpu(lambda m=used: plain_nfs.eigenvalues(m, eigenfunctions))
        print(
            f"| {name} | {len(used.vertices)} | {whole:.2f} s | {quick:.3f} s | {slow:.2f} s | "
            f"{slow / quick:.0f} | {smooth:.2f} s | {plain:.2f} s | {plain / smooth:.1f} |",
            flush=True,
        )
    return built


def eigenfunctions_of(mesh: Mesh, count: int) -> None:
    eigenbasis(cotangent_laplacian(mesh), vertex_masses(mesh), count)


def step_row(operators: Operators, size: int) -> None:
    """Time a training step both ways and compare the losses."""
    config = ModelConfig(dropout=0.0)
    torch.manual_seed(0)
    model = NFS(config)
    batch, generic = batch_on(operators, size, config)
    weights = LossWeights()

    def shared() -> torch.Tensor:
        return losses.total(losses.terms(model, batch.surface, batch.truth, generic, weights))

    def plain() -> torch.Tensor:
        return plain_nfs.step(model, batch, generic, weights)

    held = {}
    for name, work in (("shared", shared), ("plain", plain)):
        model.zero_grad()

        def once(work=work, name=name) -> None:
            loss = work()
            loss.backward()
            held[name] = loss.item()

        held[name + " s"] = cpu(once)
    print(
        f"\nTraining step, batch {size}, {len(operators.vertices)} vertices, width {config.width}: "
        f"{held['plain s']:.1f} s of CPU for every frame by itself, {held['shared s']:.1f} s with "
        f"shared passes, ratio {held['plain s'] / held['shared s']:.2f}; losses "
        f"{held['plain']:.6f} and {held['shared']:.6f}.",
        flush=True,
    )


CPU_SIZES = {"width": 64, "blocks": 2, "decoder_layers": 4, "norm": "layer", "anchored": True}
"""What config.yaml changes of the published network, as far as decoding depends on it."""


def retargeting_rows(operators: Operators, frames: int, chunk: int) -> None:
    """Frames per second of decoding codes on a mesh: ours, and layer by layer, one by one."""
    print("\n| network | one by one | ours | ratio | reading codes |")
    print("| --- | ---: | ---: | ---: | ---: |")
    sizes = {
        "published": {},
        "published, layer norm": {"norm": "layer"},
        "config.yaml, not smoothed": CPU_SIZES,
        "config.yaml": {**CPU_SIZES, "smoothing": 6.5},
    }
    for name, changed in sizes.items():
        torch.manual_seed(0)
        model = NFS(ModelConfig(**changed)).eval()
        clone = Clone(model, operators)
        codes = torch.randn(frames, model.config.code)
        still = [operators.vertices] * min(frames, chunk)

        def chunks(clone=clone, codes=codes) -> None:
            for _ in clone.frames(codes, chunk):
                pass

        def singly(clone=clone, codes=codes) -> None:
            for code in codes[: max(2, frames // 4)]:
                plain_nfs.decode(clone.model, clone.target, code)

        chunks()
        quick = frames / clock(chunks)
        slow = max(2, frames // 4) / clock(singly)
        read = len(still) / clock(lambda clone=clone, still=still: clone.codes(still, chunk))
        print(
            f"| {name} | {slow:.1f} | {quick:.1f} | {quick / slow:.2f} | {read:.1f} |", flush=True
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=2, help="of training step and retargeting")
    parser.add_argument("--vertices", type=int, nargs="+", default=[10_000, 26_000])
    parser.add_argument("--eigenfunctions", type=int, default=128)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--step-vertices", type=int, default=6_700, help="of the training step")
    parser.add_argument("--frames", type=int, default=32)
    parser.add_argument("--chunk", type=int, default=RetargetConfig.chunk)
    parser.add_argument("--ict", help="folder of a packed ICT model, to be measured as well")
    args = parser.parse_args()
    meshes = [("half sphere", dome(count)) for count in args.vertices]
    if args.ict:
        model = ict_blendshapes(args.ict)
        meshes.append(("ICT", Mesh(model.neutral, model.region_faces("full")[1])))
    torch.set_num_threads(1)
    built = operators_rows(meshes, args.eigenfunctions)
    torch.set_num_threads(args.threads)
    print(f"\n{args.threads} threads from here on.")
    settings = OperatorSettings(args.eigenfunctions)
    step_row(build_operators(dome(args.step_vertices), settings, "mesh"), args.batch)
    retargeting_rows(built[0], args.frames, args.chunk)


if __name__ == "__main__":
    main()
