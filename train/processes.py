"""Several processes that train one model: the group, what they tell each other, how they end.

The one file that speaks torch.distributed. Each process holds the whole model and the whole data, trains on
its part of every batch, and takes the mean of all gradients: gloo between CPUs, NCCL between GPUs. torchrun
(or RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT set by hand) says who is who. Process 0 alone writes files.

    RuntimeError
      ProcessesError    another process ended, or this one was told to end; exit code 7
    ValueError
      DeviceError       a device that is not there; exit code 2
"""

import gc
import json
import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, ClassVar, NoReturn

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

DEVICES = ("auto", "cpu", "cuda")
CPU = torch.device("cpu")
PATIENCE = timedelta(minutes=30)
"""How long a process waits for the slowest one: process 0 writes while the others wait."""


class ProcessesError(RuntimeError):
    """The run cannot go on without the other processes."""

    exit_code: ClassVar[int] = 7


class DeviceError(ValueError):
    """A device that this machine does not have, or not for so many processes."""

    exit_code: ClassVar[int] = 2


@dataclass(frozen=True, slots=True)
class Processes:
    """Process `rank` of `size`, `local_size` of them on this machine; what it computes on."""

    rank: int = 0
    size: int = 1
    local_size: int = 1
    device: torch.device = CPU

    @property
    def first(self) -> bool:
        """Whether this is the process that writes files, log and progress."""
        return self.rank == 0

    def threads(self, of_machine: int) -> int:
        """This process's share of the threads that a machine gives to the run, at least one."""
        return max(1, of_machine // self.local_size)

    def part(self, indices: np.ndarray) -> np.ndarray:
        """This process's part of a batch: in order, the parts' lengths differ by at most one."""
        return indices if self.size == 1 else np.array_split(indices, self.size)[self.rank]

    def total(self, x: Tensor) -> Tensor:
        """The sum over all processes, the same on each, where x lies."""
        if self.size == 1:
            return x
        summed = x.to(self.device, copy=True)
        dist.all_reduce(summed)
        return summed.to(x.device)

    def told(self, value: Any) -> Any:
        """A JSON value of process 0, on every process; what the others pass is not looked at."""
        if self.size == 1:
            return value
        text = torch.frombuffer(bytearray(json.dumps(value).encode()), dtype=torch.uint8)
        length = self._from_first(torch.tensor([len(text)]))
        text = self._from_first(text if self.first else torch.empty(int(length), dtype=torch.uint8))
        return json.loads(text.numpy().tobytes())

    def told_tensors(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Tensors of process 0 by name, on every process, on the CPU."""
        if self.size == 1:
            return dict(tensors)
        kinds = self.told([(k, str(x.dtype).split(".")[1], list(x.shape)) for k, x in tensors.items()])
        mine = tensors if self.first else {k: torch.empty(s, dtype=getattr(torch, d)) for k, d, s in kinds}
        return {name: self._from_first(mine[name]) for name, _, _ in kinds}

    def wrap(self, module: nn.Module) -> nn.Module:
        """The module, its gradients averaged over the processes in backward; itself for one process."""
        if self.size == 1:
            return module
        # Every parameter must have a part in every batch: DDP looks for those that have none only at a cost.
        devices = [self.device] if self.device.type == "cuda" else None
        return DistributedDataParallel(module, device_ids=devices)

    def _from_first(self, x: Tensor) -> Tensor:
        sent = x.to(self.device)
        dist.broadcast(sent, 0)
        return sent.cpu()


ALONE = Processes()
"""The only process there is, on the CPU."""


def several() -> bool:
    """Whether this process is one of a group of at least two."""
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1


def rank() -> int:
    """This process's place among `several`."""
    return dist.get_rank()


def gathered(x: Tensor) -> Tensor:
    """x [*shape] of every process of the group, in order of rank: [P, *shape], the same on each."""
    parts = [torch.empty_like(x) for _ in range(dist.get_world_size())]
    dist.all_gather(parts, x.contiguous())
    return torch.stack(parts)


def summed(x: Tensor) -> Tensor:
    """The sum of x over the processes of the group, in place of x."""
    dist.all_reduce(x)
    return x


@contextmanager
def joined(device: str = "auto") -> Iterator[Processes]:
    """The group that torchrun started this process in, or `ALONE` on that device; left when the block ends.

    Inside, SIGTERM (torchrun sends it when another process has ended) and a lost connection become a
    ProcessesError, so that what is half done is cleaned up on the way out.
    """
    rank, size, local, local_size = _placed()
    here = Processes(rank, size, local_size, _device(device, local, local_size))
    if size == 1:
        yield here
        return
    before = signal.signal(signal.SIGTERM, lambda *_: _told_to_end(here))
    try:
        dist.init_process_group("nccl" if here.device.type == "cuda" else "gloo", timeout=PATIENCE)
        yield here
    except BaseException as error:
        # The way out is taken already: a signal that comes now must not hide the reason.
        for sign in (signal.SIGTERM, signal.SIGINT):
            signal.signal(sign, signal.SIG_IGN)
        if _lost(error):
            raise ProcessesError(_end(here, "another process ended (its message says why)")) from error
        raise
    # A wrapped module in a reference cycle would outlive the group that its threads use, and a connection
    # be closed that another process still reads: both were seen to abort a process that had done its work.
    gc.collect()
    dist.barrier()
    dist.destroy_process_group()
    signal.signal(signal.SIGTERM, before)


def _placed() -> tuple[int, int, int, int]:
    """Rank, size, rank on this machine, processes on it."""
    if not {"RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"} <= os.environ.keys():
        return 0, 1, 0, 1
    rank, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    return rank, size, int(os.environ.get("LOCAL_RANK", rank)), int(os.environ.get("LOCAL_WORLD_SIZE", size))


def _device(name: str, local: int, local_size: int) -> torch.device:
    """`auto` is a GPU where there is one; each process of a machine takes its own."""
    if name not in DEVICES:
        raise DeviceError(f"unknown device {name!r}; expected {', '.join(DEVICES)}")
    if name == "cpu" or (name == "auto" and not torch.cuda.is_available()):
        return torch.device("cpu")
    there = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if there == 0:
        raise DeviceError("device cuda: found no GPU that torch can use; expected one, or take --device cpu")
    if local_size > there:
        raise DeviceError(
            f"device cuda: found {there} GPUs for {local_size} processes of this machine; "
            f"start {there} (torchrun --nproc-per-node {there}), or take --device cpu"
        )
    torch.cuda.set_device(local)
    return torch.device("cuda", local)


def _lost(error: BaseException) -> bool:
    """Whether a peer is gone: gloo says so by a RuntimeError that names its own files."""
    known = isinstance(error, RuntimeError) and not isinstance(error, ProcessesError)
    return known and (isinstance(error, dist.DistError) or "gloo" in str(error).lower())


def _told_to_end(here: Processes) -> NoReturn:
    raise ProcessesError(_end(here, "told to end (SIGTERM), as when another process ended"))


def _end(here: Processes, what: str) -> str:
    return (
        f"process {here.rank} of {here.size}: {what}; the files are those of the last whole epoch: "
        "mend the cause and go on with --resume"
    )
