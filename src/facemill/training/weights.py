"""Trained networks on disk: safetensors, and as JSON in the metadata what is needed to use them."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from facemill.errors import DataError
from facemill.files import require_file, writing

METADATA = "facemill"  # the entry of the file's metadata that holds ours, as JSON text


CHECKSUM = "tensors_sha256"
"""Key of that text: checksum of the tensors, so that a file altered on its way is noticed."""


def write_weights(path: str | Path, model: nn.Module, metadata: Mapping[str, Any]) -> None:
    """Write a network's tensors and ``metadata`` (anything JSON can hold, ``format`` in it).

    A checksum of the tensors is added.
    """
    tensors = {
        name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()
    }
    metadata = {**metadata, CHECKSUM: checksum(tensors)}
    # One entry only: several would be written in random order. save_file would hide the file from
    # everybody but its owner.
    content = safetensors.torch.save(tensors, metadata={METADATA: json.dumps(metadata)})
    with writing(path) as part:
        part.write_bytes(content)


def read_weights(
    path: str | Path, form: str, origin: str, hint: str
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Metadata and tensors (on the CPU) of a file that :func:`write_weights` wrote.

    Raises DataError for a missing, truncated or altered file, with ``hint``, and for one whose
    format is not ``form``, with ``origin``, which says what file is wanted.
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
    expected, found = metadata.pop(CHECKSUM, None), checksum(tensors)
    if expected not in (None, found):
        raise DataError(
            f"{path}: its weights have the checksum {found[:12]}, the file says "
            f"{str(expected)[:12]}: it was damaged or altered. {hint}"
        )
    return metadata, tensors


def checksum(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 over names, types, shapes and values (on the CPU)."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        value = tensors[name].contiguous()
        digest.update(f"{name}\0{value.dtype}\0{tuple(value.shape)}\0".encode())
        digest.update(value.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def fill(model: nn.Module, tensors: Mapping[str, Tensor], path: str | Path, hint: str) -> None:
    """Put tensors into a network made by their own config; DataError where they do not fit."""
    try:
        model.load_state_dict(tensors)
    except RuntimeError as error:
        raise DataError(f"{path}: weights do not fit their own config ({error}). {hint}") from None
