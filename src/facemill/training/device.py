"""Where and how the arithmetic runs: device, threads, seeds, determinism."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from facemill.errors import ConfigError
from facemill.randomness import derived_seed


def choose_device(name: str) -> torch.device:
    """ "cpu", "cuda", or "auto": the GPU if there is one."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and not torch.cuda.is_available():
        raise ConfigError("device: found 'cuda', but torch sees no GPU; expected 'cpu' or 'auto'")
    return torch.device(name)


@contextmanager
def seeded(seed: int, *names: str) -> Iterator[None]:
    """Torch's own generator seeded for a named purpose inside the block, restored after it."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(derived_seed(seed, *names))
        yield


@contextmanager
def reproducible(device: torch.device, threads: int) -> Iterator[None]:
    """A fixed number of threads and, on the CPU, deterministic kernels only: same input, same bits.

    Sums are split by thread, so results repeat to the bit only for the same number of threads.
    """
    threads_before = torch.get_num_threads()
    deterministic_before = torch.are_deterministic_algorithms_enabled()
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(device.type == "cpu")
    try:
        yield
    finally:
        torch.set_num_threads(threads_before)
        torch.use_deterministic_algorithms(deterministic_before)
