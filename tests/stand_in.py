"""A stand-in for a second device, with values: tensors that say they are on ``meta`` and hold their
numbers on the CPU. Whatever would fail on a GPU because two devices meet fails here."""

from contextlib import contextmanager
from unittest.mock import patch

import numpy as np
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map, tree_unflatten

DEVICE = torch.device("meta")
aten = torch.ops.aten
# indices may lie on the CPU, and copies cross from one device to another
INDEXED = (aten.index.Tensor, aten.index_put_.default, aten.index_put.default)
COPIES = (aten._to_copy.default, aten.copy_.default, aten.lift_fresh.default)


class StandIn(Tensor):
    """A tensor on the stand-in device."""

    @staticmethod
    def __new__(cls, held: Tensor):
        return Tensor._make_wrapper_subclass(
            cls, held.shape, strides=held.stride(), storage_offset=held.storage_offset(),
            dtype=held.dtype, device=DEVICE, requires_grad=False,
        )  # fmt: skip

    def __init__(self, held: Tensor):
        self.held = held

    __torch_function__ = torch._C._disabled_torch_function_impl

    @classmethod
    def __torch_dispatch__(cls, function, types, args=(), kwargs=None):
        return run(function, args, kwargs or {})

    def tolist(self) -> list:
        """The numbers, as of a tensor on a GPU."""
        return self.held.tolist()

    def new_tensor(self, data, **options) -> Tensor:
        """Data copied to this device."""
        return torch.tensor(data, dtype=options.get("dtype", self.dtype)).to(DEVICE)

    def numpy(self, *, force: bool = False) -> np.ndarray:
        """The numbers, if the move to the CPU is asked for, as of a tensor on a GPU."""
        if not force:
            raise TypeError("a tensor on another device than the CPU has no NumPy array")
        return self.held.detach().numpy()

    def __repr__(self) -> str:
        return f"StandIn({self.held})"


def run(function, args: tuple, kwargs: dict):
    """The operation on what the tensors hold.

    Raises:
        RuntimeError: tensors of two devices meet, or a generator of the CPU draws on the other.
    """
    flat, layout = tree_flatten((args, kwargs))
    tensors = [value for value in flat if isinstance(value, Tensor)]
    there = any(isinstance(tensor, StandIn) for tensor in tensors)
    meeting = [tensors[0]] if function in INDEXED else tensors
    here = [t for t in meeting if not isinstance(t, StandIn) and t.ndim > 0]
    if here and there and function not in COPIES:
        raise RuntimeError(
            f"{function}: tensors of two devices meet, {[tuple(t.shape) for t in here]} is on the CPU"
        )
    if any(not isinstance(t, StandIn) and t.device.type == DEVICE.type for t in tensors):
        raise RuntimeError(f"{function}: a tensor on {DEVICE} without values")
    asked = kwargs.get("device")
    target = there if asked is None else torch.device(asked).type == DEVICE.type
    if target and kwargs.get("generator") is not None:
        raise RuntimeError(f"{function}: a generator of the CPU cannot draw on {DEVICE}")
    if function is aten._fused_sdp_choice.default:
        return 0  # the path that every device has
    values = [value.held if isinstance(value, StandIn) else value for value in flat]
    args_held, kwargs_held = tree_unflatten(values, layout)
    if asked is not None:
        kwargs_held = kwargs_held | {"device": torch.device("cpu")}
    found = function(*args_held, **kwargs_held)
    if function._schema.is_mutable and not function._schema.name.endswith("out"):
        return args[0]
    if function is aten._local_scalar_dense.default:
        return found
    wrap = lambda v: StandIn(v) if isinstance(v, Tensor) and not isinstance(v, StandIn) else v
    return tree_map(wrap, found) if target else found


class Here(TorchDispatchMode):
    """Inside, tensors can be made on the stand-in device and moved to it."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        return run(function, args, kwargs or {})


def _made_there(make):
    """A factory that copies data, which torch runs beside every mode."""

    def factory(data, **options):
        device = options.pop("device", None)
        there = device is not None and torch.device(device).type == DEVICE.type
        made = make(data, **options)
        return made.to(DEVICE) if there else made

    return factory


@contextmanager
def stand_in():
    """Inside, ``meta`` is a device with values."""
    with (
        Here(),
        patch.object(torch, "tensor", _made_there(torch.tensor)),
        patch.object(torch, "as_tensor", _made_there(torch.as_tensor)),
    ):
        yield DEVICE
