"""Cost of one image: MoFaNeRF's published networks against the fast profile.

    python benchmarks/mofanerf.py [--threads 2] [--size 512] [--published-size 16]

Fresh weights: what is counted and timed does not depend on training. The published networks follow
every ray through 64 + 128 samples, which takes hours for an image of 512 x 512: they are timed on a
small one, and their seconds are scaled by the number of pixels.
"""

import argparse
import time

import numpy as np
import torch

from facemill.mesh.surface import Mesh
from facemill.mofanerf.config import ModelConfig, SamplingConfig
from facemill.mofanerf.model import MoFaNeRF
from facemill.mofanerf.render import Image, render_image
from facemill.mofanerf.surface import expected_depth
from facemill.render.views import ViewSettings, view_cameras


def egg() -> Mesh:
    """An egg the size of a head, where a head is."""
    import trimesh

    ball = trimesh.creation.icosphere(subdivisions=5, radius=1.0)
    vertices = np.asarray(ball.vertices) * [80, 115, 100] + [0, 10, -70]
    return Mesh(vertices, np.asarray(ball.faces, np.int32))


def frame(profile: str, size: int) -> tuple[Image, float]:
    """The frontal image of one profile and the seconds that it took."""
    torch.manual_seed(0)
    model = MoFaNeRF(ModelConfig(profile=profile), 20).eval()
    config, sampling = model.config, SamplingConfig()
    camera = view_cameras(ViewSettings(size=size))["0_10"]
    began = time.perf_counter()
    with torch.no_grad():
        appearance = model.appearance(torch.rand(1, 3, 512, 512))
        expression = torch.rand(1, config.expression_dim)
        codes = model.condition(torch.randn(1, 50), expression, appearance)
    guide = expected_depth(egg(), camera, sampling.margin)
    image = render_image(model, camera, codes, sampling, guide, rays_at_once=1024)
    return image, time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--published-size", type=int, default=16)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    published, seconds = frame("faithful", args.published_size)
    share = args.size**2 / args.published_size**2
    slow = (published.cost.calls * share, published.cost.macs * share, seconds * share)
    fast, seconds = frame("fast", args.size)
    quick = (fast.cost.calls, fast.cost.macs, seconds)
    print(f"| {args.size} x {args.size} | network calls | 10^9 multiply-adds | seconds |")
    print("| --- | ---: | ---: | ---: |")
    for name, (calls, macs, took) in {"published": slow, "fast": quick}.items():
        print(f"| {name} | {calls:.0f} | {macs / 1e9:.0f} | {took:.1f} |")
    print("| ratio |" + " |".join(f" {a / b:.0f}" for a, b in zip(slow, quick, strict=True)) + " |")


if __name__ == "__main__":
    main()
