"""What a page depends on, as hashes: equal keys mean that it need not be computed again."""

import ast
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from hashlib import sha256
from pathlib import Path

import yaml
from IPython.core.inputtransformer2 import TransformerManager

from lib.data.dataset import folder_of
from lib.encoders.card import file_sha256
from lib.encoders.device import precision_in_key
from lib.kept.code import NUMERIC, Import, closure, imports_of, versions
from lib.paths import ROOT
from lib.run.errors import StudyError
from lib.run.layout import read_notebook
from lib.run.parameters import encoders_in

DATA = ("data/fashion-mnist/*.gz", "data/published/*.csv")
PROSE = {
    "paper",
    "figure",
    "statement",
    "shows",
    "reported",
    "amended",
}  # of a claim: decides no verdict
PACKAGES = (*NUMERIC, "pandas", "matplotlib", "seaborn")
DIGESTS: ContextVar[dict[Path, str] | None] = ContextVar("digests of folders", default=None)


def digest(value: object) -> str:
    """Hash of a value that JSON can hold, whatever the order of its keys.

    >>> digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
    True
    """
    return sha256(json.dumps(value, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def notebook_digest(notebook: Path) -> str:
    """Hash of the cells' types, sources, tags and captions, and of what the notebook needs; outputs,
    identifiers and other metadata do not count."""
    found = read_notebook(notebook)
    cells = [
        [
            cell.cell_type,
            cell.source,
            sorted(cell.metadata.get("tags", [])),
            cell.metadata.get("mystnb"),
        ]
        for cell in found.cells
    ]
    return digest([cells, found.metadata.get("study")])


def notebook_imports(notebook: Path) -> list[Import]:
    """What the cells of a notebook import from ``lib``.

    Raises:
        StudyError: a cell that is not Python.
    """
    to_python, body = TransformerManager().transform_cell, []  # turns %magics into calls
    for number, cell in enumerate(read_notebook(notebook).cells, start=1):
        if cell.cell_type == "code":
            try:
                body += ast.parse(to_python(cell.source)).body
            except SyntaxError as error:
                raise not_python(f"cell {number} of {notebook.name}", error) from error
    return imports_of(ast.Module(body, []))


def not_python(where: str, error: SyntaxError) -> StudyError:
    """The one line about code that cannot be parsed."""
    return StudyError(
        f"{where} is not Python (line {error.lineno}: {error.msg}); correct it and run again."
    )


def library(notebook: Path, root: Path = ROOT) -> dict[str, str]:
    """Files of ``lib`` that a notebook needs -> hash of their code; see ``lib.kept.code``.

    Raises:
        StudyError: a cell or a file that is not Python.
    """
    try:
        return closure(notebook_imports(notebook), root)
    except SyntaxError as error:
        raise not_python(error.filename or "a file of lib", error) from error


def claims_of(notebook: Path, root: Path = ROOT) -> dict[str, str]:
    """Claims that name a page as theirs -> hash of what decides a verdict: the words about them do
    not. A page that reads the rules and has none of its own is about all of them."""
    path = root / "book" / "claims.yaml"
    claims = yaml.safe_load(path.read_text(encoding="utf-8")) or [] if path.is_file() else []
    mine = [claim for claim in claims if claim.get("page", notebook.stem) == notebook.stem]
    if not mine and any("load_claims" in cell.source for cell in read_notebook(notebook).cells):
        mine = claims
    return {c["id"]: digest({k: v for k, v in c.items() if k not in PROSE}) for c in mine}


@lru_cache(maxsize=4096)
def _sha256(path: Path, modified: int, size: int) -> str:
    return file_sha256(path)


def sha256_of(path: Path) -> str:
    """Hash of a file, computed again when it has changed."""
    stat = path.stat()
    return _sha256(path, stat.st_mtime_ns, stat.st_size)


def folder_digest(folder: Path) -> str:
    """Hash of the names, sizes and times of change of a folder's files, which is much faster than
    of their contents."""
    walk = os.walk(folder, followlinks=True)
    paths = [Path(where) / name for where, _, names in walk for name in names]
    facts = ((path.relative_to(folder).as_posix(), path.stat()) for path in paths if path.is_file())
    return digest(sorted([name, stat.st_size, stat.st_mtime_ns] for name, stat in facts))


@contextmanager
def folders_once(known: dict[Path, str] | None = None) -> Iterator[None]:
    """Inside, :func:`fingerprint` looks through a folder once, and not through those ``known``; a
    file that changes meanwhile is noticed by the next run."""
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
    """Hashes of all that a page depends on.

    Args:
        notebook: source notebook.
        parameters: all of them, as ``check_parameters`` returns.
        root: of the repository.

    Returns:
        hashes of ``notebook`` and ``parameters``; of each file, by path, in ``lib``,
        ``checkpoints`` and ``data``; of each claim, by id, in ``claims``; ``versions``; and
        ``key``, the hash of the others.
    """

    def hashes(paths: list[Path]) -> dict[str, str]:
        return {path.relative_to(root).as_posix(): sha256_of(path) for path in paths}

    stems = [root / "data" / "checkpoints" / encoder for encoder in encoders_in(parameters)]
    files = [s.with_name(s.name + end) for s in stems for end in (".yaml", ".safetensors", ".csv")]
    dataset = parameters.get("dataset", "fashion")
    folder = folder_of(dataset) if dataset else None
    images = {"dataset": current_digest(folder)} if folder else {}
    parts = dict(
        notebook=notebook_digest(notebook),
        parameters=digest(parameters),
        lib=library(notebook, root),
        checkpoints=hashes([path for path in files if path.is_file()]),
        data=hashes([path for pattern in DATA for path in sorted(root.glob(pattern))]) | images,
        claims=claims_of(notebook, root),
        versions=versions(PACKAGES) | precision_in_key(),
    )
    return parts | {"key": digest(parts)}
