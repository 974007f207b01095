"""Results that took long to compute, one safetensors file each, never unpickled as code."""

import hashlib
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from lib.encoders.encoder import Encoder
from lib.kept.code import KEEPING, closure, versions
from lib.paths import ROOT

STARTED = time.time()
PLAIN = (bool, int, float, str, type(None))


def network(model: nn.Module) -> list:
    """What computes, without the weights: the type and the plain settings (number of heads, stride,
    ε, …) of every module."""
    return [
        (
            name,
            type(module).__module__,
            type(module).__qualname__,
            sorted(_settings(module).items()),
        )
        for name, module in model.named_modules()
    ]


def _settings(module: nn.Module) -> dict[str, object]:
    plain = lambda v: (
        isinstance(v, PLAIN)
        or (  # noqa: E731
            isinstance(v, tuple | list) and all(isinstance(item, PLAIN) for item in v)
        )
    )
    return {k: v for k, v in vars(module).items() if not k.startswith("_") and plain(v)}


def _feed(found: Any, value: object) -> None:
    """Add a value to a hash, with its type."""
    found.update(f"<{type(value).__name__}>".encode())
    if isinstance(value, Tensor | np.ndarray):
        array = value.detach().cpu().contiguous().numpy() if isinstance(value, Tensor) else value
        found.update(f"{array.dtype}{array.shape}".encode() + np.ascontiguousarray(array).tobytes())
    elif isinstance(value, Encoder):
        facts = (value.pooling, value.input_size, value.mean, value.std)
        _feed(found, [*facts, network(value.model), dict(sorted(value.model.state_dict().items()))])
    elif type(value).__module__.startswith("lib."):  # a dataclass, or another that holds its facts
        _feed(found, dict(sorted(vars(value).items())))
    elif isinstance(value, dict):
        for key, item in value.items():
            _feed(found, key)
            _feed(found, item)
    elif isinstance(value, list | tuple):
        found.update(str(len(value)).encode())
        for item in value:
            _feed(found, item)
    elif isinstance(value, PLAIN):
        found.update(repr(value).encode())
    else:
        raise TypeError(f"a {type(value).__name__} cannot be part of a key")


def digest(*values: object) -> str:
    """Hash of tensors, encoders, numbers, strings, lists and mappings of them, objects of lib.

    >>> digest("a", "b") == digest("a", "b"), digest("ab") == digest("a", "b"), digest(1) == digest(1.0)
    (True, False, False)

    Raises:
        TypeError: anything else, of which it cannot be told whether two are equal.
    """
    found = hashlib.sha256()
    _feed(found, list(values))
    return found.hexdigest()


def key_of(function: Callable, *arguments: object, **options: object) -> str:
    """Hash of all that a call depends on: the arguments, the function's module and what of ``lib``
    that imports, and the versions of the numeric libraries.

    Raises:
        TypeError: a function that is not one of ``lib``, whose code cannot be followed.
    """
    if function.__module__.split(".")[0] != "lib":
        raise TypeError(
            f"expected a function of lib, got {function.__module__}.{function.__name__}"
        )
    code = closure([(function.__module__, None)], without=KEEPING)
    return digest(function.__qualname__, arguments, dict(sorted(options.items())), code, versions())


def checksum(key: str, tensors: dict[str, Tensor]) -> str:
    """What a kept file must hold, for one flipped bit to be noticed."""
    return digest(key, dict(sorted(tensors.items())))


def write(path: Path, key: str, tensors: dict[str, Tensor]) -> None:
    """Write tensors with key and checksum; an interruption leaves no half file, and what a process
    that has died left half is removed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for half in path.parent.glob("*.safetensors.*"):
        if not psutil.pid_exists(int(half.suffix[1:])):
            half.unlink(missing_ok=True)
    temporary = path.with_name(f"{path.name}.{os.getpid()}")
    # save_file would write to a temporary file with a name of its own first, which a kill leaves
    facts = {"key": key, "checksum": checksum(key, tensors)}
    temporary.write_bytes(save(tensors, metadata=facts))
    os.replace(temporary, path)


def read(path: Path, key: str) -> dict[str, Tensor]:
    """The tensors of a file.

    Raises:
        ValueError: not what :func:`write` has written under this key.
    """
    try:
        with safe_open(path, "pt") as file:
            tensors, facts = {name: file.get_tensor(name) for name in file.keys()}, file.metadata()  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        raise ValueError(f"it is not a safetensors file: {error}") from error
    if (facts or {}).get("key") != key or facts.get("checksum") != checksum(key, tensors):
        raise ValueError("its checksum is another")
    return tensors


def kept(
    folder: Path,
    label: str,
    function: Callable[..., dict[str, Tensor]],
    *arguments: object,
    **options: object,
) -> dict[str, Tensor]:
    """``function(*arguments, **options)``, or what an equal earlier call returned.

    A file that is damaged is named, removed and computed again. What was computed by code that has
    changed on disk since this process loaded it is returned, but not kept.

    Args:
        folder: of the files.
        label: begins the file's name, for readers; the key ends it.
        function: of ``lib``; returns tensors by name.
        arguments, options: its own; see :func:`digest`.
    """
    key = key_of(function, *arguments, **options)
    path = folder / f"{label.replace(' ', '-')}-{key[:12]}.safetensors"
    if path.is_file():
        try:
            return read(path, key)
        except ValueError as error:
            print(f"{path.name} is damaged, computed again: {error}", file=sys.stderr, flush=True)
            path.unlink()
    found = {name: tensor.contiguous() for name, tensor in function(*arguments, **options).items()}
    files = closure([(function.__module__, None)], without=KEEPING)
    if all((ROOT / file).stat().st_mtime < STARTED for file in files):
        write(path, key, found)
    return found
