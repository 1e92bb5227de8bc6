"""Seeds by name, threads and determinism only inside the block, progress in a log."""

import logging
import platform
import subprocess
import sys
import threading
import time

import pytest
import torch

from facemill.errors import ConfigError
from facemill.training.device import choose_device, in_threads, reproducible, seeded
from facemill.training.progress import Progress
from facemill.training.record import device_name, peak_memory_mb, versions


def test_seeded_numbers_depend_on_seed_and_name_and_leave_no_trace():
    def draw(*names):
        with seeded(*names):
            return torch.rand(3)

    before = torch.random.get_rng_state()
    assert torch.equal(draw(0, "a"), draw(0, "a"))
    assert not torch.equal(draw(0, "a"), draw(0, "b"))
    assert not torch.equal(draw(0, "a"), draw(1, "a"))
    assert torch.equal(before, torch.random.get_rng_state())


def test_threads_precision_and_determinism_are_set_back():
    before = torch.get_num_threads()
    with reproducible(torch.device("cpu"), before + 1, "medium"):
        assert torch.get_num_threads() == before + 1
        assert torch.get_float32_matmul_precision() == "medium"
        assert torch.are_deterministic_algorithms_enabled()
    assert torch.get_num_threads() == before
    assert torch.get_float32_matmul_precision() == "highest"
    assert not torch.are_deterministic_algorithms_enabled()


def test_threads_of_one_core_each_give_results_in_order():
    before = torch.get_num_threads()

    def work(item):
        time.sleep(0.02 if item == 0 else 0)
        return item, torch.get_num_threads(), threading.get_ident()

    with reproducible(torch.device("cpu"), 3):
        found = list(in_threads(work, range(12), torch.device("cpu")))
        assert torch.get_num_threads() == 3
    assert [item for item, *_ in found] == list(range(12))
    assert {threads for _, threads, _ in found} == {1}
    assert threading.get_ident() not in {ident for *_, ident in found}
    assert torch.get_num_threads() == before
    with reproducible(torch.device("cpu"), 1):
        found = list(in_threads(work, range(3), torch.device("cpu")))
    assert {ident for *_, ident in found} == {threading.get_ident()}


def test_a_gpu_that_is_not_there_is_refused():
    assert choose_device("cpu").type == "cpu"
    if not torch.cuda.is_available():
        assert choose_device("auto").type == "cpu"
        with pytest.raises(ConfigError, match="sees no GPU"):
            choose_device("cuda")


def test_a_log_gets_plain_lines(caplog):
    with caplog.at_level(logging.INFO):
        progress = Progress("train", total=3, seconds_between=0.0)
        progress.update(1, "loss 2")
        progress.update(3, "loss 1")
        progress.close()
    assert "train: step 1 of 3, loss 2" in caplog.text and "min to go" in caplog.text
    assert "train: step 3 of 3, loss 1, done" in caplog.text


def test_the_record_of_a_run_is_plain():
    assert 10 < peak_memory_mb(torch.device("cpu")) < 1e6
    assert device_name(torch.device("cpu")).startswith("cpu")
    assert {"torch", "numpy", "python", "facemill"} == set(versions())


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries are left alone")
def test_freed_arrays_serve_the_next_ones():
    program = """
import resource, torch
from facemill.training.device import keep_freed_memory
keep_freed_memory()
for _ in range(2):  # the first ten fill the heap
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        [torch.ones(1 << 20) for _ in range(5)]
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert int(done.stdout) < 1000, done.stderr  # 50 arrays have 50 000 pages
