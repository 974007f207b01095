"""One training over several processes: ``torchrun --nproc-per-node=N -m lib.pretrain …``;
everything here does nothing in a single process.

Every process reads its own rows of a batch; random parameters are drawn for the whole batch from
the same generator in every process, so that N processes see what one would see. Representations are
gathered before heads and losses: their BatchNorms and negatives see the whole batch, and the loss
curve is that of one process. A BatchNorm inside an encoder sees the rows of its process, unless it
is converted to torch's SyncBatchNorm on GPUs.
"""

import os

import torch
import torch.distributed as dist
from torch import Generator, Tensor, nn
from torch.distributed.nn.functional import all_gather
from torch.nn.parallel import DistributedDataParallel

from lib.encoders.device import chosen_device


def start() -> torch.device:
    """Join the other processes that torchrun started, if any; returns the device to train on."""
    local = int(os.environ.get("LOCAL_RANK", 0))
    device = chosen_device()
    if device == torch.device("cuda"):  # no number: one for each process
        device = torch.device("cuda", local)
    if int(os.environ.get("WORLD_SIZE", 1)) > 1 and not dist.is_initialized():
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    return device


def processes() -> int:
    """Number of processes that train together."""
    return dist.get_world_size() if dist.is_initialized() else 1


def rank() -> int:
    """Number of this process; process 0 writes."""
    return dist.get_rank() if dist.is_initialized() else 0


def own_rows(tensor: Tensor) -> Tensor:
    """This process's share of the rows of a batch.

    Raises:
        ValueError: a batch that the processes cannot share equally.
    """
    if len(tensor) % processes():
        raise ValueError(
            f"a batch of {len(tensor)} rows cannot be shared by {processes()} processes"
        )
    return tensor.chunk(processes())[rank()]


def rand_rows(n: int, generator: Generator) -> Tensor:
    """Uniform draws in [0, 1) for this process's ``n`` rows of a batch, cut from those of all its
    rows."""
    return own_rows(torch.rand(n * processes(), generator=generator))


def gather(features: Tensor) -> Tensor:
    """Rows of all processes, in order, with gradients to each process's own.

    Each process then computes the same loss of the whole batch. Summed over N such losses the
    gradient of a process's rows is N times too large, and averaging gradients over processes, as
    DistributedDataParallel does, divides it by N again.

    Args:
        features: ``(rows, …)``, as many in each process.
    """
    return torch.cat(all_gather(features)) if dist.is_initialized() else features


def mean_over_processes(loss: Tensor) -> float:
    """The loss, averaged over the processes."""
    value = loss.detach().float().clone()
    if dist.is_initialized():
        dist.all_reduce(value)
    return value.item() / processes()


def parallel(objective: nn.Module, device: torch.device) -> nn.Module:
    """The module to call for the loss: gradients are averaged over the processes."""
    if not dist.is_initialized():
        return objective
    return DistributedDataParallel(
        objective,
        device_ids=[device.index] if device.type == "cuda" else None,
        broadcast_buffers=False,
    )
