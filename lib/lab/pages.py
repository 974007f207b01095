"""The lab's pages of the book."""

import shutil
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from lib.lab import glossary
from lib.lab.editions import write_editions
from lib.lab.execute import modules, seconds
from lib.lab.slides import write_slides
from lib.lab.source import MODULES, edition_of, tags, title, without_links

QUIZ_HEAD = """# Quiz: {title}

Choose, commit, and read why. Nothing is sent anywhere; your answers stay in this browser.
"""


def with_links(notebook: NotebookNode, name: str) -> NotebookNode:
    """The page with links to the student's notebook and to the slides below its title."""
    links = (
        f'\n\n<p class="lab-links"><a href="_static/lab/{name}.ipynb" download>Notebook to fill in</a>'
        f' · <a href="slides/{name}.html">Slides</a> · <a href="lab_{name}_quiz.html">Quiz</a></p>'
    )
    notebook.cells[0].source = notebook.cells[0].source.replace("\n", f"{links}\n", 1)
    return notebook


def quiz_page(cells: list[NotebookNode], name: str) -> str:
    """The questions at the end of a module as a page."""
    return "\n\n".join([QUIZ_HEAD.format(title=name), *(cell.source for cell in cells)]) + "\n"


def cells_tagged(notebook: NotebookNode, tag: str) -> list[NotebookNode]:
    """Cells with a tag."""
    return [cell for cell in notebook.cells if tag in tags(cell)]


def modules_table(executed: dict[str, NotebookNode]) -> str:
    """What each module asks and holds, for the lab's first page."""
    rows = ["| module | minutes | exercises | questions |", "|---|---|---|---|"]
    for name, notebook in executed.items():
        minutes = sum(c.metadata["lab"]["minutes"] for c in cells_tagged(notebook, "section"))
        questions = len(cells_tagged(notebook, "quiz")) + len(cells_tagged(notebook, "predict"))
        exercises = len(cells_tagged(notebook, "exercise"))
        link = f"[{title(notebook)}](lab_{name})"
        rows.append(f"| {link} | {minutes} | {exercises} | {questions} |")
    return "\n".join(rows) + "\n"


def times_table(executed: dict[str, NotebookNode]) -> str:
    """Processor seconds of every module, its imports, and its slowest other cell."""
    rows = ["| module | all cells | imports | slowest other cell |", "|---|---|---|---|"]
    for notebook in executed.values():
        imports, *others = [seconds(cell) for cell in notebook.cells if cell.cell_type == "code"]
        rows.append(
            f"| {title(notebook)} | {imports + sum(others):.0f} s | {imports:.1f} s |"
            f" {max(others):.1f} s |"
        )
    return "\n".join(rows) + "\n"


def write_lab(source: Path, root: Path, pages: set[str], repository: str = "") -> set[Path]:
    """Write the lab's pages, its notebooks for students, slides and glossary into the book's sources.

    Args:
        source: folder of the book's sources.
        root: of the repository; without ``notebooks/lab`` nothing is written.
        pages: names of the book's other pages; links to others become plain words.
        repository: its address, for the notebooks' first cell and links; empty where not known.

    Returns:
        the files.
    """
    if not (root / "notebooks" / "lab").is_dir():
        return set()
    texts, executed = {}, modules(root)
    pages = pages | {f"lab_{name}" for name in executed} | {"glossary"}
    for name, notebook in executed.items():
        page = with_links(edition_of(notebook, "book", MODULES.index(name) + 1, root=root), name)
        quiz = cells_tagged(page, "quiz")
        page.cells = [cell for cell in page.cells if "quiz" not in tags(cell)]
        for cell in page.cells:
            if cell.cell_type == "markdown":
                cell.source = without_links(cell.source, pages)
        texts[f"lab_{name}.ipynb"] = nbformat.writes(page)
        texts[f"lab_{name}_quiz.md"] = quiz_page(quiz, title(notebook))
    for prose in ("lab", "lecturer"):
        text = (root / "book" / f"{prose}.md").read_text(encoding="utf-8")
        texts[f"{prose}.md"] = without_links(text, pages)
    words = glossary.read_glossary(root)
    texts["glossary.md"] = glossary.page(words)
    texts["_static/lab/glossary.js"] = glossary.script(words)
    texts["generated/lab_modules.md"] = modules_table(executed)
    texts["generated/lab_times.md"] = times_table(executed)
    archives = write_editions(executed, repository, root)
    copied = {f"_static/lab/{path.name}": path for path in archives if path.stem == "student"}
    students = root / "build" / "lab" / "student"
    copied |= {f"_static/lab/{path.name}": path for path in students.glob("*.ipynb")}
    for target, path in copied.items():
        (source / target).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, source / target)
    slides = write_slides(executed, source / "slides")
    for target, text in texts.items():
        path = source / target
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
    return {source / target for target in (*texts, *copied)} | set(slides)
