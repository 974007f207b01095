"""The editions made from the sources' tags, without running anything but small functions."""

import json
import re

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output, new_raw_cell

from lib.lab import glossary
from lib.lab.editions import badges, write_editions
from lib.lab.quiz import read_quiz
from lib.lab.slides import deck, slides_of
from lib.lab.source import EDITIONS, MODULES, edition_of, first_cell, read_module, stub, tags, title
from lib.paths import ROOT
from lib.run.errors import StudyError

SOURCES = {name: read_module(name) for name in MODULES}


@pytest.fixture(params=MODULES)
def module(request):
    return request.param, SOURCES[request.param]


def tagged(notebook, tag):
    return [cell for cell in notebook.cells if tag in tags(cell)]


def test_a_module_is_an_hour_with_goals_exercises_and_questions(module):
    _, source = module
    assert title(source).endswith("?")
    assert sum(c.metadata["lab"]["minutes"] for c in tagged(source, "section")) == 60
    assert len(tagged(source, "quiz")) >= 5
    assert len(tagged(source, "takeaway")) == len(tagged(source, "goals")) == 1
    for cell in tagged(source, "exercise"):
        assert cell.metadata["lab"]["difficulty"] in (1, 2, 3)
        assert cell.metadata["lab"]["minutes"] > 0


def test_each_section_is_read_predict_run_change_explain(module):
    _, source = module
    sections, current = [], None
    for cell in source.cells:
        if "section" in tags(cell):
            current = []
            sections.append(current)
        if current is not None:
            current += tags(cell) | ({"run"} if cell.cell_type == "code" else set())
    for found in sections:
        assert {"exercise", "hint", "solution", "check", "run", "explain"} <= set(found)
        assert "predict" in found or "sketch" in found or "change" in found
    everything = [tag for found in sections for tag in found]
    assert everything.count("change") >= len(sections) - 1
    assert everything.count("predict") >= len(sections) - 1
    assert sum(len(tagged(s, "solution")) for s in SOURCES.values()) >= 24


def test_minutes_of_exercises_fit_into_their_sections(module):
    _, source = module
    room = None
    for cell in source.cells:
        if "section" in tags(cell):
            room = cell.metadata["lab"]["minutes"]
        if "exercise" in tags(cell):
            room -= cell.metadata["lab"]["minutes"]
        assert room is None or room >= 0


def test_sources_carry_no_outputs_and_short_lines(module):
    _, source = module
    for cell in source.cells:
        if cell.cell_type == "code":
            assert not cell.outputs
            assert cell.execution_count is None
            assert max(map(len, cell.source.splitlines())) <= 100, cell.source


def test_every_figure_has_caption_name_and_alternative_text(module):
    _, source = module
    for cell in source.cells:
        last = cell.source.rstrip().splitlines()[-1] if cell.source else ""
        if (
            cell.cell_type == "code"
            and ("});" in last or "picture_rows(" in last)
            and last.endswith(";")
        ):
            about = cell.metadata["mystnb"]
            assert len(about["image"]["alt"]) > 20
            assert about["figure"]["name"].startswith("fig-lab-")


def test_students_get_stubs_and_no_answers(module):
    _, source = module
    made = edition_of(source, "student", 1, "https://github.com/o/n")
    text = json.dumps(made)
    assert "BEGIN SOLUTION" not in text
    assert "For the lecturer" not in text
    assert "An answer" not in text
    solutions = [cell.source for cell in tagged(made, "solution")]
    assert solutions == [stub(cell.source) for cell in tagged(source, "solution")]
    assert all("raise NotImplementedError" in text for text in solutions)
    assert made.cells[1].source.startswith("# Run this first")
    assert 'REPOSITORY = "https://github.com/o/n"' in made.cells[1].source
    assert "{cite}" not in text
    nbformat.validate(made)


def test_other_editions_answer(module):
    _, source = module
    for edition in EDITIONS:
        made = edition_of(source, edition, 1)
        text = "\n".join(cell.source for cell in made.cells)
        assert ("For the lecturer" in text) == (edition == "instructor")
        assert ("An answer" in text) == (edition != "student")
        assert ("<form" in text) == (edition == "book")
        assert ("REPOSITORY" in text) == (edition != "book")
        assert "BEGIN SOLUTION" not in text
        ids = [cell.id for cell in made.cells]
        assert len(ids) == len(set(ids))
        nbformat.validate(made)


def test_book_shows_the_stub_and_folds_hints_and_solution(module):
    _, source = module
    made = edition_of(source, "book", 2)
    exercises_made = [c for c in made.cells if c.source.startswith("### Exercise 2.")]
    assert len(exercises_made) == len(tagged(source, "exercise"))
    for cell in tagged(made, "solution"):
        assert "hide-input" in cell.metadata["tags"]
        assert cell.metadata["mystnb"]["code_prompt_show"] == "Show a solution"
    hints = [c for c in made.cells if "{dropdown} Hint" in c.source]
    assert len(hints) == len(tagged(source, "hint"))


def test_quizzes_explain_every_option(module):
    _, source = module
    for cell in tagged(source, "quiz") + tagged(source, "predict"):
        quiz = read_quiz(cell.source, "here")
        assert all(len(option.because) > 15 for option in quiz.options), quiz.question
        assert len({option.text for option in quiz.options}) == len(quiz.options)


@pytest.mark.parametrize(
    "text", ["question: a", "question: a\noptions: [{text: b, because: c}]", "- a", "a: ["]
)
def test_what_is_no_quiz_is_refused(text):
    with pytest.raises(StudyError, match="here"):
        read_quiz(text, "here")


def test_a_solution_without_markers_is_refused():
    with pytest.raises(StudyError, match="exercise 1.1"):
        stub("def f():\n    return 1", "exercise 1.1")


def test_first_cell_says_nothing_where_the_address_is_not_known():
    assert 'REPOSITORY = ""' in first_cell("")
    assert badges("", "attention") == badges("/path/of/a/clone", "attention") == ""
    shown = badges("https://github.com/owner/name.git", "attention")
    assert "colab.research.google.com/github/owner/name/" in shown
    assert "mybinder.org/v2/gh/owner/name/" in shown


def small_lab(root):
    """A repository with three modules of the real exercises, cut down to their functions."""
    for name, source in SOURCES.items():
        keep = {"title", "section", "exercise", "hint", "solution", "check", "instructor", "quiz"}
        cells = [cell for cell in source.cells if tags(cell) & keep]
        path = root / "notebooks" / "lab" / f"{name}.ipynb"
        path.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(new_notebook(cells=cells), path)
    (root / "book").mkdir()
    for file in ("glossary.yaml", "references.bib"):
        (root / "book" / file).write_text((ROOT / "book" / file).read_text())
    (root / "notebooks" / "lab" / "requirements.txt").write_text("numpy\n")
    return root


def test_folders_and_archives(tmp_path):
    root = small_lab(tmp_path)
    executed = {name: read_module(name, root) for name in MODULES}
    archives = write_editions(executed, "", root)
    assert [path.name for path in archives] == ["student.zip", "solutions.zip", "instructor.zip"]
    assert all(path.is_file() for path in archives)
    student = nbformat.read(root / "build/lab/student/attention.ipynb", as_version=4)
    assert "attention distance" in student.cells[-1].source  # the words that it uses


def test_glossary_terms_are_found_and_explained():
    terms = glossary.read_glossary()
    assert len(terms) >= 40
    assert all(isinstance(term, str) and len(meaning) > 20 for term, meaning in terms.items())
    found = glossary.words_of("Two queries share one key; a bootstrap of monkeys.", terms)
    assert set(found) == {"query", "key", "bootstrap"}
    data = glossary.script(terms)
    listed = json.loads(data.removeprefix("const GLOSSARY = ").removesuffix(";\n"))
    assert [entry[0] for entry in listed] == list(terms)
    for term, expression, _ in listed:
        assert re.search(expression, f"the {term} here", re.IGNORECASE)
        re.compile(expression)


def test_slides_show_the_same_figures_and_hide_notes():
    figure = {"mystnb": {"figure": {"caption": "A line."}, "image": {"alt": "Line chart"}}}
    code = new_code_cell("1", metadata={"tags": ["slide"]} | figure)
    code.outputs = [new_output("display_data", {"image/svg+xml": "<?xml?><svg a='1'></svg>"})]
    text = new_code_cell("2", metadata={"tags": ["slide"]})
    text.outputs = [new_output("stream", text="0.5 < 1")]
    quiz = "question: q_1?\noptions:\n- {text: a, because: long reason, right: true}\n- {text: b, because: no}"
    cells = [
        new_markdown_cell("# Why?\n\nFirst.", metadata={"tags": ["title"]}),
        new_markdown_cell(
            "## Part\n\n$a_b$ and $c_d$ {cite}`x`, too", metadata={"tags": ["section"]}
        ),
        new_raw_cell(quiz, metadata={"tags": ["predict"]}),
        code,
        new_markdown_cell("**Ask.**", metadata={"tags": ["instructor"]}),
        text,
    ]
    slides = slides_of(new_notebook(cells=cells))
    assert len(slides) == 5
    assert "\\(a_b\\)" in slides[1]
    assert "\\(c_d\\)</span>, too" in slides[1]
    assert "long reason" in slides[2]
    assert 'aria-label="Line chart"' in slides[3]
    assert '<aside class="notes">' in slides[3]
    assert "0.5 &lt; 1" in slides[4]
    page = deck(new_notebook(cells=cells))
    assert "http" not in re.sub(r"http://www\.w3\.org\S*", "", page)
