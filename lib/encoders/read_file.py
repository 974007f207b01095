"""Tensors from a file that somebody else wrote, without ever running code from it."""

import argparse
import pickle
import zipfile
from collections import OrderedDict
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file


# plain containers that official files hold beside the weights: MAE's and DINO's arguments, SimMIM's configuration (yacs' subclass of a dictionary)
HARMLESS = [argparse.Namespace, (OrderedDict, "yacs.config.CfgNode")]


def read_file(path: Path) -> dict:
    """What a safetensors or PyTorch file holds: tensors, or a mapping with tensors inside.

    PyTorch files are read with ``weights_only=True``: of other objects than tensors and plain containers only two harmless classes may occur.

    Raises:
        FileNotFoundError: no such file.
        ValueError: neither format, truncated, or a file that would run code.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no file at {path}")
    if path.suffix == ".safetensors":
        try:
            return load_file(path)
        except SafetensorError as error:
            raise ValueError(f"{path.name} is not a safetensors file, or is incomplete: {error}") from error
    try:
        with torch.serialization.safe_globals(HARMLESS):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        reason = "it holds Python objects other than tensors and plain containers, which could run code" if "weights_only" in str(error).lower() else str(error)
        raise ValueError(f"{path.name} is refused: {reason}. Ask its authors for a safetensors file, or for the bare state_dict") from error
    except (RuntimeError, EOFError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path.name} is not a complete PyTorch file: {error}") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path.name} holds a {type(content).__name__}, expected a mapping of names to tensors")
    return content
