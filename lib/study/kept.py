"""Tensors that took long to compute, kept on disk under what they depend on."""

import ast
import hashlib
import os
from collections.abc import Callable
from pathlib import Path

from safetensors.torch import load_file, save_file
from torch import Tensor

from lib.encoders.encoder import Encoder


def encoder_hash(encoder: Encoder) -> str:
    """Hash of weights, normalisation and pooling; for an adopted encoder, whose card names a size, also of that and the number of heads."""
    heads = [block.attn.num_heads for block in encoder.model.blocks] if encoder.has_attention else []
    found = hashlib.sha256(encoder.pooling.encode() + (f"{encoder.input_size} {heads}".encode() if encoder.input_size else b""))
    for name, tensor in [*sorted(encoder.model.state_dict().items()), ("mean", encoder.mean), ("std", encoder.std)]:
        found.update(f"{name}{tuple(tensor.shape)}".encode() + tensor.contiguous().numpy().tobytes())
    return found.hexdigest()


def code_of(path: Path) -> str:
    """A Python file without comments, docstrings and layout: what can change a result."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            del node.body[0]
    return ast.unparse(tree)


def content_hash(*parts: Tensor | Path | str) -> str:
    """Hash of tensors, of files' contents (Python files: :func:`code_of`) and of strings, in order.

    >>> content_hash("a", "b") == content_hash("a", "b"), content_hash("ab") == content_hash("a", "b")
    (True, False)
    """
    found = hashlib.sha256()
    for part in parts:
        if isinstance(part, Tensor):
            part = f"{part.dtype}{tuple(part.shape)}".encode() + part.contiguous().numpy().tobytes()
        elif isinstance(part, Path):
            part = code_of(part).encode() if part.suffix == ".py" else part.read_bytes()
        else:
            part = part.encode()
        found.update(hashlib.sha256(part).digest())
    return found.hexdigest()


def kept(path: Path, compute: Callable[[], dict[str, Tensor]]) -> dict[str, Tensor]:
    """The tensors at ``path``, computed and written there first unless the file exists; an interruption leaves no half file."""
    if not path.is_file():
        found = compute()
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f"{path.name}.{os.getpid()}")
        save_file({name: values.contiguous() for name, values in found.items()}, temporary)
        os.replace(temporary, path)
    return load_file(path)
