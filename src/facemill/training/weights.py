"""Trained networks on disk: safetensors, and as JSON in the metadata what is needed to use them."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
from torch import Tensor, nn

from facemill.errors import DataError
from facemill.files import require_file, writing

METADATA = "facemill"  # the entry of the file's metadata that holds ours, as JSON text


def write_weights(path: str | Path, model: nn.Module, metadata: Mapping[str, Any]) -> None:
    """Write a network's tensors and ``metadata`` (anything JSON can hold, ``format`` in it)."""
    tensors = {
        name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()
    }
    with writing(path) as part:  # one entry only: several would be written in random order
        safetensors.torch.save_file(tensors, part, metadata={METADATA: json.dumps(metadata)})


def read_weights(
    path: str | Path, form: str, origin: str, hint: str
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Metadata and tensors (on the CPU) of a file that :func:`write_weights` wrote.

    Raises DataError for a missing or truncated file, with ``hint``, and for one whose format is not
    ``form``, with ``origin``, which says what file is wanted.
    """
    require_file(path, hint)
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            metadata = json.loads((file.metadata() or {}).get(METADATA, "{}"))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (safetensors.SafetensorError, json.JSONDecodeError) as error:
        raise DataError(f"{path}: not a whole safetensors file ({error}). {hint}") from None
    if metadata.get("format") != form:
        raise DataError(
            f"{path}: weights of {metadata.get('format')!r}, expected {form!r}. {origin}"
        )
    return metadata, tensors


def fill(model: nn.Module, tensors: Mapping[str, Tensor], path: str | Path, hint: str) -> None:
    """Put tensors into a network made by their own config; DataError where they do not fit."""
    try:
        model.load_state_dict(tensors)
    except RuntimeError as error:
        raise DataError(f"{path}: weights do not fit their own config ({error}). {hint}") from None
