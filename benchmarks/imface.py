"""Time and memory of one ImFace training step: the straightforward way against ours.

    python benchmarks/imface.py [--threads 2] [--repeats 5] [--matmul-precision highest]

Published model size, random data. A step is loss, gradients and Adam. Every case runs in a process
of its own, and the median step counts. Memory is the peak of the process above what it held before
the first step, Adam's state included. The precision is that of the products in ours alone.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

CASES = [(1, 4096), (4, 4096), (1, 16384)]


def random_batch(scans: int, points: int):
    """Random points and directions; random targets cost as much as real ones."""
    import torch

    from facemill.imface.data import Batch

    torch.manual_seed(0)
    normals = torch.nn.functional.normalize(torch.randn(scans, points, 3), dim=-1)
    expression = torch.arange(scans) % 2
    return Batch(
        torch.arange(scans),
        expression,
        expression == 0,
        torch.rand(scans, points, 3) - 0.5,
        normals,
        0.1 * torch.randn(scans, points),
        torch.rand(scans, 68, 3) - 0.5,
        torch.rand(scans, 68, 3) - 0.5,
    )


def measure(
    way: str, scans: int, points: int, threads: int, repeats: int, precision: str
) -> dict[str, float]:
    """Median seconds of a step, peak MB, and the loss of the first step, in this process."""
    import torch

    from facemill.imface import losses
    from facemill.imface.config import LossWeights, ModelConfig, TrainConfig
    from facemill.imface.model import ImFace
    from facemill.imface.train import make_optimiser, points_at_once
    from facemill.training.device import keep_freed_memory
    from facemill.training.record import peak_memory_mb

    sys.path.insert(0, str(Path(__file__).parent))
    import plain_imface

    torch.set_num_threads(threads)
    batch = random_batch(scans, points)
    torch.manual_seed(1)
    model = ImFace(ModelConfig(), 20, 15)
    model.template_landmarks.copy_(batch.landmarks[0])
    weights = LossWeights()
    if way == "plain":
        optimiser = torch.optim.Adam(model.parameters(), 1e-4)
    else:
        torch.set_float32_matmul_precision(precision)
        optimiser = make_optimiser(model, TrainConfig())
        keep_freed_memory()
        at_once = points_at_once(torch.device("cpu"), threads)
    before = peak_memory_mb(torch.device("cpu"))

    def step() -> float:
        optimiser.zero_grad()
        if way == "plain":
            terms = losses.weighted(plain_imface.terms(model, batch), weights)
            loss = torch.stack(list(terms.values())).sum()
            loss.backward()
        else:
            terms = losses.backward(model, batch, weights, at_once)
            loss = torch.stack(list(terms.values())).sum()
        optimiser.step()
        return float(loss)

    first = step()
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - start)
    peak = peak_memory_mb(torch.device("cpu")) - before
    return {"seconds": statistics.median(seconds), "megabytes": peak, "loss": first}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument(
        "--matmul-precision", choices=["highest", "high", "medium"], default="highest"
    )
    parser.add_argument("--case", nargs=3, metavar=("WAY", "SCANS", "POINTS"), help="one case only")
    args = parser.parse_args()
    if args.case:
        way, scans, points = args.case
        sizes = (int(scans), int(points), args.threads, args.repeats)
        print(json.dumps(measure(way, *sizes, args.matmul_precision)))
        return
    print(
        "| scans x points | plain s | ours s | ratio | plain MB | ours MB | ratio | loss differs |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for scans, points in CASES:
        found = {}
        for way in ("plain", "ours"):
            command = [sys.executable, __file__, "--case", way, str(scans), str(points)]
            command += ["--threads", str(args.threads), "--repeats", str(args.repeats)]
            command += ["--matmul-precision", args.matmul_precision]
            answer = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            found[way] = json.loads(answer)
        plain, ours = found["plain"], found["ours"]
        print(
            f"| {scans} x {points} | {plain['seconds']:.3f} | {ours['seconds']:.3f} "
            f"| {plain['seconds'] / ours['seconds']:.2f} | {plain['megabytes']:.0f} "
            f"| {ours['megabytes']:.0f} | {plain['megabytes'] / ours['megabytes']:.2f} "
            f"| {abs(plain['loss'] - ours['loss']) / plain['loss']:.0e} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
