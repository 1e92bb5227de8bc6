"""A tiny ImFace and a batch for it."""

import torch

from facemill.imface.config import ModelConfig
from facemill.imface.data import Batch
from facemill.imface.model import ImFace

SMALL = {
    "identity_dim": 8,
    "expression_dim": 6,
    "width": 16,
    "hyper_width": 12,
    "fusion_width": 10,
    "landmark_width": 14,
}


def small_model(
    warp="se3", people=3, expressions=2, dtype=torch.float64, trained=True, **mode
) -> ImFace:
    """A tiny model; ``trained`` gives it a template and codes that matter, as training does."""
    torch.manual_seed(0)
    config = ModelConfig(**SMALL | {"warp": warp} | mode)
    model = ImFace(config, people, expressions).to(dtype)
    model.template_landmarks.uniform_(-0.5, 0.5)
    if trained:
        with torch.no_grad():
            template = model.template_field
            for net in template.sirens if config.blend == "local" else [template.siren]:
                net.linears[-1].weight.uniform_(-0.3, 0.3)
            for name in ("identity", "expression", "detail"):
                if hasattr(model, f"{name}_codes"):
                    getattr(model, f"{name}_codes").weight.normal_(std=0.3)
                field = getattr(model, f"{name}_field", None)
                if field is None:
                    continue
                for weight in field.hyper.output_weights:
                    weight.mul_(2)
                for bias in field.hyper.output_biases:
                    bias.mul_(0.5)
    return model


def small_batch(dtype=torch.float64, scans=3, points=20) -> Batch:
    generator = torch.Generator().manual_seed(1)

    def uniform(*shape):
        return torch.rand(*shape, generator=generator, dtype=dtype) - 0.5

    expression = torch.tensor([0, 1, 1])[:scans]
    return Batch(
        torch.arange(scans),
        expression,
        expression == 0,
        uniform(scans, points, 3),
        torch.nn.functional.normalize(uniform(scans, points, 3), dim=-1),
        uniform(scans, points),
        uniform(scans, 68, 3),
        uniform(scans, 68, 3),
    )
