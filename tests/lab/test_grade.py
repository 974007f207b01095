"""Grading by the checks: solutions get every point, stubs none, and one mistake costs one exercise."""

import nbformat
import pandas as pd
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from lib.lab import grade
from lib.lab.__main__ import main
from lib.lab.check import exercises
from lib.lab.source import MODULES, edition_of, read_module
from lib.run.errors import StudyError

WORTH = grade.points()


def notebook_of(edition, name="attention"):
    return edition_of(read_module(name), edition, 1)


def change(notebook, function, old, new):
    (cell,) = [c for c in notebook.cells if c.source.startswith(f"def {function}(")]
    assert old in cell.source
    cell.source = cell.source.replace(old, new)


@pytest.fixture
def here(monkeypatch):
    """Answers are judged in this process, which is quicker."""

    def answers(path, asked):
        own, found = grade.definitions(nbformat.read(path, as_version=4))
        for name in asked:
            yield name, grade.judged(name, found[name], grade.surroundings(own))

    monkeypatch.setattr(grade, "answers", answers)


@pytest.fixture
def sheet_of(tmp_path):
    """The answer sheet of a notebook, by exercise."""

    def sheet(notebook):
        nbformat.write(notebook, tmp_path / "answers.ipynb")
        return grade.grade(tmp_path / "answers.ipynb", WORTH).set_index("exercise")

    return sheet


def test_every_exercise_is_worth_its_difficulty():
    assert {name for worth in WORTH.values() for name in worth} == set(exercises())
    assert {value for worth in WORTH.values() for value in worth.values()} == {1, 2, 3}


@pytest.fixture
def built(here, tmp_path, monkeypatch):
    """A root whose editions are built."""
    for name in MODULES:
        for edition in ("solutions", "student"):
            folder = tmp_path / "build" / "lab" / edition
            folder.mkdir(parents=True, exist_ok=True)
            nbformat.write(notebook_of(edition, name), folder / f"{name}.ipynb")
    monkeypatch.setattr(grade, "points", lambda root: WORTH)
    return tmp_path


def test_solutions_get_every_point_and_stubs_none(built):
    said = grade.write_grades(grade.grade_editions(built), built / "new" / "grades.csv")
    grades = pd.read_csv(built / "new" / "grades.csv")
    assert list(grades) == ["submission", "module", "exercise", "points", "of", "said"]
    assert len(grades) == 2 * len(exercises())
    solved = grades["submission"].str.startswith("solutions")
    assert (grades[solved]["points"] == grades[solved]["of"]).all()
    assert grades[~solved]["points"].sum() == 0
    total = sum(WORTH["attention"].values())
    assert f"solutions/attention.ipynb: {total} of {total}" in said.splitlines()
    assert f"student/attention.ipynb: 0 of {total}" in said.splitlines()


def test_a_solution_that_is_wrong_and_a_stub_that_is_right_are_refused(built):
    folder = built / "build" / "lab"
    broken = notebook_of("solutions")
    change(broken, "entropy", "-(p", "(p")
    nbformat.write(broken, folder / "solutions" / "attention.ipynb")
    with pytest.raises(StudyError, match=r"solutions/attention.ipynb: expected entropy .* 'right'"):
        grade.grade_editions(built)
    for edition in ("solutions", "student"):
        nbformat.write(notebook_of("solutions"), folder / edition / "attention.ipynb")
    with pytest.raises(StudyError, match=r"student/attention.ipynb: .* got 'right'"):
        grade.grade_editions(built)


def test_one_mistake_costs_one_exercise_and_is_named(here, sheet_of):
    answered = notebook_of("solutions")
    change(answered, "entropy", "-(p", "(p")  # mutual_information calls it
    sheet = sheet_of(answered)
    assert sheet.loc["entropy", "points"] == 0
    assert "minus sign" in sheet.loc["entropy", "said"]
    assert sheet["points"].sum() == sheet["of"].sum() - WORTH["attention"]["entropy"]


def test_what_ends_or_breaks_python_costs_one_exercise(sheet_of, monkeypatch):
    monkeypatch.setattr(grade, "MOST_SECONDS", 30)
    answered = notebook_of("solutions")
    change(answered, "patches_only", "    patches", "    import os; os._exit(1)\n    patches")
    change(answered, "entropy", "    safe", "    while True: pass\n    safe")
    change(answered, "map_of_query", "):", ")")
    answered.cells = [c for c in answered.cells if not c.source.startswith("def uniform_distance")]
    sheet = sheet_of(answered)
    lost = {
        "patches_only": "it ends Python",
        "entropy": "it did not end in 30 seconds",
        "map_of_query": "it is not Python",
        "uniform_distance": "no cell defines it",
    }
    for name, words in lost.items():
        assert sheet.loc[name, "points"] == 0
        assert words in sheet.loc[name, "said"]
    assert (sheet.drop(list(lost))["said"] == "right").all()


def test_an_answer_may_have_helpers_imports_constants_and_magics(sheet_of):
    text = """%%time
import math as m

EPSILON = 0.0

def log(x):
    return x.log() / m.log(m.e) + EPSILON

# the answer
def entropy(p):
    print("not an answer sheet")
    return -(p * log(torch.where(p > 0, p, 1))).sum(-1)"""
    early = new_code_cell("def entropy(p):\n    return p")  # a first attempt, kept above
    sheet = sheet_of(new_notebook(cells=[early, new_code_cell(text), new_code_cell("1 / 0")]))
    assert sheet.loc["entropy", "said"] == "right"
    assert sheet["points"].sum() == WORTH["attention"]["entropy"]


def test_what_cannot_be_graded_is_named(tmp_path, monkeypatch):
    with pytest.raises(StudyError, match="expected a notebook or a folder with notebooks"):
        grade.grade_all(tmp_path)
    (tmp_path / "a.ipynb").write_text("text")
    with pytest.raises(StudyError, match="is not a notebook"):
        grade.grade(tmp_path / "a.ipynb", WORTH)
    nbformat.write(new_notebook(), tmp_path / "b.ipynb")
    with pytest.raises(StudyError, match="none of the functions"):
        grade.grade(tmp_path / "b.ipynb", WORTH)
    monkeypatch.setattr(grade, "points", lambda root: WORTH)
    said = grade.write_grades(grade.grade_all(tmp_path), tmp_path / "grades.csv")
    assert said.splitlines() == ["a.ipynb: 0 of 0", "b.ipynb: 0 of 0"]


def test_a_folder_without_notebooks_is_refused_in_words(tmp_path, capsys):
    assert main([f"--grade={tmp_path}"]) == 2
    assert "expected a notebook or a folder" in capsys.readouterr().err
