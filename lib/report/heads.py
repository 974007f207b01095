"""Answers first: the head of a chapter and the title page, generated from the tables of verdicts.

Reads ``NAME.verdicts.csv`` and ``NAME.cases.csv`` as :mod:`lib.report.judge` describes them.
"""

import re
from collections.abc import Iterable, Mapping
from html import escape
from pathlib import Path

import pandas as pd

from lib.report.claims import read_cases, read_verdict_rows
from lib.report.judge import JOINT
from lib.report.names import plain_names
from lib.report.show import number, with_interval

ANSWERS = {  # a verdict -> how the answer begins, its mark
    "reproduced": ("Yes", "✓"),
    "holds, but not by learning": ("Yes, but random weights show it too", "◐"),
    "depends on the pair or the seed": ("It depends on the pair or the seed", "◑"),
    "not reproduced": ("No", "✗"),
    "undecided": ("Undecided", "?"),
    "not testable here": ("Not testable here", "–"),
}
WORDS = {
    "yes": "✓",
    "no": "✗",
    "mixed": "◑",
    "unclear": "?",
    "not testable here": "–",
    "not asked": "·",
}
PARTS = {"effect": "effect", "null": "learned", "pairs": "all pairs", "seeds": "seeds"}
DATASETS = {"fashion": "garments", "imagenette": "photographs"}


def read_tables(results: Path, names: Iterable[str]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Verdicts and cases of these notebooks, each with a column ``page``; empty where none were
    written."""
    read = []
    for kind, read_rows in {"verdicts": read_verdict_rows, "cases": read_cases}.items():
        paths = {name: results / f"{name}.{kind}.csv" for name in names}
        tables = [read_rows(p).assign(page=name) for name, p in paths.items() if p.is_file()]
        read.append(pd.concat(tables, ignore_index=True) if tables else pd.DataFrame())
    return read[0], read[1]


def as_class(word: str) -> str:
    """A verdict, or the word of a part, as a class of the style sheet.

    >>> as_class("holds, but not by learning")
    'holds-but-not-by-learning'
    """
    return word.replace(",", "").replace(" ", "-")


def badge(verdict: str, sign: str = "") -> str:
    """A verdict as a badge, after a sign if one is given.

    >>> badge("not reproduced")
    '<span class="verdict not-reproduced">not reproduced</span>'
    """
    return f'<span class="verdict {as_class(verdict)}">{f"{sign} {verdict}".strip()}</span>'


def part_marks(verdicts: pd.DataFrame) -> str:
    """The four parts of one claim's verdict as marks, each with its name.

    Args:
        verdicts: of one claim and data set.
    """
    words = dict(zip(verdicts["part"], verdicts["word"], strict=True))
    shown = (
        f'<span title="{escape(name)}:'
        f' {escape(words[part])}">{WORDS[words[part]]}&nbsp;{escape(name)}</span>'
        for part, name in PARTS.items()
        if part in words
    )
    return f'<span class="parts">{" ".join(shown)}</span>'


def strip(cases: pd.DataFrame, threshold: float) -> str:
    """All cases of a claim on one axis, as SVG: trained encoders as dots with their intervals,
    random weights as hollow triangles, the threshold as
    a dashed line; the claim says: to its right.

    Args:
        cases: of one claim and data set.
        threshold: of the claim.
    """
    cases = cases[cases["kind"] != "learned"]
    low, high = min(cases["low"].min(), threshold), max(cases["high"].max(), threshold)
    pad = 0.06 * (high - low or 1)
    at = lambda value: 6 + 188 * (value - low + pad) / (high - low + 2 * pad)
    heights = {"trained": 10, "seeds": 20, "untrained": 30}
    parts = [f'<path class="line dashed" d="M{at(threshold):.1f} 0V36"/>']
    for case in cases.itertuples():
        y, kind = heights[case.kind], case.kind if case.qualified else f"{case.kind} unqualified"
        parts.append(f'<path class="line {kind}" d="M{at(case.low):.1f} {y}H{at(case.high):.1f}"/>')
        x = at(case.effect)
        shapes = {
            "trained": f'<circle class="{kind}" cx="{x:.1f}" cy="{y}" r="3.5"/>',
            "seeds": f'<path class="{kind}" d="M{x:.1f} {y - 5}l5 5-5 5-5-5z"/>',
            "untrained": f'<path class="{kind}" d="M{x:.1f} {y - 4}l4.5 8h-9z"/>',
        }
        parts.append(shapes[case.kind])
    trained = cases[cases["kind"] == "trained"]
    words = (
        f"{len(trained)} trained cases from {number(trained['effect'].min())} to"
        f" {number(trained['effect'].max())}; threshold {number(threshold)}"
    )
    return (
        '<svg class="strip" viewBox="0 0 200 40" role="img"'
        f' aria-label="{escape(words)}">{"".join(parts)}</svg>'
    )


def answer(rule: Mapping, verdict: pd.Series, cases: pd.DataFrame) -> str:
    """The sentence that answers: the claim, what was measured, its interval, on what.

    Args:
        rule: of the claim.
        verdict: its row of part ``"verdict"``.
        cases: of the claim; the first qualified one is named.
    """
    beginning = ANSWERS[verdict["word"]][0]
    statement = rule["statement"].strip()
    if pd.isna(verdict["effect"]):
        return f"<strong>{beginning}.</strong> The claim was: {escape(statement)}"
    trained = cases[(cases["kind"] == "trained") & cases["qualified"]]
    names = ""
    if len(trained):
        pair = re.sub(r" \(seed \d+\)", "", trained["encoders"].iloc[0]).split(JOINT)
        names = f" with {escape(' and '.join(plain_names(pair)[name] for name in pair))}"
    value = with_interval(verdict["effect"], verdict["low"], verdict["high"])
    dataset = DATASETS.get(verdict["dataset"], verdict["dataset"])
    return (
        f"<strong>{beginning}.</strong> The claim: {escape(statement)} Measured{names}:"
        f" <strong>{value}</strong> ({escape(rule['statistic'].strip())}; 95 % interval over"
        f" {int(verdict['n'])} images, {escape(dataset)}; it counts above"
        f" {number(rule['threshold'])})."
    )


def head(verdicts: pd.DataFrame, cases: pd.DataFrame, rules: Mapping[str, Mapping]) -> str:
    """The head of a chapter, as HTML: one answering sentence, then every claim of the page with its
    cases and marks.

    Args:
        verdicts, cases: of the page.
        rules: id -> rule.

    Returns:
        empty where the page judges no claim.
    """
    if verdicts.empty:
        return ""
    finals = verdicts[verdicts["part"] == "verdict"]
    rows = []
    for final in finals.itertuples():
        rule = rules[final.claim]
        own = (verdicts["claim"] == final.claim) & (verdicts["dataset"] == final.dataset)
        of = cases[(cases["claim"] == final.claim) & (cases["dataset"] == final.dataset)]
        figure = f' <a href="#{rule["shows"]}">figure</a>' if "shows" in rule else ""
        drawn = strip(of, rule["threshold"]) if len(of) else ""
        rows.append(
            f"<tr><td>{escape(rule['statement'].strip())}"
            f" <small>{escape(rule['figure'])}.{figure}</small></td>"
            f"<td>{drawn}</td><td>{badge(final.word, ANSWERS[final.word][1])}<br>{part_marks(verdicts[own])}</td></tr>"
        )
    first = finals.iloc[0]
    sentence = answer(rules[first["claim"]], first, cases[cases["claim"] == first["claim"]])
    held = int((finals["word"] == "reproduced").sum())
    count = (
        f"{held} of {len(finals)} claims of this page are reproduced." if len(finals) > 1 else ""
    )
    key = (
        "● trained, ◆ over seeds, △ random weights; dashed: the threshold, the claim says right"
        " of it"
    )
    return (
        f'<div class="chapter-head"><p class="answer">{sentence} {count}</p><div'
        f' class="table-scroll"><table class="study head"><caption>{key}.</caption>'
        f"<tbody>{''.join(rows)}</tbody></table></div></div>"
    )


def matrix(verdicts: pd.DataFrame, rules: Mapping[str, Mapping]) -> str:
    """All claims at a glance: a row a claim, a column a data set, then what random weights and
    seeds say.

    Args:
        verdicts: of all pages and data sets, with ``page``.
        rules: id -> rule.
    """
    if verdicts.empty:
        return "<p>No claim has been judged yet.</p>"
    datasets = list(dict.fromkeys(verdicts["dataset"]))
    heads = [DATASETS.get(name, name) for name in datasets]
    heads += [f"{PARTS[part]}, {heads[0]}" for part in ("null", "pairs", "seeds")]
    rows = []
    for claim in dict.fromkeys(verdicts["claim"]):
        own = verdicts[verdicts["claim"] == claim].set_index(["dataset", "part"])
        cells = [_cell(own["word"].get((dataset, "verdict")), ANSWERS) for dataset in datasets]
        cells += [
            _cell(own["word"].get((datasets[0], part)), WORDS)
            for part in ("null", "pairs", "seeds")
        ]
        link = f"{own['page'].iloc[0]}.html"
        statement = escape(rules[claim]["statement"].strip())
        rows.append(
            f'<tr><th scope="row"><a href="{link}">{statement}</a></th>{"".join(cells)}</tr>'
        )
    top = "".join(f'<th scope="col">{escape(name)}</th>' for name in heads)
    key = ", ".join(f"{sign} {word}" for word, (_, sign) in ANSWERS.items())
    return (
        '<div class="table-scroll"><table class="study'
        f' matrix"><caption>{key}.</caption><thead><tr><th scope="col">claim</th>{top}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _cell(word: str | None, marks: Mapping) -> str:
    if word is None:
        return '<td><span class="visually-hidden">not measured</span></td>'
    sign = marks[word][1] if isinstance(marks[word], tuple) else marks[word]
    return (
        f'<td class="{as_class(word)}" title="{escape(word)}"><span aria-hidden="true">{sign}</span><span'
        f' class="visually-hidden">{escape(word)}</span></td>'
    )


def lessons(verdicts: pd.DataFrame, rules: Mapping[str, Mapping]) -> list[str]:
    """What was learned, in five sentences at most: how many claims hold, and the clearest claim of
    each verdict.

    Clearest: the interval lies farthest from the threshold, in widths of the interval.

    Args:
        verdicts: of all pages, one data set.
        rules: id -> rule.
    """
    finals = verdicts[verdicts["part"] == "verdict"] if len(verdicts) else verdicts
    if finals.empty:
        return []
    thresholds = finals["claim"].map(lambda claim: rules[claim]["threshold"])
    gap = (finals["low"] - thresholds).clip(lower=0) + (thresholds - finals["high"]).clip(lower=0)
    clear = (gap / (finals["high"] - finals["low"]).clip(lower=1e-12)).fillna(-1)
    beginnings = {
        "reproduced": "Clearest of what holds",
        "not reproduced": "Clearest of what does not hold",
        "holds, but not by learning": "True of random weights as well, so not learned",
        "depends on the pair or the seed": "True of some encoders and not of others",
    }
    counts = finals["word"].value_counts()
    listed = ", ".join(f"{counts[word]} {word}" for word in ANSWERS if word in counts)
    sentences = [f"Of {len(finals)} claims, {listed}."]
    for word, beginning in beginnings.items():
        chosen = finals[finals["word"] == word]
        if len(chosen):
            row = chosen.loc[clear[chosen.index].idxmax()]
            statement = rules[row["claim"]]["statement"].strip().rstrip(".")
            value = with_interval(row["effect"], row["low"], row["high"])
            sentences.append(f"{beginning} ({counts[word]}): {statement} ({value}).")
    return sentences


DOORS = {
    "Read": ("self_attention", "Question by question: what each encoder learned, with numbers."),
    "Touch": ("own_picture", "Run the encoders in this page, on your own picture."),
    "Teach": ("lab", "Three labs of an hour, with exercises that check themselves."),
    "Test my encoder": ("rerun", "Bring a checkpoint and put every question to it."),
}


def doors(pages: Iterable[str]) -> str:
    """Ways into the book, of those whose page is there."""
    pages = set(pages)
    links = (
        f'<a href="{page}.html"><strong>{escape(name)}</strong>{escape(words)}</a>'
        for name, (page, words) in DOORS.items()
        if page in pages
    )
    return f'<nav class="doors" aria-label="Ways into the study">{"".join(links)}</nav>'


def title_page(
    verdicts: pd.DataFrame, rules: Mapping[str, Mapping], pages: Iterable[str], hero: str
) -> str:
    """What stands on the title page below its first lines, as Markdown with HTML.

    Args:
        verdicts: of all pages and data sets; the lessons are of the first data set.
        rules: id -> rule.
        pages: of the book.
        hero: HTML of the picture to begin with.
    """
    parts = [hero, doors(pages)]
    if len(verdicts):
        first = verdicts[verdicts["dataset"] == verdicts["dataset"].iloc[0]]
        parts += ["## What was learned", "\n".join(f"1. {s}" for s in lessons(first, rules))]
        parts += ["## All claims at a glance", matrix(verdicts, rules)]
    return "\n\n".join(parts) + "\n"
