"""Grading: tests for otter-grader made from the checks, and an answer sheet of every edition."""

import json
import shutil
from pathlib import Path

import nbformat
import pandas as pd
from nbformat import NotebookNode

from lib.lab.check import exercises
from lib.lab.exercise import Mistake, Unfilled, verify
from lib.lab.source import MODULES, read_module, tags
from lib.paths import ROOT
from lib.run.errors import StudyError

# the format that otter-grader calls OK: doctests in a dictionary
TEST = """test = {{
    "name": {name!r},
    "points": {points},
    "suites": [{{
        "type": "doctest",
        "scored": True,
        "cases": [{{
            "code": {code!r},
            "hidden": False,
            "locked": False,
        }}],
    }}],
}}
"""


def points(root: Path = ROOT) -> dict[str, dict[str, int]]:
    """Module -> exercise -> points, which are its difficulty."""
    found: dict[str, dict[str, int]] = {}
    for name in MODULES:
        difficulty, found[name] = 0, {}
        for cell in read_module(name, root).cells:
            if "exercise" in tags(cell):
                difficulty = cell.metadata["lab"]["difficulty"]
            elif "solution" in tags(cell):
                found[name][cell.source.partition("def ")[2].partition("(")[0]] = difficulty
    return found


def doctest_of(name: str) -> str:
    """A doctest that passes where the student's function is right, and says why where it is not."""
    return (
        ">>> from lib.lab.check import exercises\n"
        ">>> from lib.lab.exercise import verify\n"
        f">>> verify(exercises()[{name!r}], {name}) > 0\nTrue"
    )


def write_grader(root: Path = ROOT) -> Path:
    """Write ``build/lab/grader``: one folder a module with ``tests/EXERCISE.py`` for otter-grader,
    the notebook to hand out and a configuration.

    Returns:
        the folder.
    """
    folder = root / "build" / "lab" / "grader"
    shutil.rmtree(folder, ignore_errors=True)
    for module, worth in points(root).items():
        tests = folder / module / "tests"
        tests.mkdir(parents=True)
        for name, value in worth.items():
            text = TEST.format(name=name, points=value, code=doctest_of(name))
            (tests / f"{name}.py").write_text(text, encoding="utf-8")
        shutil.copy(root / "build" / "lab" / "student" / f"{module}.ipynb", folder / module)
        settings = {"show_stdout": True, "seed": 0}
        (folder / module / "otter_config.json").write_text(json.dumps(settings))
    return folder


def functions_of(notebook: NotebookNode, names: list[str]) -> dict[str, object]:
    """The functions of an answered notebook that exercises ask for, defined without the rest of it.

    Later functions may call earlier ones; where those are wrong the reference stands in, so that one
    mistake costs one exercise.

    Raises:
        StudyError: no cell defines one of them.
    """
    import numpy as np
    import torch

    known, found = exercises(), {}
    place: dict = {"np": np, "torch": torch} | {key: e.right for key, e in known.items()}
    for cell in notebook.cells:
        name = cell.source.partition("def ")[2].partition("(")[0]
        if cell.cell_type == "code" and cell.source.startswith("def ") and name in names:
            own = dict(place)
            try:
                exec(compile(cell.source, name, "exec"), own)  # noqa: S102  an answer is code
            except SyntaxError as error:
                raise StudyError(f"{name} is not Python: {error}") from error
            found[name] = own[name]
    missing = [name for name in names if name not in found]
    if missing:
        raise StudyError(f"no cell defines {', '.join(missing)}")
    return found


def grade(notebook: NotebookNode, worth: dict[str, int]) -> pd.DataFrame:
    """The answer sheet of a notebook: columns ``exercise``, ``points``, ``of`` and ``said``.

    Args:
        notebook: answered.
        worth: exercise -> points.
    """
    rows = []
    for name, function in functions_of(notebook, list(worth)).items():
        said, right = "right", True
        try:
            verify(exercises()[name], function)
        except Unfilled:
            said, right = "not filled in", False
        except Mistake as mistake:
            said, right = str(mistake), False
        rows.append((name, worth[name] if right else 0, worth[name], said))
    return pd.DataFrame(rows, columns=["exercise", "points", "of", "said"])


def grade_editions(root: Path = ROOT) -> str:
    """Grade the solutions, which must get every point, and the stubs, which must get none.

    Returns:
        one line a module.

    Raises:
        StudyError: they do not.
    """
    lines = []
    for module, worth in points(root).items():
        total = {}
        for edition in ("solutions", "student"):
            path = root / "build" / "lab" / edition / f"{module}.ipynb"
            sheet = grade(nbformat.read(path, as_version=4), worth)
            total[edition] = int(sheet["points"].sum())
            sheet.to_csv(root / "build" / "lab" / "grader" / f"{module}.{edition}.csv", index=False)
        if total != {"solutions": sum(worth.values()), "student": 0}:
            raise StudyError(f"{module}: expected full and no points, got {total}")
        lines.append(f"{module}: solutions {total['solutions']}, stubs {total['student']}")
    return "\n".join(lines)
