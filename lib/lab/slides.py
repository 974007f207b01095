"""One deck of slides a module, made from the same cells and figures; reveal.js from a package, so
that it needs no network."""

import re
from html import escape
from importlib.resources import files
from pathlib import Path

from markdown_it import MarkdownIt
from mdit_py_plugins.dollarmath import dollarmath_plugin
from nbformat import NotebookNode

from lib.lab.quiz import MARKDOWN, read_quiz
from lib.lab.source import CITED, tags, title

REVEAL = files("sphinx_revealjs") / "_static" / "revealjs"
ASSETS = ("dist/reset.css", "dist/reveal.css", "dist/reveal.js", "dist/theme/white.css",
          "plugin/notes/notes.js")  # fmt: skip
PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="stylesheet" href="reveal/reset.css"><link rel="stylesheet" href="reveal/reveal.css">
<link rel="stylesheet" href="reveal/white.css"><link rel="stylesheet" href="slides.css">
<script>MathJax = {{ startup: {{ typeset: true }} }};</script>
<script defer src="../{mathjax}"></script>
</head>
<body>
<div class="reveal"><div class="slides">
{slides}
</div></div>
<script src="reveal/reveal.js"></script><script src="reveal/notes.js"></script>
<script>Reveal.initialize({{ hash: true, slideNumber: "c/t", width: 1200, height: 760, plugins: [RevealNotes] }});</script>
</body>
</html>
"""
MATHJAX = "tex-chtml.js"


def _math(text: str, options: dict) -> str:
    return f"\\[{text}\\]" if options.get("display_mode") else f"\\({text}\\)"


def _renderer() -> MarkdownIt:
    return MarkdownIt().use(dollarmath_plugin, renderer=_math)


def rendered(text: str) -> str:
    """HTML of Markdown with formulas left to MathJax; citations are left out."""
    return _renderer().render(re.sub(rf"\s*{CITED.pattern}", "", text))


def figure_of(cell: NotebookNode) -> str:
    """What a code cell has put out: its picture with caption, or its text."""
    about = cell.metadata.get("mystnb", {})
    alt = about.get("image", {}).get("alt", "")
    caption = about.get("figure", {}).get("caption", "")
    found = []
    for output in cell.outputs:
        svg = output.get("data", {}).get("image/svg+xml")
        if svg:
            label = alt.replace('"', "'")
            picture = svg[svg.index("<svg") :].replace(
                "<svg", f'<svg role="img" aria-label="{label}"', 1
            )
            found.append(f"<figure>{picture}<figcaption>{caption}</figcaption></figure>")
        elif output.get("name") == "stdout":
            found.append(f"<pre>{escape(output.text)}</pre>")
    return "".join(found)


def slides_of(notebook: NotebookNode) -> list[str]:
    """HTML of every slide: the title, the goals, each section's first lines, predictions with their
    answer after one more key press, figures, the take-away; notes of the lecturer below them."""
    slides: list[str] = []
    for cell in notebook.cells:
        found, source = tags(cell), cell.source
        if "title" in found:
            first = source.split("\n\n")
            slides.append(f"<h1>{title(notebook)}</h1>{rendered(first[-1])}")
        elif "goals" in found:
            slides.append(rendered(source))
        elif "section" in found:
            head, _, rest = source.partition("\n")
            slides.append(f"<h2>{head.removeprefix('## ')}</h2>{rendered(rest)}")
        elif "predict" in found:
            quiz = read_quiz(source, "a slide's prediction")
            options = "".join(
                f'<li class="{"right fragment highlight-current" if o.right else ""}">{MARKDOWN.renderInline(o.text)}</li>'
                for o in quiz.options
            )
            why = next(o.because for o in quiz.options if o.right)
            slides.append(
                f"<h3>Predict</h3><p>{MARKDOWN.renderInline(quiz.question)}</p><ol type='A'>{options}</ol>"
                f'<p class="fragment">{MARKDOWN.renderInline(why)}</p>'
            )
        elif "slide" in found:
            slides.append(figure_of(cell))
        elif "takeaway" in found:
            slides.append(rendered(source.split(" The full pages:")[0]))
        elif "instructor" in found and slides:
            slides[-1] += f'<aside class="notes">{rendered(source)}</aside>'
    return slides


def deck(notebook: NotebookNode, mathjax: str = f"_static/mathjax/{MATHJAX}") -> str:
    """The page of a deck."""
    slides = "\n".join(f"<section>{slide}</section>" for slide in slides_of(notebook))
    return PAGE.format(title=title(notebook), slides=slides, mathjax=mathjax)


def write_slides(executed: dict[str, NotebookNode], folder: Path) -> list[Path]:
    """Write ``NAME.html`` for every module and the files of reveal.js beside them.

    Args:
        executed: name -> module with its outputs.
        folder: ``slides`` of a book's sources; not below ``_static``, whose styles are on every page.

    Returns:
        every file written.
    """
    written = []
    for name, notebook in executed.items():
        written.append(folder / f"{name}.html")
        written[-1].parent.mkdir(parents=True, exist_ok=True)
        written[-1].write_text(deck(notebook), encoding="utf-8")
    for asset in ASSETS:
        target = folder / "reveal" / Path(asset).name
        target.parent.mkdir(parents=True, exist_ok=True)
        text = (REVEAL / asset).read_text(encoding="utf-8")
        # the theme asks for fonts that the reader need not have
        target.write_text(re.sub(r"@import url\([^)]*\);", "", text), encoding="utf-8")
        written.append(target)
    return written
