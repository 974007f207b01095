"""Grade submitted notebooks: the checks on the functions that they define, each by itself.

The notebook is not run: there a wrong function gives way to the reference, so that the cells below
run. ``python -m lib.lab.grade NOTEBOOK …`` is the process in which one submission's code runs.
"""

import ast
import faulthandler
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import nbformat
import pandas as pd
from nbformat import NotebookNode
from tqdm import tqdm

from lib.lab.check import exercises
from lib.lab.exercise import Mistake, Unfilled, verify
from lib.lab.source import MODULES, read_module, tags
from lib.paths import ROOT
from lib.run.errors import StudyError

MOST_SECONDS = 60  # for one answer
KEPT = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef)


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


def definitions(notebook: NotebookNode) -> tuple[list[ast.stmt], dict[str, list[ast.stmt] | str]]:
    """What a notebook's code cells define at their top level, without running them.

    Args:
        notebook: answered. Lines that begin with ``%`` or ``!`` are skipped.

    Returns:
        - imports (not of the study), functions, classes and constants of its own, in order,
        - exercise -> its last definition, or what is wrong with the cell that holds it.
    """
    known, own, asked = exercises(), [], {}
    for cell in notebook.cells:
        if cell.cell_type != "code":
            continue
        lines = ["" if line.startswith(("%", "!")) else line for line in cell.source.splitlines()]
        try:
            statements = ast.parse("\n".join(lines)).body
        except SyntaxError as error:
            named = [n for n in known if f"def {n}(" in cell.source]
            asked |= dict.fromkeys(named, f"it is not Python: {error.msg}, line {error.lineno}")
            continue
        for node in statements:
            if isinstance(node, ast.FunctionDef) and node.name in known:
                asked[node.name] = [node]
            elif (isinstance(node, KEPT) or constant(node)) and not of_study(node):
                own.append(node)
    return own, asked


def of_study(node: ast.stmt) -> bool:
    """Whether a statement imports from the study, whose functions are no answers."""
    return isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "lib"


def constant(node: ast.stmt) -> bool:
    """Whether a statement gives a name to a number, a text or a list of such."""
    try:
        return isinstance(node, ast.Assign) and ast.literal_eval(node.value) is not ...
    except ValueError:
        return False


def surroundings(own: list[ast.stmt]) -> dict:
    """Names that an answer may use: NumPy, PyTorch, the references of all exercises, so that one
    mistake costs one exercise, and what the notebook itself defines."""
    import numpy as np
    import torch

    place = {"np": np, "torch": torch} | {key: e.right for key, e in exercises().items()}
    for node in own:
        with suppress(Exception):  # an import that is not here is perhaps not needed
            exec(compile(ast.Module([node], []), "notebook", "exec"), place)  # noqa: S102
    return place


def judged(name: str, answer: list[ast.stmt] | str, place: dict) -> str:
    """``"right"``, or what is wrong with the answer to one exercise."""
    if isinstance(answer, str):
        return answer
    try:
        exec(compile(ast.Module(answer, []), name, "exec"), place)  # noqa: S102
        verify(exercises()[name], place[name])
    except Unfilled:
        return "not filled in"
    except Mistake as mistake:
        return str(mistake)
    except Exception as error:  # noqa: BLE001  a decorator or a default may raise anything
        return f"its definition stops with {type(error).__name__}: {error}"
    return "right"


def answers(path: Path, asked: list[str]) -> Iterator[tuple[str, str]]:
    """Exercise and judgement, each as a process of its own gives it; one that ends it or hangs loses
    its points alone."""
    left = list(asked)
    while left:
        command = [sys.executable, "-m", "lib.lab.grade", path.resolve(), str(MOST_SECONDS), *left]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        for line in done.stdout.splitlines():
            row = json.loads(line)
            yield row["exercise"], row["said"]
            left.remove(row["exercise"])
        if left and "Timeout (" in done.stderr:
            yield left.pop(0), f"it did not end in {MOST_SECONDS} seconds"
        elif left:
            yield left.pop(0), f"it ends Python: {done.stderr.strip()[-200:]}"


def grade(path: Path, worth: dict[str, dict[str, int]]) -> pd.DataFrame:
    """The answer sheet of one submitted notebook.

    Args:
        path: of the notebook; its module is the one of whose functions it defines most.
        worth: from :func:`points`.

    Returns:
        a row an exercise: ``module``, ``exercise``, ``points``, ``of``, ``said``.

    Raises:
        StudyError: not a notebook, or one without any of the lab's functions.
    """
    try:
        _, asked = definitions(nbformat.read(path, as_version=4))
    except (OSError, ValueError, AttributeError) as error:
        raise StudyError(f"{path} is not a notebook: {error}") from error
    module = max(worth, key=lambda m: len(worth[m].keys() & asked.keys()))
    found = [name for name in worth[module] if name in asked]
    if not found:
        raise StudyError(f"{path} defines none of the functions that the lab asks for")
    said = dict.fromkeys(worth[module], "no cell defines it") | dict(answers(path, found))
    rows = [
        (module, name, value if said[name] == "right" else 0, value, said[name])
        for name, value in worth[module].items()
    ]
    return pd.DataFrame(rows, columns=["module", "exercise", "points", "of", "said"])


def grade_all(submissions: Path, root: Path = ROOT) -> pd.DataFrame:
    """Grade every notebook below a folder, or one notebook.

    Args:
        submissions: the folder or the notebook.
        root: of the repository.

    Returns:
        the answer sheets, with the ``submission``'s path in front; a notebook that cannot be graded
        has a row that says so.

    Raises:
        StudyError: there is no notebook.
    """
    paths = [submissions] if submissions.is_file() else sorted(submissions.rglob("*.ipynb"))
    paths = [path for path in paths if ".ipynb_checkpoints" not in path.parts]
    if not paths:
        raise StudyError(f"expected a notebook or a folder with notebooks, got {submissions}")
    sheets, worth = [], points(root)
    for path in tqdm(paths, "grading", unit="notebook", disable=None):
        name = path.name if path == submissions else str(path.relative_to(submissions))
        try:
            sheet = grade(path, worth)
        except StudyError as error:
            sheet = pd.DataFrame([{"points": 0, "of": 0, "said": str(error)}])
        sheet.insert(0, "submission", name)
        sheets.append(sheet)
    columns = ["submission", "module", "exercise", "points", "of", "said"]
    return pd.concat(sheets, ignore_index=True).reindex(columns=columns)


def grade_editions(root: Path = ROOT) -> pd.DataFrame:
    """The answer sheets of the editions in ``build/lab``: solutions get every point, stubs none.

    Raises:
        StudyError: they do not; the exercise is named.
    """
    sheets = []
    for edition, expected in (("solutions", "right"), ("student", "not filled in")):
        sheet = grade_all(root / "build" / "lab" / edition, root)
        for row in sheet[sheet["said"] != expected].itertuples():
            raise StudyError(
                f"{edition}/{row.submission}: expected {row.exercise} to be graded"
                f" {expected!r}, got {row.said!r}"
            )
        sheet["submission"] = f"{edition}/" + sheet["submission"]
        sheets.append(sheet)
    return pd.concat(sheets, ignore_index=True)


def write_grades(grades: pd.DataFrame, target: Path) -> str:
    """Write answer sheets as CSV.

    Returns:
        the points of each submission, a line each.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    grades.to_csv(target, index=False)
    sums = grades.groupby("submission", sort=False)[["points", "of"]].sum()
    return "\n".join(f"{name}: {row.points} of {row.of}" for name, row in sums.iterrows())


def main(path: str, seconds: str, *names: str) -> None:
    """Print a line of JSON for each exercise, and stop where one takes too long; what the submission
    itself prints is dropped."""
    out, sys.stdout = sys.stdout, sys.stderr
    own, asked = definitions(nbformat.read(path, as_version=4))
    place = surroundings(own)
    for name in names:
        faulthandler.dump_traceback_later(float(seconds), exit=True)
        row = {"exercise": name, "said": judged(name, asked[name], dict(place))}
        faulthandler.cancel_dump_traceback_later()
        print(json.dumps(row), file=out, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
