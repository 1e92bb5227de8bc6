"""A trained model as a file to give away: small, with a checksum and a card beside it."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from facemill.files import require_file, sha256, write_json
from facemill.imface.model import FORMAT, ImFace, load_model, save_model
from facemill.metrics.tables import HEADLINE, read_table

log = logging.getLogger(__name__)

LICENCES = {
    "demo": "MIT",
    "ict": "MIT (ICT-FaceKit's face model, Copyright 2020 USC Institute for Creative Technologies)",
    "facescape": "none: ask the holders of FaceScape's licence before passing it on",
    "folder": "that of the scans it was trained on",
}


def release(
    model: str | Path, table: str | Path, dataset: str, weights: str | Path, card: str | Path
) -> dict[str, Any]:
    """Write ``weights`` (safetensors, mostly half precision) and its ``card`` (JSON).

    The hyper-networks, 97 % of all numbers, are kept in half precision; what meets points directly
    stays as it is. :func:`facemill.imface.model.load_model` reads the file as any other. The card
    holds the file's SHA-256, what the model was trained on, the licence, the table's headline
    scores of this model, and how far the rounding moves the field: mean and largest change of the
    signed distance in mm over points of the unit ball.
    """
    network, metadata = load_model(model)
    variant = Path(model).parent.name
    rounded, _ = load_model(model)
    halve(rounded)
    known = {"format", "config", "people", "expressions"}
    extra = {key: value for key, value in metadata.items() if key not in known}
    save_model(weights, rounded, metadata["people"], metadata["expressions"], extra)
    change = rounding(network, load_model(weights)[0])
    about = {
        "file": Path(weights).name,
        "sha256": sha256(weights),
        "bytes": Path(weights).stat().st_size,
        "format": FORMAT,
        "licence": LICENCES[dataset],
        "dataset": dataset,
        "people": metadata.get("trained_on", {}).get("people", len(metadata["people"])),
        "expressions": list(metadata["expressions"]),
        "model": metadata["config"],
        "training": metadata.get("train", {}),
        "versions": metadata.get("versions", {}),
        "scores": headline(table, variant),
        "rounding_mm": change,
    }
    write_json(card, about)
    log.info("%s: %.1f MB, rounding moves the field by %s", weights, about["bytes"] / 1e6, change)
    return about


def halve(model: ImFace) -> None:
    """Round the hyper-networks' weights to half precision, in place."""
    for name in ("expression_field", "identity_field", "detail_field"):
        if hasattr(model, name):
            getattr(model, name).hyper.half()


@torch.no_grad()
def rounding(ours: ImFace, theirs: ImFace, count: int = 4096) -> dict[str, float]:
    """Mean and largest difference of two models' fields over trained scans, in mm."""
    points = points_of_ball(count, torch.Generator().manual_seed(0))
    rows = torch.arange(min(8, ours.n_identities))
    fields = []
    for model in (ours, theirs):
        codes = model.codes(rows, torch.zeros_like(rows))
        condition = model.condition(*codes)
        fields.append(model.field(points.expand(len(rows), -1, -1), condition).sdf)
    change = 100 * (fields[0] - fields[1]).abs()
    return {"mean": round(float(change.mean()), 4), "largest": round(float(change.max()), 4)}


def points_of_ball(count: int, generator: torch.Generator) -> Float[Tensor, "1 n 3"]:
    """Points spread evenly through the unit ball."""
    points = torch.randn(count, 3, generator=generator)
    radius = torch.rand(count, 1, generator=generator) ** (1 / 3)
    return (radius * torch.nn.functional.normalize(points, dim=-1))[None]


def headline(table: str | Path, variant: str) -> list[Mapping[str, Any]]:
    """This model's rows of the table, those that readers look for first."""
    require_file(table, "Make it by the target imface_table.")
    return [
        {"split": row.split, "metric": row.metric, "value": row.value, "unit": row.unit, "n": row.n}
        for row in read_table(table)
        if row.method == variant and row.metric in HEADLINE
    ]
