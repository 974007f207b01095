"""The rooms of lib: who may know whom."""

import ast

from lib.kept.code import defining, find_module, imports_of
from lib.paths import ROOT

ROOMS = (
    "paths", "facade", "data", "encoders", "adopt", "pretrain", "kept", "probes", "attribution", "run", "lab",
    "report", "bench", "__main__",
)  # fmt: skip


def modules():
    return sorted((ROOT / "lib").rglob("*.py"))


def name_of(path):
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def imported(path):
    """Modules of lib that a file imports."""
    package = ".".join(path.parent.relative_to(ROOT).parts)
    for pair in imports_of(ast.parse(path.read_text(encoding="utf-8")), package):
        for file in defining(*pair):
            yield name_of(file).removesuffix(".__init__")


def test_no_arrow_leads_upward():
    """A room knows those before it, and itself."""
    found = []
    for path in modules():
        parts = path.relative_to(ROOT / "lib").with_suffix("").parts
        for module in imported(path):
            room = (module.split(".") + ["paths"])[1]
            if parts[0] in ROOMS and ROOMS.index(room) > ROOMS.index(parts[0]):
                found.append(f"{'/'.join(parts)} -> {module}")
    assert not found, found


def test_no_circle():
    """Modules can be put in an order in which each imports only those before it."""
    left = {name_of(p): set(imported(p)) for p in modules() if p.name != "__init__.py"}
    while free := [module for module, needs in left.items() if not needs & set(left) - {module}]:
        for module in free:
            del left[module]
    assert not left, left


def test_from_make_book_to_papermill_in_five_modules():
    """Breadth first over imports, from the command to the module that calls papermill."""
    start, goal = "lib.__main__", "papermill.execute_notebook"
    seen, ring = {start}, {start}
    for steps in range(1, 6):
        if any(goal in find_module(module).read_text(encoding="utf-8") for module in ring):
            break
        ring = {
            m for module in ring for m in imported(find_module(module)) if find_module(m)
        } - seen
        seen |= ring
    assert steps <= 5 and ring
