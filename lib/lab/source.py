"""The notebooks of the lab and the editions that are made from their tags.

Tags of a cell: ``title``, ``goals``, ``section``, ``exercise``, ``hint``, ``solution``, ``check``, ``predict``, ``quiz``,
``sketch``, ``change``, ``explain``, ``instructor``, ``takeaway``, ``slide``; cells without one are in every edition.
"""

import re
from collections.abc import Container
from pathlib import Path
from typing import Literal

import yaml
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from pybtex.database import BibliographyData, parse_file

from lib.lab.quiz import as_form, as_text, fold, read_quiz
from lib.paths import ROOT
from lib.run.errors import StudyError
from lib.run.layout import read_notebook

MODULES = ("attention", "representation", "attribution")
Edition = Literal["book", "student", "solutions", "instructor"]
EDITIONS = ("book", "student", "solutions", "instructor")
BEGIN, END = "# BEGIN SOLUTION", "# END SOLUTION"
FIRST_CELL = Path(__file__).with_name("first_cell.py")
CITED = re.compile(r"\{cite\}`(\w+)`")
# code within a line, which is left alone, or a link to a page
LINK = re.compile(
    r"(?P<code>(?<!`)(`{1,2})(?!`)[^`\n]+\2(?!`))|\[(?P<words>[^\]]+)\]\((?P<page>\w+)(\.md)?\)"
)


def tags(cell: NotebookNode) -> set[str]:
    """Tags of a cell."""
    return set(cell.metadata.get("tags", []))


def module_path(name: str, root: Path = ROOT) -> Path:
    """Path of a module's source."""
    return root / "notebooks" / "lab" / f"{name}.ipynb"


def title(notebook: NotebookNode) -> str:
    """The module's question."""
    return notebook.cells[0].source.splitlines()[0].removeprefix("# ")


def stub(source: str, where: str = "a solution") -> str:
    """A solution with what stands between the markers replaced by a line to fill in.

    Raises:
        StudyError: not one pair of markers.

    >>> print(stub("def f(x):\\n    # BEGIN SOLUTION\\n    return x\\n    # END SOLUTION"))
    def f(x):
        raise NotImplementedError("your code")
    """
    found = re.findall(rf"^([ ]*){BEGIN}\n(.*?)^[ ]*{END}[ ]*$", source, re.MULTILINE | re.DOTALL)
    if len(found) != 1:
        raise StudyError(f"{where} needs one pair of {BEGIN!r} and {END!r}, found {len(found)}")
    indent, _ = found[0]
    line = f'{indent}raise NotImplementedError("your code")'
    return re.sub(
        rf"^[ ]*{BEGIN}\n.*?^[ ]*{END}[ ]*$", lambda _: line, source, flags=re.MULTILINE | re.DOTALL
    )


def without_markers(source: str) -> str:
    """A solution without the lines of its markers."""
    lines = source.splitlines()
    return "\n".join(line for line in lines if line.strip() not in (BEGIN, END))


def stars(difficulty: int) -> str:
    """Difficulty from 1 to 3.

    >>> stars(2)
    '●●○'
    """
    return "●" * difficulty + "○" * (3 - difficulty)


def cited(text: str, bibliography: BibliographyData) -> str:
    """Citations in words, for notebooks that Sphinx does not read."""

    def words(match: re.Match) -> str:
        entry = bibliography.entries[match[1]]
        people = entry.persons["author"]
        name = " ".join(people[0].last_names) or str(people[0])
        others = " et al." if len(people) > 1 else ""
        return f"({name.strip('{}')}{others}, {entry.fields['year']})"

    return CITED.sub(words, text)


def without_links(text: str, known: Container[str], shown: str = "{}") -> str:
    """The text with links to pages that are not known as words; code is left alone.

    >>> without_links("[a](one), [b](two.md), `f[c](d)`", {"one"}, "*{}*")
    '[a](one), *b*, `f[c](d)`'
    >>> without_links("````{dropdown} An answer\\n[a](one)\\n````", ())
    '````{dropdown} An answer\\na\\n````'
    """

    def words(match: re.Match) -> str:
        kept = match["code"] or match["page"] in known
        return match[0] if kept else shown.format(match["words"])

    return LINK.sub(words, text)


def _markdown(text: str, cell: NotebookNode, **metadata: object) -> NotebookNode:
    return new_markdown_cell(text, id=cell.id, metadata={"tags": sorted(tags(cell))} | metadata)


def _code(text: str, cell: NotebookNode, **metadata: object) -> NotebookNode:
    made = new_code_cell(text, id=cell.id, outputs=cell.outputs)
    made.execution_count = cell.execution_count
    kept = {k: v for k, v in cell.metadata.items() if k in ("mystnb",)}
    made.metadata.update(kept | {"tags": sorted(tags(cell))} | metadata)
    return made


class Writer:
    """Turns the cells of one source into those of an edition; it counts exercises and quizzes."""

    def __init__(self, edition: Edition, module: int, bibliography: BibliographyData):
        self.edition, self.module, self.bibliography = edition, module, bibliography
        self.exercises = self.quizzes = self.hints = 0

    @property
    def folded(self) -> bool:
        """Whether answers are shown at all: everywhere but in the students' notebooks."""
        return self.edition != "student"

    def heading(self, cell: NotebookNode, level: str) -> tuple[str, str]:
        """First line of a cell without its hashes, and the rest."""
        first, _, rest = cell.source.partition("\n")
        return first.removeprefix(level).strip(), rest.strip("\n")

    def section(self, cell: NotebookNode) -> NotebookNode:
        name, rest = self.heading(cell, "##")
        text = f"## {name}\n\n*{cell.metadata['lab']['minutes']} minutes.*\n\n{rest}"
        return _markdown(text, cell)

    def exercise(self, cell: NotebookNode) -> NotebookNode:
        self.exercises, self.hints = self.exercises + 1, 0
        name, rest = self.heading(cell, "###")
        facts = cell.metadata["lab"]
        head = f"Exercise {self.module}.{self.exercises}: {name}"
        effort = f"Difficulty {stars(facts['difficulty'])} · {facts['minutes']} minutes"
        return _markdown(f"### {head}\n\n*{effort}.*\n\n{rest}", cell)

    def hint(self, cell: NotebookNode) -> NotebookNode:
        self.hints += 1
        if self.edition == "book":
            text = f"````{{dropdown}} Hint {self.hints}\n{cell.source}\n````"
            return _markdown(text, cell)
        return _markdown(fold(f"Hint {self.hints}", cell.source), cell)

    def solution(self, cell: NotebookNode) -> list[NotebookNode]:
        empty = stub(cell.source, f"exercise {self.module}.{self.exercises}")
        if self.edition == "student":
            return [_code(empty, cell)]
        solved = _code(without_markers(cell.source), cell)
        if self.edition != "book":
            return [solved]
        solved.metadata.update(
            tags=["hide-input", "solution"],
            mystnb={"code_prompt_show": "Show a solution", "code_prompt_hide": "Hide the solution"},
        )
        return [new_markdown_cell(f"```python\n{empty}\n```", id=f"{cell.id}-stub"), solved]

    def explain(self, cell: NotebookNode) -> NotebookNode:
        question, _, answer = cell.source.partition("\n---\n")
        if self.edition == "book":
            text = f"{question}\n\n````{{dropdown}} An answer\n{answer.strip()}\n````"
        elif self.folded:
            text = f"{question}\n\n{fold('An answer', answer.strip(), True)}"
        else:
            text = f"{question}\n\n*Your answer:*"
        return _markdown(text, cell)

    def question(self, cell: NotebookNode, kind: str) -> NotebookNode:
        self.quizzes += 1
        quiz = read_quiz(cell.source, f"quiz {self.module}.{self.quizzes}")
        if self.edition == "book":
            text = as_form(quiz, f"quiz-{self.module}-{self.quizzes}", kind)
        else:
            text = as_text(quiz, kind, opened=self.edition == "instructor")
        return _markdown(text, cell)

    def cells(self, cell: NotebookNode) -> list[NotebookNode]:
        """The cells of the edition that a cell of the source becomes."""
        found = tags(cell)
        if "instructor" in found:
            text = "> **For the lecturer.** " + cell.source.replace("\n", "\n>\n> ")
            made = [_markdown(text, cell)] if self.edition == "instructor" else []
        elif "section" in found:
            made = [self.section(cell)]
        elif "exercise" in found:
            made = [self.exercise(cell)]
        elif "hint" in found:
            made = [self.hint(cell)]
        elif "solution" in found:
            made = self.solution(cell)
        elif "explain" in found:
            made = [self.explain(cell)]
        elif found & {"predict", "quiz"}:
            made = [self.question(cell, "Predict" if "predict" in found else "Quiz")]
        elif cell.cell_type == "code":
            made = [_code(cell.source, cell)]
        else:
            made = [_markdown(cell.source, cell)]
        if self.edition != "book":
            for one in made:
                if one.cell_type == "markdown":
                    text = cited(one.source, self.bibliography)
                    # pages of the book, which a notebook elsewhere does not have beside it
                    one.source = without_links(text, (), "*{}*")
        return made


def repository_url(config: Path) -> str:
    """Address of the repository, ``repository: url:`` of the book's configuration; may be empty."""
    repository = yaml.safe_load(config.read_text(encoding="utf-8")).get("repository") or {}
    return repository.get("url") or ""


def first_cell(repository: str) -> str:
    """The cell that makes the environment where there is none.

    Args:
        repository: address of the study, such as ``https://github.com/…``; empty where it is not
            known: then the cell asks for it.
    """
    text = FIRST_CELL.read_text(encoding="utf-8")
    return text.replace('REPOSITORY = ""', f'REPOSITORY = "{repository}"', 1).rstrip("\n")


def edition_of(
    source: NotebookNode, edition: Edition, module: int, repository: str = "", root: Path = ROOT
) -> NotebookNode:
    """One edition of a module.

    - ``"book"``: stubs shown, hints and executed solutions folded, quizzes as forms.
    - ``"student"``: stubs to fill in, no outputs, no answers but those of quizzes, folded.
    - ``"solutions"``: the student's, with solutions and answers.
    - ``"instructor"``: solutions, notes, and answers unfolded.

    Args:
        source: the module, executed or not; outputs are kept, but not for students.
        edition: which.
        module: its number, from 1.
        repository: where the first cell finds the study.
        root: of the repository.
    """
    writer = Writer(edition, module, parse_file(root / "book" / "references.bib"))
    cells = [made for cell in source.cells for made in writer.cells(cell)]
    if edition != "book":
        first = new_code_cell(
            first_cell(repository), id="environment", metadata={"tags": ["setup"]}
        )
        cells.insert(1, first)
    if edition == "student":
        for cell in cells:
            if cell.cell_type == "code":
                cell.outputs, cell.execution_count = [], None
    metadata = {k: v for k, v in source.metadata.items() if k in ("kernelspec", "language_info")}
    return new_notebook(cells=cells, metadata=metadata)


def read_module(name: str, root: Path = ROOT) -> NotebookNode:
    """The source of a module."""
    return read_notebook(module_path(name, root))
