"""Dense against coarse-to-fine extraction of a trained ImFace field: calls, seconds, same mesh.

    make demo && python benchmarks/extraction.py --resolution 256

Both ways ask the same field in batches of the same size; the mean codes of training stand for a
face. Seconds hold everything a user waits for: the measured gradient bound, the questions to the
networks and marching cubes.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import torch

from facemill.imface.config import ExtractionConfig
from facemill.imface.model import load_model
from facemill.imface.reconstruct import BALL, sdf_field
from facemill.mesh.grid import Grid
from facemill.mesh.isosurface import extract, extract_densely, measured_lipschitz
from facemill.mesh.surface import Mesh

MODEL = Path("results/demo/imface/se3/model.safetensors")


def difference(a: Mesh, b: Mesh) -> float:
    """Largest distance between equal vertices in the order of both meshes, inf if they differ."""
    if a.vertices.shape != b.vertices.shape or not np.array_equal(a.faces, b.faces):
        return float("inf")
    return float(np.abs(a.vertices - b.vertices).max())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path, nargs="?", default=MODEL, help="a trained ImFace")
    parser.add_argument("--resolution", type=int, default=256, help="grid points along an axis")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    model, _ = load_model(options.model)
    with torch.inference_mode():
        codes = [c.weight.mean(dim=0)[None] for c in (model.identity_codes, model.expression_codes)]
        field = sdf_field(model, model.condition(*codes), ExtractionConfig().batch_points)
    asked = 0

    def counted(points: np.ndarray) -> np.ndarray:
        nonlocal asked
        asked += len(points)
        return field(points)

    grid = Grid(options.resolution, -BALL, BALL)
    began = time.perf_counter()
    bound = measured_lipschitz(counted, BALL, np.random.default_rng(0))
    sparse = extract(counted, grid, lipschitz=bound, radius=BALL)
    ours, sparse_asked = time.perf_counter() - began, asked
    began = time.perf_counter()
    dense = extract_densely(field, grid, radius=BALL)
    plain = time.perf_counter() - began

    print(
        f"{options.model}, {options.resolution}^3, {options.threads} thread(s), bound {bound:.2f}"
    )
    print("| way | network calls | seconds |\n| --- | --- | --- |")
    print(f"| dense | {dense.queries} | {plain:.2f} |")
    print(f"| coarse to fine | {sparse_asked} | {ours:.2f} |")
    print(f"| ratio | {dense.queries / sparse_asked:.1f} | {plain / ours:.1f} |")
    print(
        f"{len(dense.mesh.vertices)} and {len(sparse.mesh.vertices)} vertices, same order and "
        f"triangles; largest difference {difference(dense.mesh, sparse.mesh):.3g} of the radius"
    )


if __name__ == "__main__":
    main()
