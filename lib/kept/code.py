"""The code that computes something, as hashes: the modules it imports, without words and layout."""

import ast
import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path

from lib.paths import ROOT

NUMERIC = ("torch", "torchvision", "timm", "numpy", "scipy", "scikit-learn", "captum")
LAZY = ("from typing import TYPE_CHECKING", "from lib.facade import hand_on", "hand_on(__name__)")
KEEPING = ("lib.kept", "lib.paths")  # moves numbers, changes none
Import = tuple[str, str | None]  # a module, and the name that is taken from it; None for itself


@dataclass(frozen=True)
class Module:
    """A file of Python, as far as it matters to others.

    Attributes:
        digest: of its code.
        imports: from ``lib``, anywhere in it.
        facade: names that an ``__init__`` hands on -> where from; None if it does anything else.
    """

    digest: str
    imports: tuple[Import, ...]
    facade: dict[str, Import] | None


def stripped(tree: ast.Module) -> str:
    """Code without comments, docstrings and layout: what can change a result.

    >>> stripped(ast.parse('def f():\\n    "Doc."\\n    return (1)  # why')).split()
    ['def', 'f():', 'return', '1']
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            if ast.get_docstring(node, clean=False) is not None:
                node.body = node.body[1:] or [ast.Pass()]
    return ast.unparse(tree)


def imports_of(tree: ast.AST, package: str = "") -> list[Import]:
    """What a piece of Python imports from ``lib``; ``package`` holds it, for relative imports.

    Of a name that serves for its attributes alone, the attributes: ``report.curves`` needs what
    ``lib.report`` hands on as ``curves``, not all of ``lib.report``.

    >>> imports_of(ast.parse("import os, lib.a as a\\nfrom . import b\\nfrom lib.c import *"), "lib.d")
    [('lib.a', None), ('lib.d', 'b'), ('lib.c', '*')]
    >>> imports_of(ast.parse("from lib import c, d\\nprint(c.x, c.y.z, d, d.x)"))
    [('lib', 'c.x'), ('lib', 'c.y'), ('lib', 'd')]
    """
    found: list[Import] = []
    uses = _uses(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(alias.name, None) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".")
            above = parts[: len(parts) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            for alias in node.names:
                ends = sorted(uses.get(alias.asname or alias.name, [""]))
                found += [(base, alias.name + end) for end in (ends if "" not in ends else [""])]
    return [pair for pair in found if pair[0].split(".")[0] == "lib"]


def _uses(tree: ast.AST) -> dict[str, set[str]]:
    """Names -> the attributes that are taken of them, ``.x``; and ``""`` if anything else is done
    with them."""
    found, taken = defaultdict(set), set()
    for node in ast.walk(tree):  # an attribute comes before the name that it is of
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            found[node.value.id].add(f".{node.attr}")
            taken.add(node.value)
        elif isinstance(node, ast.Name) and node not in taken:
            found[node.id].add("")
    return found


def facade_of(tree: ast.Module, package: str) -> dict[str, Import] | None:
    """Names that an ``__init__`` hands on, at once or as ``lib.facade`` does -> where from; None if
    it holds more than such imports."""
    handed: dict[str, Import] = {}
    lazy = ast.unparse(tree.body[-1:]) == "hand_on(__name__)"
    body = [line for n in tree.body for line in (n.body if lazy and _for_readers(n) else [n])]
    for node in body:
        if lazy and ast.unparse(node) in LAZY:
            continue
        if isinstance(node, ast.ImportFrom):
            sources = imports_of(node, package)
            if len(sources) < len(node.names) or any(alias.name == "*" for alias in node.names):
                return None
            handed |= {(a.asname or a.name): s for a, s in zip(node.names, sources, strict=True)}
        elif not (isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"):
            if not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)):
                return None
    return handed


def _for_readers(node: ast.stmt) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


@lru_cache(maxsize=4096)
def _read(path: Path, package: str, modified: int, size: int) -> Module:
    tree = ast.parse(path.read_text(encoding="utf-8"), filename=path.name)
    imports = tuple(imports_of(tree, package))
    facade = facade_of(tree, package) if path.name == "__init__.py" else None
    return Module(hashlib.sha256(stripped(tree).encode()).hexdigest(), imports, facade)


def read_module(path: Path, root: Path = ROOT) -> Module:
    """A module, read again when its file has changed.

    Raises:
        SyntaxError: not Python.
    """
    stat = path.stat()
    package = ".".join(path.parent.relative_to(root).parts)
    return _read(path, package, stat.st_mtime_ns, stat.st_size)


def find_module(name: str, root: Path = ROOT) -> Path | None:
    """File of a dotted name; None for a name that is not a module."""
    stem = root.joinpath(*name.split("."))
    return next((p for p in (stem / "__init__.py", stem.with_suffix(".py")) if p.is_file()), None)


def defining(module: str, name: str | None, root: Path = ROOT) -> list[Path]:
    """Files that a name comes from, or an attribute of one, ``name.attribute``: through facades to
    the module that defines it, and packages on the way that do more than hand on names."""
    path = find_module(module, root)
    if path is None:
        return []
    if path.name == "__init__.py" and name is not None:
        facade, (name, _, attribute) = read_module(path, root).facade or {}, name.partition(".")
        if name in facade and facade[name] != (module, name):
            return [*_packages(module, root), *defining(*facade[name], root)]
        if find_module(f"{module}.{name}", root):
            return defining(f"{module}.{name}", attribute or None, root)
    return [*_packages(module, root), path]


def _packages(module: str, root: Path) -> list[Path]:
    parts = module.split(".")
    inits = [root.joinpath(*parts[: n + 1]) / "__init__.py" for n in range(len(parts))]
    return [path for path in inits if path.is_file() and read_module(path, root).facade is None]


def closure(
    start: Iterable[Import], root: Path = ROOT, without: Sequence[str] = ()
) -> dict[str, str]:
    """Files of ``lib`` that these imports need, directly or through others -> hash of their code.

    A facade, a package's ``__init__`` that only hands on names, leads to the module that defines
    the name, and brings in none of the others.

    Args:
        start: imports.
        root: of the repository.
        without: modules and packages that are left out.

    Raises:
        SyntaxError: a file that is not Python.
    """
    left_out = [root.joinpath(*name.split(".")) for name in without]
    waiting, found = {p for pair in start for p in defining(*pair, root)}, {}
    while waiting:
        path = waiting.pop()
        if any(path.with_suffix("") == out or out in path.parents for out in left_out):
            continue
        module = read_module(path, root)
        found[path.relative_to(root).as_posix()] = module.digest
        needed = {other for pair in module.imports for other in defining(*pair, root)}
        waiting |= {p for p in needed if p.relative_to(root).as_posix() not in found}
    return dict(sorted(found.items()))


def versions(packages: Iterable[str] = NUMERIC) -> dict[str, str]:
    """Versions of installed packages, without what tells one build from another."""
    return {package: version(package).partition("+")[0] for package in packages}
