"""Quizzes and predictions: one YAML cell, shown as a form in the book and as text that unfolds in a
notebook."""

from dataclasses import dataclass
from html import escape

import yaml
from markdown_it import MarkdownIt

from lib.run.errors import StudyError

MARKDOWN = MarkdownIt()


@dataclass(frozen=True)
class Option:
    """One answer: its text, whether it is right, and why."""

    text: str
    because: str
    right: bool = False


@dataclass(frozen=True)
class Quiz:
    """A question with options, of which one is right."""

    question: str
    options: tuple[Option, ...]


def read_quiz(source: str, where: str) -> Quiz:
    """A quiz from its YAML.

    Raises:
        StudyError: not a question with at least two explained options of which exactly one is right.
    """
    try:
        values = yaml.safe_load(source)
        quiz = Quiz(values["question"], tuple(Option(**option) for option in values["options"]))
    except (yaml.YAMLError, TypeError, KeyError) as error:
        raise StudyError(f"{where} is not a quiz: {error}") from error
    if len(quiz.options) < 2 or sum(option.right for option in quiz.options) != 1:
        raise StudyError(f"{where}: expected at least two options, exactly one of them right")
    return quiz


def as_form(quiz: Quiz, name: str, kind: str) -> str:
    """HTML of a form: radio buttons, a button, the explanation of what was chosen.

    Without scripts every explanation can be unfolded. No blank line, so that Markdown leaves it alone.

    Args:
        quiz: to show.
        name: of the form, unique on its page.
        kind: ``"Quiz"`` or ``"Predict"``, its heading.
    """
    rows = []
    for number, option in enumerate(quiz.options):
        key = f"{name}-{number}"
        rows.append(
            f'<div class="option" data-right="{str(option.right).lower()}">'
            f'<label for="{key}"><input type="radio" name="{name}" id="{key}" value="{number}">'
            f" <span>{MARKDOWN.renderInline(option.text)}</span></label>"
            f'<details class="because"><summary>{"Right" if option.right else "Not quite"}</summary>'
            f"<p>{MARKDOWN.renderInline(option.because)}</p></details></div>"
        )
    return (
        f'<form class="quiz" id="{escape(name)}"><fieldset><legend><strong>{kind}.</strong>'
        f" {MARKDOWN.renderInline(quiz.question)}</legend>{''.join(rows)}"
        '<p class="verdict-line"><button type="submit" hidden>Commit</button>'
        ' <output aria-live="polite"></output></p></fieldset></form>'
    )


def as_text(quiz: Quiz, kind: str, opened: bool = False) -> str:
    """Markdown for a notebook: the options by letters, the answer and its reasons folded, or shown
    if ``opened``."""
    letters = "ABCDEFGH"
    lines = [f"**{kind}.** {quiz.question}", ""]
    lines += [f"- **{m}** {o.text}" for m, o in zip(letters, quiz.options, strict=False)]
    answer = next(m for m, o in zip(letters, quiz.options, strict=False) if o.right)
    reasons = [f"- **{m}** {o.because}" for m, o in zip(letters, quiz.options, strict=False)]
    return "\n".join(
        [
            *lines,
            "",
            fold(
                "Answer: choose first", "\n".join([f"**{answer}** is right.", "", *reasons]), opened
            ),
        ]
    )


def fold(summary: str, text: str, opened: bool = False) -> str:
    """Markdown behind a line that unfolds it; understood by Jupyter, Colab and GitHub."""
    state = " open" if opened else ""
    return f"<details{state}><summary>{escape(summary)}</summary>\n\n{text}\n\n</details>"
