"""Work on many images, batch by batch, on the encoder's device."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor
from tqdm import tqdm

from lib.encoders.memory import Placed, images_that_fit

Result, Item = TypeVar("Result"), TypeVar("Item")


def ahead(items: Iterable[Item]) -> Iterator[Item]:
    """The items, each made in a thread while the one before it is in use.

    >>> list(ahead(x * x for x in range(3)))
    [0, 1, 4]
    """
    waiting, end = iter(items), object()
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(next, waiting, end)
        while (item := coming.result()) is not end:
            coming = pool.submit(next, waiting, end)
            yield item


class Rows:
    """Rows of a tensor in some order, gathered when a batch asks for them.

    Args:
        tensor: ``(n, …)``.
        index: ``(m,)`` which of them.

    >>> Rows(torch.tensor([5, 7]), torch.tensor([1, 0, 1]))[0:2].tolist()
    [7, 5]
    """

    def __init__(self, tensor: Tensor, index: Tensor):
        self.tensor, self.index = tensor, index

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, rows: slice) -> Tensor:
        return self.tensor[self.index[rows]]


def in_batches(
    encoder: Placed,
    compute: Callable[..., Result],
    *columns: Sequence,
    batch_size: int,
    gradients: bool = False,
    copies: int = 1,
    desc: str | None = None,
) -> Result:
    """``compute(*columns)``, batch by batch on the encoder's device, brought together where the
    first column is.

    Batches are made smaller than asked for where the device's free memory says so, and halved when
    it runs out all the same: nothing that is done is done again.

    Args:
        encoder: whose device computes.
        compute: pure; takes a batch of every column and returns a tensor, or a tuple, a mapping or
            a dataclass of them, each with one row for each row of the batch.
        columns: of one length, the first of images: tensors, :class:`Rows`, or images of a folder,
            of which the next batch is read while one is computed.
        batch_size: rows at once, at most.
        gradients: whether the pass keeps what a gradient needs.
        copies: images of a pass that come of one row.
        desc: shown with a bar of progress; no bar where None.

    Returns:
        as ``compute``, floats in at least single precision.

    Raises:
        torch.OutOfMemoryError: not even one row fits.
    """
    shape = columns[0].shape[1:] if hasattr(columns[0], "shape") else columns[0][0:0].shape[1:]
    fit = images_that_fit(encoder, shape, gradients) // copies
    size = most = max(1, min(batch_size, fit))
    found, total = [], len(columns[0])
    with tqdm(total=total, desc=desc, unit="image", leave=False, disable=desc is None) as bar:
        for batch in _batches(columns, most):
            done = 0
            while done < len(batch[0]):
                part = [rows[done : done + size] for rows in batch]
                result = _attempt(compute, part, encoder.device, size > 1)
                if result is None:
                    size //= 2
                    continue
                found.append(_home(result[0], batch[0].device))
                done += len(part[0])
                bar.update(len(part[0]))
    return _together(found)


def _batches(columns: Sequence, size: int) -> Iterator[list[Tensor]]:
    """Batches of all columns; files are read one batch ahead."""
    starts = range(0, len(columns[0]), size)
    made = ([column[start : start + size] for column in columns] for start in starts)
    return ahead(made) if hasattr(columns[0], "files") else made


def _attempt(
    compute: Callable[..., Result], batch: list[Tensor], device: torch.device, divisible: bool
) -> tuple[Result] | None:
    """The result, in a tuple; None where the memory ran out and a smaller batch is possible."""
    try:
        return (compute(*(rows.to(device) for rows in batch)),)
    except RuntimeError as error:  # also torch.OutOfMemoryError; the CPU has none of its own
        out_of_memory = isinstance(error, torch.OutOfMemoryError) or "can't allocate" in str(error)
        if not (divisible and out_of_memory):
            raise
    # here the error, and all that its frames held, is gone
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return None


def _home(value: Any, device: torch.device) -> Any:
    """Tensors on that device, of at least single precision."""
    if isinstance(value, Tensor):
        value = value.float() if value.dtype in (torch.bfloat16, torch.float16) else value
        return value.to(device)
    if is_dataclass(value):
        return type(value)(*(_home(getattr(value, f.name), device) for f in fields(value)))
    if isinstance(value, dict):
        return {name: _home(item, device) for name, item in value.items()}
    return type(value)(_home(item, device) for item in value)


def _together(parts: list) -> Any:
    """Rows of all batches, in order."""
    first = parts[0]
    if isinstance(first, Tensor):
        return torch.cat(parts)
    if is_dataclass(first):
        return type(first)(*(_together([getattr(p, f.name) for p in parts]) for f in fields(first)))
    if isinstance(first, dict):
        return {name: _together([part[name] for part in parts]) for name in first}
    return type(first)(_together(list(items)) for items in zip(*parts, strict=True))
