"""Where and how the arithmetic runs: device, threads, seeds, determinism."""

import ctypes
import functools
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import torch

from facemill.errors import ConfigError
from facemill.randomness import derived_seed

Item = TypeVar("Item")
Result = TypeVar("Result")


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
def reproducible(
    device: torch.device, threads: int, matmul_precision: str = "highest"
) -> Iterator[None]:
    """A fixed number of threads and, on the CPU, deterministic kernels only: same input, same bits.

    Sums are split by thread, so results repeat to the bit only for the same number of threads.
    ``matmul_precision`` is torch's, of products of single-precision matrices.
    """
    keep_freed_memory()
    threads_before = torch.get_num_threads()
    precision_before = torch.get_float32_matmul_precision()
    deterministic_before = torch.are_deterministic_algorithms_enabled()
    filling_before = torch.utils.deterministic.fill_uninitialized_memory
    torch.set_num_threads(threads)
    torch.set_float32_matmul_precision(matmul_precision)
    torch.use_deterministic_algorithms(device.type == "cpu")
    torch.utils.deterministic.fill_uninitialized_memory = False  # a search for bugs, and slow
    try:
        yield
    finally:
        torch.set_num_threads(threads_before)
        torch.set_float32_matmul_precision(precision_before)
        torch.use_deterministic_algorithms(deterministic_before)
        torch.utils.deterministic.fill_uninitialized_memory = filling_before


@functools.cache
def keep_freed_memory() -> None:
    """Ask the C library, where it is glibc, to keep freed arrays for the next ones.

    By default it hands arrays of megabytes back to the system, which maps and clears their pages
    anew for every operation: a sixth of a training step's time. All threads share one heap, so that
    what one of them frees serves the others: with heaps of their own gradients and what parts keep
    lie side by side.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if os.name == "posix" else None
    if mallopt is None:
        return
    trim_threshold, top_pad, mmap_threshold, arena_max = -1, -2, -3, -8  # <malloc.h>
    mallopt(mmap_threshold, 1 << 25)  # the most that is allowed
    mallopt(trim_threshold, 2**31 - 1)
    mallopt(top_pad, 1 << 26)
    mallopt(arena_max, 1)


def in_threads(
    work: Callable[[Item], Result], items: Iterable[Item], device: torch.device
) -> Iterator[Result]:
    """``work`` of every item, in order, as ``map``; on a CPU in as many threads as torch may use.

    Each of them computes with one thread, so that results do not depend on their number. On other
    devices, and with one thread, one item after the other.
    """
    threads = torch.get_num_threads()
    if device.type != "cpu" or threads == 1:
        return map(work, items)
    return _workers(threads).map(work, items)


@functools.cache
def _workers(threads: int) -> ThreadPoolExecutor:
    """Threads that stay, with one core each: what they allocate is used again by the next item."""
    return ThreadPoolExecutor(threads, "part", initializer=torch.set_num_threads, initargs=(1,))
