"""A closure holds what an import needs: all of it, and nothing else."""

import ast
from pathlib import Path

import pytest

from lib.attribution.table_one import attacked
from lib.kept.code import KEEPING, closure, facade_of, find_module, imports_of, stripped
from lib.kept.files import key_of
from lib.paths import ROOT
from lib.probes.fine_tuned import _confusion, _correct
from lib.probes.measure import _represent, measure_now
from lib.probes.probe_correct import _probe

CODE = '"""Doc."""\n\n\ndef f(x):\n    """Doc."""\n    return x + 1  # why\n'
KEPT = [attacked, _correct, _confusion, _represent, measure_now, _probe]  # each kind, on disk


@pytest.mark.parametrize(
    ("changed", "same"),
    [
        (CODE.replace("Doc.", "Another."), True),
        (CODE.replace("  # why", ""), True),
        (CODE.replace("\n\n\n", "\n"), True),
        (CODE.replace("x + 1", "(x + 1)"), True),
        (CODE.replace("x + 1", "x + 2"), False),
        (CODE.replace("(x)", "(x, y=2)"), False),
    ],
)
def test_words_and_layout_of_code_do_not_count(changed, same):
    assert (stripped(ast.parse(CODE)) == stripped(ast.parse(changed))) == same


LAZY = '''"""Doc."""

from typing import TYPE_CHECKING

from lib.facade import hand_on

if TYPE_CHECKING:
    from lib.lazy.one import one
    from lib.lazy.two import two as zwei

hand_on(__name__)
'''


@pytest.fixture
def house(tmp_path):
    """A library with a facade that hands on ``one`` and ``two``, a lazy one, a package that does
    more, and a cycle."""
    files = {
        "lib/__init__.py": '"""The library."""\n',
        "lib/face/__init__.py": '"""Doc."""\nfrom lib.face.a import one\nfrom .b import two as zwei\n',
        "lib/facade.py": "x = 1\n",
        "lib/face/a.py": "from lib.deep import c\none = c.x\n",
        "lib/face/b.py": "two = 2\n",
        "lib/face/one.py": "three = 3\n",
        "lib/lazy/__init__.py": LAZY,
        "lib/lazy/one.py": "one = 1\n",
        "lib/lazy/two.py": "two = 2\n",
        "lib/deep/__init__.py": "x = 1\n",
        "lib/deep/c.py": "def f():\n    import lib.deep.d\nx = 2\n",
        "lib/deep/d.py": "from .c import x\nfrom lib.face import *\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("from lib.face import zwei", "face/b"),
        ("from lib.face import b", "face/b"),
        ("from lib.face.one import three", "face/one"),
        ("import lib.deep", "deep/__init__"),
        ("from lib.deep import x", "deep/__init__"),
        (
            "from lib.face import one",  # the name, not the module of that name
            "deep/__init__ deep/c deep/d face/__init__ face/a face/b",
        ),
        ("import numpy, os.path", ""),
        ("from lib.lazy import one", "lazy/one"),  # as what the module of that name defines
        ("from lib.lazy import zwei", "lazy/two"),
        ("from lib import lazy\nlazy.one(lazy.one.x)", "lazy/one"),
        ("from lib import lazy as l, face\nl.zwei, face.zwei", "face/b lazy/two"),
        ("from lib import lazy\nlazy.two.zwei", "lazy/two"),
        *(
            (f"from lib import lazy\n{all_of_it}", "facade lazy/__init__ lazy/one lazy/two")
            for all_of_it in ("lazy.one, vars(lazy)", "lazy = lazy.one", "", "lazy.__dict__")
        ),
        ("from lib.lazy import *", "facade lazy/__init__ lazy/one lazy/two"),
    ],
)
def test_facades_lead_to_what_defines_a_name(house, source, expected):
    found = closure(imports_of(ast.parse(source)), house)
    assert list(found) == [f"lib/{name}.py" for name in expected.split()]


def test_an_init_that_does_more_is_no_facade():
    assert facade_of(ast.parse('"""Doc."""\nfrom lib.a import b as c\n__all__ = ["c"]'), "lib") == {
        "c": ("lib.a", "b")
    }
    for more in ("import os", "x = 1", "from lib.a import *", "if True:\n    from lib.a import b"):
        assert facade_of(ast.parse(more), "lib") is None
        assert facade_of(ast.parse(f"{more}\nhand_on(__name__)"), "lib") is None
    assert facade_of(ast.parse(LAZY), "lib") == {
        "one": ("lib.lazy.one", "one"),
        "zwei": ("lib.lazy.two", "two"),
    }
    not_lazy = LAZY.replace("hand_on(__name__)", "")
    assert facade_of(ast.parse(not_lazy), "lib") is None


@pytest.mark.parametrize("function", KEPT, ids=lambda function: function.__name__)
def test_each_module_moves_the_key_and_a_comment_does_not(function, monkeypatch, tmp_path):
    """On a copy of lib: every file of the closure is changed in turn."""
    files = closure([(function.__module__, None)], without=KEEPING)
    assert find_module(function.__module__).relative_to(ROOT).as_posix() in files
    for path in (ROOT / "lib").rglob("*.py"):
        copy = tmp_path / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(path.read_text(encoding="utf-8"), encoding="utf-8")
    key = lambda: key_of(function, 1)  # noqa: E731
    monkeypatch.setattr(
        "lib.kept.files.closure", lambda start, without: closure(start, tmp_path, without)
    )
    before = key()
    for name in files:
        path = tmp_path / name
        text = path.read_text(encoding="utf-8")
        path.write_text(text.replace('"""', '"""Other words. ', 1) + "\n# a comment\n")
        assert key() == before, name
        path.write_text(text + "\nCHANGED = 1\n")
        assert key() != before, name
        path.write_text(text)
    for path in (tmp_path / "lib").rglob("*.py"):
        if path.relative_to(tmp_path).as_posix() not in files:
            more = "CHANGED = 1" if path.name != "__init__.py" else "from lib.paths import ROOT"
            path.write_text(f"{more}\n{path.read_text(encoding='utf-8')}")
    assert key() == before


def test_every_kind_of_kept_result_is_tried_here():
    """The functions that lib hands to ``kept``, or to ``_kept``, which passes its own on."""
    found, place = set(), {"kept": 2, "_kept": 3}
    for path in Path(ROOT / "lib").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in place:
                found.add(ast.unparse(node.args[place[ast.unparse(node.func)]]))
    assert found - {"function"} == {function.__name__ for function in KEPT}


def test_what_decides_a_number_is_in_its_closure():
    """The learning rate and its schedule for fine-tuning; views, masks and the network's pass for
    attacks."""
    of = lambda function: set(closure([(function.__module__, None)], without=KEEPING))  # noqa: E731
    assert {"lib/pretrain/recipe.py", "lib/probes/fine_tune.py"} <= of(_correct)
    assert {f"lib/pretrain/{name}.py" for name in ("masking", "augment")} <= of(attacked)
    assert all("lib/encoders/encoder.py" in of(function) for function in KEPT)
    assert not any(name.startswith(("lib/run", "lib/report")) for f in KEPT for name in of(f))


def test_lib_is_found_without_looking_inside_strings():
    """No module of lib is imported in a way that a closure cannot see."""
    for path in {*Path(ROOT / "lib").rglob("*.py")} - {ROOT / "lib" / "facade.py"}:
        assert "import_module" not in path.read_text() and "__import__" not in path.read_text()
