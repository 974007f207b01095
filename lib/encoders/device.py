"""The one place that decides where encoders compute, and how exactly: the environment's ``DEVICE``
and ``PRECISION``."""

import os
import re
from contextlib import AbstractContextManager, nullcontext

import psutil
import torch
from torch import Tensor

PRECISIONS = ("exact", "fast")
SHARE = {"cpu": 0.5, "cuda": 0.8, "mps": 0.5}  # of the free memory that a batch may take


def chosen_device() -> torch.device:
    """The device that ``DEVICE`` names: ``auto`` (a CUDA device where there is one, otherwise the
    CPU; also where it is not set), ``cpu``, ``cuda``, ``cuda:1``, …, ``mps``.

    Raises:
        ValueError: another name, or a device that this machine does not have.
    """
    name = os.environ.get("DEVICE") or "auto"
    if not re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", name):
        raise ValueError(f"DEVICE is auto, cpu, cuda, cuda:0, cuda:1, … or mps, got {name!r}")
    found = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if name == "auto":
        name = "cuda" if found else "cpu"
    device = torch.device(name)
    if device.type == "cuda" and (device.index or 0) >= found:
        raise ValueError(f"DEVICE={name}, but this machine has {found} CUDA devices that work")
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise ValueError("DEVICE=mps, but this machine has no such device that works")
    return device


def chosen_precision() -> str:
    """What ``PRECISION`` says: ``exact`` (also where it is not set) or ``fast``.

    Raises:
        ValueError: another word.
    """
    precision = os.environ.get("PRECISION") or "exact"
    if precision not in PRECISIONS:
        raise ValueError(f"PRECISION is {' or '.join(PRECISIONS)}, got {precision!r}")
    return precision


def precision_in_key() -> dict[str, str]:
    """The chosen precision as an option of what is kept on disk: what is less exact is kept by
    itself."""
    return {"exact": {}, "fast": {"precision": "fast"}}[chosen_precision()]


def be_exact() -> None:
    """Single precision without TF32, and the same result from the same input every time: what every
    verdict is computed with, on any device."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # asked for by cuBLAS
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = False
    if torch.cuda.is_available():  # what is used here has no other algorithms on a CPU
        # what has none there (bilinear upsampling backwards) warns
        torch.use_deterministic_algorithms(True, warn_only=True)


def products(device: torch.device, precision: str) -> AbstractContextManager:
    """Inside, the products of networks are of bfloat16 if the precision is ``fast``."""
    return torch.autocast(device.type, torch.bfloat16) if precision == "fast" else nullcontext()


def free_memory(device: torch.device) -> int:
    """Bytes that a batch may take: a share of what is free on the device now."""
    if device.type == "cuda":
        held = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        free = torch.cuda.mem_get_info(device)[0] + held
    elif device.type == "mps":
        free = torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory()
    else:
        free = psutil.virtual_memory().available
    return int(SHARE.get(device.type, SHARE["cpu"]) * free)


def describe() -> dict[str, str]:
    """Device and precision in words, for the record of a run."""
    device = chosen_device()
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    return {"device": f"{device.type} ({name})" if name != device.type else name} | {
        "precision": chosen_precision()
    }


def double(x: Tensor) -> Tensor:
    """In double precision where the tensor is; on the CPU if its device has none, as ``mps``."""
    return (x.cpu() if x.device.type == "mps" else x).double()
