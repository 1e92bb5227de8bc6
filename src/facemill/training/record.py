"""What a run used: versions and memory, for run.json."""

import platform
import resource
import sys

import numpy as np
import torch

import facemill


def versions() -> dict[str, str]:
    """Versions of what decides the numbers."""
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "facemill": facemill.__version__,
    }


def peak_memory_mb(device: torch.device) -> float:
    """Largest memory so far in MB (10^6 bytes): of the GPU's allocator, else of this process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e6
    kilobytes = 1 if sys.platform == "darwin" else 1024  # ru_maxrss counts bytes on macOS
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * kilobytes / 1e6


def device_name(device: torch.device) -> str:
    """The GPU's name, or the processor architecture."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"cpu ({platform.machine()})"
