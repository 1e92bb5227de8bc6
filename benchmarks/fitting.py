"""Fitting ImFace to an unseen scan: the published way against ours, to the same loss.

    make demo && python benchmarks/fitting.py

The published way: 1500 steps of Adam from random codes, the staircase of training, the
straightforward network of plain_imface.py with autograd's double backward. Ours: as configured,
from the mean of the trained codes. Both lower the same weighted terms with as many points a step;
both are judged on the same points, which neither draws its steps by. The time that counts for ours
is until it is as good as the published way ends.
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import plain_imface
import torch
from torch import Tensor

from facemill.data.packs import SamplePack
from facemill.imface import losses
from facemill.imface.config import FitConfig, FitWeights
from facemill.imface.data import landmarks_to_unit_ball, to_unit_ball
from facemill.imface.fit import fit_terms
from facemill.imface.model import ImFace, load_model
from facemill.imface.refine import decay
from facemill.imface.start import start_codes

Terms = Callable[[ImFace, Tensor, Tensor, Tensor, Tensor], dict[str, Tensor]]

PUBLISHED = FitConfig(steps=1500, learning_rate=1e-4, schedule="staircase", start="random")
MODEL = Path("results/demo/imface/se3/model.safetensors")
SAMPLES = Path("results/demo/samples/d001.npy")
JUDGED = 4096  # rows at the end of the pack, by which both are judged


def plain_terms(
    model: ImFace, identity: Tensor, expression: Tensor, rows: Tensor, marks: Tensor
) -> dict[str, Tensor]:
    """The terms of a fit by the straightforward network."""
    field = plain_imface.Field(model, identity, expression)
    points = rows[..., :3].clone().requires_grad_()
    template_points, correction = field.to_template(field.to_neutral(points)[0])
    sdf = field.template_sdf(template_points) + correction
    (gradient,) = torch.autograd.grad(sdf.sum(), points, create_graph=True)
    template_marks, _ = field.to_template(field.to_neutral(marks)[0])
    goal = model.template_landmarks.expand_as(template_marks)
    return {
        "sdf": losses.sdf_term(sdf, rows[..., 6]),
        "normal": losses.normal_term(gradient, rows[..., 3:6]),
        "eikonal": losses.eikonal_term(gradient),
        "identity_code": losses.code_term(identity),
        "expression_code": losses.code_term(expression),
        "landmark_template": losses.landmark_term(template_marks, goal),
    }


class Fit:
    """One scan, its points and what a fit is judged by."""

    def __init__(self, model: ImFace, pack: SamplePack, expression: str, points: int) -> None:
        self.model, self.pack, self.expression, self.points = model, pack, expression, points
        marks = landmarks_to_unit_ball(pack.landmarks(expression))
        self.marks = torch.from_numpy(marks)[None]
        self.judged_by = self.rows(pack.rows - JUDGED, JUDGED)

    def rows(self, start: int, count: int) -> Tensor:
        """Rows (1, count, 7) in the unit ball."""
        points, normals, sdf = to_unit_ball(self.pack.block(self.expression, start, count))
        return torch.from_numpy(np.concatenate([points, normals, sdf[:, None]], axis=1))[None]

    def loss(
        self, terms_of, weights: FitWeights, codes: tuple[Tensor, ...], rows: Tensor
    ) -> Tensor:
        """The weighted sum of all terms."""
        terms = terms_of(self.model, *codes, rows, self.marks)
        return sum(getattr(weights, name) * term for name, term in terms.items())

    def run(self, terms_of: Terms, config: FitConfig) -> tuple[list[float], list[float]]:
        """Seconds of all steps so far, and the judged loss, after every tenth step."""
        codes = start_codes(self.model, self.pack.path.stem, [self.expression], config)
        optimiser = torch.optim.Adam(codes)
        rng = np.random.default_rng(config.seed)
        seconds, judged, spent = [], [], 0.0
        for step in range(config.steps):
            began = time.perf_counter()
            rows = self.rows(int(rng.integers(self.pack.rows - JUDGED - self.points)), self.points)
            optimiser.param_groups[0]["lr"] = config.learning_rate * decay(config, step)
            optimiser.zero_grad()
            self.loss(terms_of, config.weights, codes, rows).backward()
            optimiser.step()
            spent += time.perf_counter() - began
            if (step + 1) % 10 == 0:
                with torch.no_grad():
                    loss = self.loss(fit_terms, config.weights, codes, self.judged_by)
                seconds.append(spent)
                judged.append(float(loss))
        return seconds, judged


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path, nargs="?", default=MODEL, help="a trained ImFace")
    parser.add_argument("samples", type=Path, nargs="?", default=SAMPLES, help="a sample pack")
    parser.add_argument("--expressions", nargs="+", default=["1_neutral", "2_smile"])
    parser.add_argument("--points", type=int, default=4096, help="points of a step")
    parser.add_argument("--steps", type=int, default=100, help="steps of ours")
    parser.add_argument("--rate", type=float, default=1e-2, help="learning rate of ours")
    parser.add_argument("--code-weight", type=float, default=100.0)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    model = load_model(options.model)[0].requires_grad_(False)
    weights = FitWeights(identity_code=options.code_weight, expression_code=options.code_weight)
    ours = FitConfig(steps=options.steps, learning_rate=options.rate, weights=weights)
    published = replace(PUBLISHED, weights=weights)
    pack = SamplePack(options.samples)
    print("| scan | published s | loss | ours s | loss | s to the published loss | ratio |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for expression in options.expressions:
        fit = Fit(model, pack, expression, options.points)
        plain_seconds, plain_loss = fit.run(plain_terms, published)
        seconds, loss = fit.run(fit_terms, ours)
        reached = [s for s, value in zip(seconds, loss, strict=True) if value <= plain_loss[-1]]
        until = reached[0] if reached else float("nan")
        print(
            f"| {expression} | {plain_seconds[-1]:.1f} | {plain_loss[-1]:.2f} | {seconds[-1]:.1f} "
            f"| {loss[-1]:.2f} | {until:.1f} | {plain_seconds[-1] / until:.1f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
