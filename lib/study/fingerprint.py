"""What a run depends on, as hashes: equal keys mean that the run need not be repeated."""

import ast
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from IPython.core.inputtransformer2 import TransformerManager

from lib.data.dataset import folder_of
from lib.encoders.card import file_sha256
from lib.study.errors import StudyError
from lib.study.layout import ROOT, read_notebook
from lib.study.parameters import encoders_in

DATA = ("data/fashion-mnist/SHA256SUMS", "data/published/*.csv", "book/claims.yaml")
LOCK = ("requirements.lock",)
DIGESTS: ContextVar[dict[Path, str] | None] = ContextVar("digests of folders, inside folders_once", default=None)


def digest(value: object) -> str:
    """Hash of a value that JSON can hold, whatever the order of its keys.

    >>> digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
    True
    """
    return hashlib.sha256(json.dumps(value, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def notebook_digest(notebook: Path) -> str:
    """Hash of the cells' types, sources, tags and captions; outputs, identifiers and other metadata do not count."""
    cells = read_notebook(notebook).cells
    return digest([[cell.cell_type, cell.source, sorted(cell.metadata.get("tags", [])), cell.metadata.get("mystnb")] for cell in cells])


def imported(source: str, package: str, where: str) -> set[str]:
    """Dotted names under ``lib`` that Python source imports, anywhere in it.

    Args:
        source: Python.
        package: the package that holds it, for relative imports.
        where: for the error message.

    >>> sorted(imported("from lib.a import b\\nimport lib.c.d\\nfrom . import e", "lib.f", ""))
    ['lib.a', 'lib.a.b', 'lib.c.d', 'lib.f', 'lib.f.e']
    """
    try:
        tree = ast.parse(source)
    except SyntaxError as error:
        raise StudyError(f"{where} is not Python (line {error.lineno}: {error.msg}); correct it and run again.") from error
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            names |= {base, *(f"{base}.{alias.name}" for alias in node.names)}
    return {name for name in names if name.split(".")[0] == "lib"}


def files_of(name: str, root: Path) -> list[Path]:
    """Files that importing a dotted name runs: the packages on the way and the module; none for a name inside a module."""
    parts = name.split(".")
    stems = [root.joinpath(*parts[: n + 1]) for n in range(len(parts))]
    return [path for stem in stems for path in (stem / "__init__.py", stem.with_suffix(".py")) if path.is_file()]


def library_files(notebook: Path, root: Path = ROOT) -> list[Path]:
    """Files of ``lib`` that a notebook imports, directly or through others.

    Raises:
        StudyError: a cell or a file that is not Python.
    """
    to_python = TransformerManager().transform_cell  # turns %magics and !commands into calls
    names = set()
    for number, cell in enumerate(read_notebook(notebook).cells, start=1):
        if cell.cell_type == "code":
            names |= imported(to_python(cell.source), "", f"cell {number} of {notebook.name}")
    waiting, found = {path for name in names for path in files_of(name, root)}, set()
    while waiting:
        path = waiting.pop()
        found.add(path)
        relative = path.relative_to(root)
        names = imported(path.read_text(encoding="utf-8"), ".".join(relative.parent.parts), relative.as_posix())
        waiting |= {other for name in names for other in files_of(name, root)} - found
    return sorted(found)


def folder_digest(folder: Path) -> str:
    """Hash of the names, sizes and times of change of a folder's files, which is much faster than of their contents."""
    paths = [Path(where) / name for where, _, names in os.walk(folder, followlinks=True) for name in names]
    facts = ((path.relative_to(folder).as_posix(), path.stat()) for path in paths if path.is_file())
    return digest(sorted([name, stat.st_size, stat.st_mtime_ns] for name, stat in facts))


@contextmanager
def folders_once(known: dict[Path, str] | None = None) -> Iterator[None]:
    """Inside, :func:`fingerprint` looks through a folder once, and not through those ``known``; a file that changes meanwhile is noticed by the next run."""
    token = DIGESTS.set({} if known is None else known)
    try:
        yield
    finally:
        DIGESTS.reset(token)


def current_digest(folder: Path) -> str:
    """:func:`folder_digest`, computed anew outside of :func:`folders_once`."""
    found = DIGESTS.get()
    if found is None:
        return folder_digest(folder)
    if folder not in found:
        found[folder] = folder_digest(folder)
    return found[folder]


def fingerprint(notebook: Path, parameters: dict, root: Path = ROOT) -> dict:
    """Hashes of all that a run depends on.

    Args:
        notebook: source notebook.
        parameters: all of them, as ``check_parameters`` returns.
        root: of the repository.

    Returns:
        hashes of ``notebook`` and ``parameters``; of each file, by path, in ``lib``, ``checkpoints``, ``data`` and ``lock``; and ``key``,
        the hash of the others.
    """

    def hashes(paths: list[Path]) -> dict[str, str]:
        return {path.relative_to(root).as_posix(): file_sha256(path) for path in paths}

    stems = [root / "data" / "checkpoints" / encoder for encoder in encoders_in(parameters)]
    checkpoints = [path for stem in stems for suffix in (".yaml", ".safetensors", ".csv") if (path := stem.with_name(stem.name + suffix)).is_file()]
    dataset = parameters.get("dataset", "fashion")
    folder = folder_of(dataset) if dataset else None
    images = {"dataset": current_digest(folder)} if folder else {}
    parts = dict(
        notebook=notebook_digest(notebook),
        parameters=digest(parameters),
        lib=hashes(library_files(notebook, root)),
        checkpoints=hashes(checkpoints),
        data=hashes([path for pattern in DATA for path in sorted(root.glob(pattern))]) | images,
        lock=hashes([path for pattern in LOCK for path in sorted(root.glob(pattern))]),
    )
    return parts | {"key": digest(parts)}
