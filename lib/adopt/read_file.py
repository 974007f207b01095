"""What a file or folder of somebody else holds, without ever running code from it."""

import argparse
import hashlib
import io
import json
import pickle
import re
import warnings
import zipfile
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load

# plain objects that official files hold beside the weights: MAE's and DINO's arguments, SimMIM's
# configuration (yacs' subclass of a dictionary), an accuracy as NumPy's number
HARMLESS = [
    argparse.Namespace,
    (OrderedDict, "yacs.config.CfgNode"),
    (np._core.multiarray.scalar, "numpy.core.multiarray.scalar"),
    np._core.multiarray.scalar,
    np.dtype,
    np.dtypes.Float64DType,
    np.dtypes.Float32DType,
    np.dtypes.Int64DType,
]
FOLDER_FILES = ("model.safetensors", "pytorch_model.bin")  # beside config.json
UNREADABLE = (
    SafetensorError,
    RuntimeError,
    EOFError,
    KeyError,
    ValueError,
    TypeError,
    OverflowError,
    AttributeError,
    IndexError,
    zipfile.BadZipFile,
)


@dataclass(frozen=True)
class Source:
    """What was read.

    Attributes:
        name: of the file or folder, for messages.
        content: tensors, or a mapping with tensors inside.
        config: ``config.json`` of a ``from_pretrained`` folder.
        processor: its ``preprocessor_config.json``.
    """

    name: str
    content: dict
    config: dict = field(default_factory=dict)
    processor: dict = field(default_factory=dict)


def read_source(path: Path, sha256: str | None = None) -> Source:
    """Read a safetensors or PyTorch file, or a folder as ``from_pretrained`` takes it.

    ``model.safetensors`` and ``pytorch_model.bin`` are read with the ``config.json`` beside them.

    Args:
        path: of the file or folder.
        sha256: what the file's hash, or its beginning, must be; see :func:`verified`.

    Raises:
        FileNotFoundError: no such file or folder.
        ValueError: not readable, another hash, neither format, incomplete, damaged, or a file that
            would run code.
    """
    path = Path(path)
    try:
        there = path.exists()
    except OSError as error:
        raise ValueError(f"{str(path)[:200]} cannot be read: {error.strerror}") from error
    if not there:
        raise FileNotFoundError(f"no file at {path}")
    if path.is_dir():
        if not (path / "config.json").is_file():
            raise ValueError(
                f"{path} is a folder without config.json: give a file, or a folder that"
                " from_pretrained takes"
            )
        return _read_folder(path, sha256)
    if path.name in FOLDER_FILES and (path.parent / "config.json").is_file():
        return _read_folder(path.parent, sha256, path.name)
    return Source(path.name, parse(path.name, read_bytes(path), sha256))


def _read_folder(folder: Path, sha256: str | None, name: str | None = None) -> Source:
    names = [name] if name else [file for file in FOLDER_FILES if (folder / file).is_file()][:1]
    if not names:
        names = _shards(folder)
        if sha256:
            raise ValueError(
                f"SHA256= goes with one file, {folder} holds its weights in {len(names)}"
            )
    content = {}
    for file in names:
        content |= parse(file, read_bytes(folder / file), sha256)
    settings = [read_json(folder / file) for file in ("config.json", "preprocessor_config.json")]
    return Source(folder.name, content, *settings)


def _shards(folder: Path) -> list[str]:
    """Names of the files that an index lists, of weights cut in parts."""
    for index in (folder / f"{file}.index.json" for file in FOLDER_FILES):
        if index.is_file():
            names = sorted(set(read_json(index).get("weight_map", {}).values()))
            if names and all(Path(name).name == name for name in names):
                return names
            raise ValueError(f"{index} lists no files of its own folder")
    raise ValueError(f"{folder} holds config.json, but neither of {', '.join(FOLDER_FILES)}")


def read_json(path: Path) -> dict:
    """A JSON object, empty where there is no file.

    Raises:
        ValueError: not a JSON object.
    """
    if not path.is_file():
        return {}
    try:
        content = json.loads(read_bytes(path))
    except ValueError as error:
        raise ValueError(f"{path} is not JSON: {error}") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path} holds a {type(content).__name__}, expected an object")
    return content


def read_bytes(path: Path) -> bytes:
    """All bytes of a file, once: what is hashed is what is loaded.

    Raises:
        FileNotFoundError, ValueError: no such file; not a file, or not readable.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no file at {path}")
    try:
        return path.read_bytes()
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from error


def parse(name: str, data: bytes, sha256: str | None = None) -> dict:
    """What the bytes of a file hold: tensors, or a mapping with tensors inside.

    PyTorch files are read with ``weights_only=True``: of other objects than tensors and plain
    containers only a few harmless classes may occur.

    Raises:
        ValueError: see :func:`read_source`.
    """
    verified(name, data, sha256)
    if name.endswith(".safetensors"):
        try:
            return load(data)
        except UNREADABLE as error:
            raise ValueError(
                f"{name} is not a safetensors file, or is incomplete: {error}"
            ) from error
    try:
        damaged = (
            zipfile.is_zipfile(io.BytesIO(data)) and zipfile.ZipFile(io.BytesIO(data)).testzip()
        )
        if damaged:
            raise ValueError(f"{name} is damaged: the checksum of its entry {damaged} is wrong")
        with warnings.catch_warnings(), torch.serialization.safe_globals(HARMLESS):
            warnings.simplefilter("ignore")  # of old protocols, which are no fault
            content = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ValueError(f"{name} is refused: {_why(str(error))}") from error
    except UNREADABLE as error:
        if "damaged" in str(error):
            raise
        raise ValueError(f"{name} is not a complete PyTorch file: {_why(str(error))}") from error
    if not isinstance(content, dict):
        raise ValueError(
            f"{name} holds a {type(content).__name__}, expected a mapping of names to tensors"
        )
    return content


def _why(message: str) -> str:
    """One sentence of what torch says in many."""
    advice = "ask its authors for a safetensors file, or for the bare state_dict"
    if "TorchScript" in message:
        return f"it is a TorchScript archive, which holds code: {advice}"
    if "weights_only" in message.lower():
        return (
            "it holds Python objects other than tensors and plain containers, which could run"
            f" code: {advice}"
        )
    return " ".join(message.split())[:300] or "its end is missing"


def verified(name: str, data: bytes, sha256: str | None = None) -> None:
    """Compare bytes with a sha256, or with the start of it that the file's name holds.

    torchvision and mmpretrain name files ``NAME-01234567.pth``.

    Raises:
        ValueError: another hash; not eight to 64 hexadecimal digits.
    """
    if sha256 is not None and not re.fullmatch(r"[0-9a-fA-F]{8,64}", sha256):
        raise ValueError(f"SHA256= takes 8 to 64 hexadecimal digits, got {sha256!r}")
    named = re.search(r"-([0-9a-f]{8,64})\.[a-z.]+$", name)
    expected = sha256 or (
        named and not named[1].isdigit() and named[1]
    )  # digits alone: a date or a count
    found = hashlib.sha256(data).hexdigest() if expected else ""
    if found and not found.startswith(expected.lower()):
        raise ValueError(
            f"{name} has sha256 {found}, expected {expected}{'' if sha256 else ' by its name'}: the"
            " download is incomplete or another file: fetch it again, or give the sha256 that you"
            " expect with SHA256="
        )
