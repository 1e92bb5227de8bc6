"""Several processes at one training, as torchrun starts them: one a GPU, or some on the CPU.

Each computes its own share of a step; gradients are averaged, so that all make the same update and
hold the same weights. Only the first one writes.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist
from jaxtyping import Float
from torch import Tensor

from facemill.errors import ConfigError

VARIABLES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
"""What torchrun tells its processes."""


@dataclass(frozen=True)
class Processes:
    """Which of how many processes this is. Alone, all of this costs nothing."""

    rank: int = 0
    count: int = 1

    @property
    def first(self) -> bool:
        """Whether this process writes files and shows progress."""
        return self.rank == 0

    def share(self, items: int, key: str) -> slice:
        """This process's part of so many things, equally large for all.

        ``key`` is where their number stands in the configuration. Raises ConfigError where they do
        not go into equal parts: the mean over processes would be no mean over things.
        """
        if items % self.count:
            raise ConfigError(
                f"{key}: found {items}, expected a multiple of {self.count}, the number of "
                "processes that torchrun started"
            )
        size = items // self.count
        return slice(self.rank * size, (self.rank + 1) * size)

    def mean(self, values: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
        """The mean of each process's values, the same in all."""
        if self.count == 1:
            return values
        total = values.detach().clone()
        dist.all_reduce(total)
        return total / self.count

    def mean_gradients(self, parameters: Iterable[Tensor]) -> None:
        """Put the mean of all processes' gradients in place of each one's own.

        Where one process had no use for a parameter and another had, its gradient counts as 0; what
        nobody used stays without one.
        """
        if self.count == 1:
            return
        every = [parameter for parameter in parameters if parameter.requires_grad]
        used = [float(parameter.grad is not None) for parameter in every]
        by_anybody = self.mean(torch.tensor(used, device=every[0].device)).tolist()
        learned = [p for p, share in zip(every, by_anybody, strict=True) if share > 0]
        own = [torch.zeros_like(p) if p.grad is None else p.grad for p in learned]
        flat = self.mean(torch.cat([gradient.reshape(-1) for gradient in own]))
        sizes = [parameter.numel() for parameter in learned]
        for parameter, mean in zip(learned, flat.split(sizes), strict=True):
            parameter.grad = mean.view_as(parameter)

    def wait(self) -> None:
        """Go on when all have come here."""
        if self.count > 1:
            dist.barrier()


@contextmanager
def joined(device: torch.device) -> Iterator[Processes]:
    """Join the processes that torchrun started, or be alone where it did not.

    On GPUs each process takes the one of its local number; ConfigError where there are fewer.
    """
    if not all(os.environ.get(name) for name in VARIABLES):
        yield Processes()
        return
    local = int(os.environ["LOCAL_RANK"])
    if device.type == "cuda":
        if local >= torch.cuda.device_count():
            raise ConfigError(
                f"torchrun started process {local} (from 0) on a machine with "
                f"{torch.cuda.device_count()} GPUs; start as many as there are, or set device: cpu"
            )
        torch.cuda.set_device(local)
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield Processes(dist.get_rank(), dist.get_world_size())
    finally:
        dist.destroy_process_group()
