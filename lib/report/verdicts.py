"""Verdicts as the book shows them: a row of marks, the numbers and the reason behind each."""

import re
from collections import Counter
from collections.abc import Mapping
from html import escape, unescape
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
from IPython.display import HTML

from lib.report.claims import load_claims, read_cases, read_verdict_rows
from lib.report.heads import PARTS as TITLES
from lib.report.heads import WORDS as MARKS
from lib.report.heads import badge
from lib.report.judge import JOINT, PARTS, VERDICTS, answer
from lib.report.show import number
from lib.report.style import short

PAPERS = {
    "A": "SSLA",
    "A and B": "The method of one, the question of the other",
    "B": "What Do Self-Supervised Vision Transformers Learn?",
}
COLUMNS = ["Claim and statistic", "The paper reported", "Measured here", "Parts", "Verdict"]


def marks(words: Mapping[str, str]) -> str:
    """The four parts as marks, each with its word for whoever cannot see it."""
    cells = "".join(
        f'<span class="mark" title="{TITLES[part]}: {words[part]}"><i>{TITLES[part]}</i>'
        f'<b aria-hidden="true">{MARKS[words[part]]}</b>'
        f'<span class="said">{words[part]}</span></span>'
        for part in PARTS
    )
    return f'<span class="marks">{cells}</span>'


def _of(counts: Mapping[str, int], what: str) -> str:
    total = sum(counts.values())
    said = {"yes": "holds", "no": "fails", "unclear": "is unclear"}
    return "; ".join(f"{said[a]} in {counts[a]} of {total} {what}" for a in said if counts.get(a))


def reason(cases: pd.DataFrame, rule: Mapping) -> str:
    """Why a claim has its verdict, from its cases: where it holds and fails, and what random
    weights do.

    Args:
        cases: of one claim and data set, columns ``lib.report.judge.CASES``.
        rule: of the claim.
    """
    threshold, place = rule["threshold"], rule.get("untrained")
    usable = cases[cases["qualified"]]
    trained, unfit = usable[usable["kind"] == "trained"], cases[~cases["qualified"]]
    pair = " − " in rule["compares"]
    what = ("pair" if pair else "encoder") + ("s" if len(trained) != 1 else "")
    if trained.empty:
        return (
            f"no {rule['needs']} encoder here is read better by a linear probe than raw pixels and"
            " random weights"
        )
    answers = [answer(low, high, threshold) for low, high in trained[["low", "high"]].to_numpy()]
    said = [_of(Counter(answers), what)]
    if place == "holds":
        null = usable[usable["kind"] == "untrained"].drop_duplicates("encoders")
        answers = [answer(low, high, threshold) for low, high in null[["low", "high"]].to_numpy()]
        said.append(_of(Counter(answers), "random networks"))
    elif place:
        null = usable[(usable["kind"] == "learned") & (usable["place"] == place)]
        ends = null[["low", "high"]].to_numpy()
        more = sum(answer(low, high, 0) == "yes" for low, high in ends)
        where = f"in the place of {place} " if pair else ""
        said.append(f"exceeds random weights {where}in {more} of {len(null)}")
    seeds = usable[usable["kind"] == "seeds"]
    said += [
        f"over the seeds of {encoders}: {answer(low, high, threshold)}"
        for encoders, low, high in seeds[["encoders", "low", "high"]].itertuples(index=False)
    ]
    left_out = int((unfit["kind"] == "trained").sum())
    if left_out:
        said.append(f"{left_out} left out, for want of a good encoder")
    return "; ".join(part for part in said if part)


def read_verdicts(
    results: Path, notebooks: list[str], rules: Mapping[str, Mapping]
) -> pd.DataFrame:
    """A row a claim and data set of these notebooks, with what the rules say about it.

    Args:
        results: folder of the notebooks' tables.
        notebooks: names, in order.
        rules: id -> rule, as ``load_claims`` returns; verdicts of claims that are no longer among
            them are left out.

    Returns:
        ``claim``, ``dataset``, ``page``, ``effect``, ``low``, ``high``, ``n``, ``verdict``, a
        column
        for each of ``PARTS``, ``first`` (encoders of the first case), ``reason``, ``row`` (anchor
        in
        the table), ``ours`` (address of our figure), and ``paper``, ``figure``, ``statement``,
        ``statistic``, ``threshold``, ``reported`` of the rule.
    """
    rows = []
    for page in notebooks:
        paths = [results / f"{page}.{kind}.csv" for kind in ("cases", "verdicts")]
        if not all(path.is_file() for path in paths):
            continue
        cases, verdicts = read_cases(paths[0]), read_verdict_rows(paths[1])
        for (claim, dataset), of in verdicts.groupby(["claim", "dataset"], sort=False):
            if claim in rules:
                mine = cases[(cases["claim"] == claim) & (cases["dataset"] == dataset)]
                rows.append(_one(page, of, mine, rules[claim]))
    table = pd.DataFrame(rows)
    if table.empty:
        return table
    repeats = table.groupby("claim").cumcount()  # judged on several data sets
    table["row"] = [
        f"claim-{claim}" + (f"-{k + 1}" if k else "")
        for claim, k in zip(table["claim"], repeats, strict=True)
    ]
    return table


def _one(page: str, verdicts: pd.DataFrame, cases: pd.DataFrame, rule: Mapping) -> dict:
    of = verdicts.set_index("part")
    trained = cases[cases["kind"] == "trained"]
    shown = trained[trained["qualified"]] if trained["qualified"].any() else trained
    first = shown.iloc[0]
    return {
        "claim": rule["id"], "dataset": first["dataset"], "page": page,
        **{key: first[key] for key in ("effect", "low", "high", "n")},
        "verdict": of.loc["verdict", "word"], "words": {part: of.loc[part, "word"] for part in PARTS},
        "encoders": first["encoders"], "reason": reason(cases, rule),
        "ours": f"{page}.html" + (f"#{rule['shows']}" if "shows" in rule else ""),
        **{key: rule[key] for key in ("paper", "figure", "statement", "statistic", "threshold")},
        "reported": rule.get("reported", ""),
    }  # fmt: skip


def _measured(claim: tuple) -> str:
    names = ", ".join(short(name) for name in claim.encoders.split(JOINT))
    return (
        f"<span>{number(claim.effect)}</span>"
        f" <span>[{number(claim.low)}, {number(claim.high)}]</span>"
        f"<br><small>threshold {number(claim.threshold)}, n&nbsp;=&nbsp;{claim.n}, {escape(names)}"
        "</small>"
    )


def _row(claim: tuple, datasets: bool) -> str:
    link = f'<a href="{escape(claim.ours)}">{escape(claim.paper)}, {escape(claim.figure)}</a>'
    on = f" <em>On {escape(claim.dataset)}.</em>" if datasets else ""
    cells = [
        f"<strong>{link}</strong> {escape(claim.statement)}{on}"
        f"<br><small>{escape(claim.statistic)}</small>",
        escape(claim.reported),
        _measured(claim),
        marks(claim.words),
        f"{badge(claim.verdict)}<br><small>{escape(claim.reason)}</small>",
    ]
    sort = ["", "", f' data-sort="{claim.effect}"', "", f' data-sort="{claim.verdict}"']
    columns = "".join(
        f'<td data-label="{label}"{key}>{cell}</td>'
        for label, key, cell in zip(COLUMNS, sort, cells, strict=True)
    )
    return (
        f'<tr id="{escape(claim.row)}" data-paper="{escape(claim.paper)}"'
        f' data-verdict="{escape(claim.verdict)}">{columns}</tr>'
    )


def _filter(name: str, options: Mapping[str, str], chosen: pd.Series) -> str:
    counts = chosen.value_counts()
    shown = "".join(
        f'<option value="{value}">{escape(label)} ({counts[value]})</option>'
        for value, label in options.items()
        if value in counts
    )
    return (
        f'<label>{name.capitalize()} <select name="{name}"><option value="">all ({counts.sum()})'
        f"</option>{shown}</select></label>"
    )


KEY = ", ".join(f"{mark} {word}" for word, mark in MARKS.items())


def verdicts_table(table: pd.DataFrame) -> str:
    """Verdicts as :func:`read_verdicts` returns them, as a table in their order, with filters that
    stay hidden unless ``verdicts.js`` runs."""
    papers = {name: f"{name}: {title}" for name, title in PAPERS.items()}
    filters = _filter("paper", papers, table["paper"])
    filters += _filter("verdict", {v: v for v in VERDICTS}, table["verdict"])
    head = "".join(f'<th scope="col">{label}</th>' for label in COLUMNS)
    several = table["dataset"].nunique() > 1
    rows = "".join(_row(claim, several) for claim in table.itertuples())
    return (
        f'<div class="verdicts-page"><p class="key">{KEY}</p>'
        f'<form class="verdict-filters" autocomplete="off" hidden>{filters}<output></output></form>'
        f'<div class="table-scroll"><table class="study verdicts"><thead><tr>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div></div>"
    )


def verdicts_html(verdicts: pd.DataFrame, cases: pd.DataFrame, rules: Mapping[str, Mapping]) -> str:
    """A page's verdicts: statement, effect of the first case, marks, verdict and its reason."""
    if verdicts.empty:
        return "<p>No claim can be judged: none speaks of the given encoders.</p>"
    rows = []
    for (claim, dataset), of in verdicts.groupby(["claim", "dataset"], sort=False):
        mine = cases[(cases["claim"] == claim) & (cases["dataset"] == dataset)]
        c = SimpleNamespace(**_one("", of, mine, rules[claim]))
        rows.append(
            f'<tr id="claim-{escape(claim)}"><td><strong>{escape(claim)}</strong>'
            f' <span data-claim="{escape(claim)}">{escape(c.statement)}</span>'
            f"<br><small>{escape(c.statistic)}</small></td>"
            f"<td>{_measured(c)}</td><td>{marks(c.words)}</td>"
            f"<td>{badge(c.verdict)}<br><small>{escape(c.reason)}</small></td></tr>"
        )
    head = "".join(f"<th>{label}</th>" for label in ("Claim", "Effect [95 %]", "Parts", "Verdict"))
    return (
        f'<div class="table-scroll"><table class="study claims"><caption>{KEY}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def show_verdicts(verdicts: pd.DataFrame, cases: pd.DataFrame) -> HTML:
    """A page's verdicts as HTML for a notebook; see :func:`verdicts_html`."""
    return HTML(verdicts_html(verdicts, cases, load_claims()))


def in_present_words(html: str, rules: Mapping[str, Mapping]) -> str:
    """:func:`verdicts_html` of an earlier day with the statements of today's rules: words decide no
    verdict, so a page is not computed again for them."""

    def present(found: re.Match) -> str:
        rule = rules.get(unescape(found[2]))
        return found[1] + (escape(rule["statement"]) if rule else found[3]) + found[4]

    pattern = r'(<span data-claim="([^"]*)">)(.*?)(</span>)'
    return re.sub(pattern, present, html, flags=re.DOTALL)


def changes(table: pd.DataFrame, former: pd.DataFrame) -> pd.DataFrame:
    """What an amendment of the rules changed.

    Args:
        table: as :func:`read_verdicts` returns, of one data set.
        former: the old verdicts, with ``id``, ``verdict``, ``now`` (the ids that took its place) and
            ``dropped`` (why none did), each empty where the other is not.

    Returns:
        ``claim``, ``before``, ``now``, ``why``; a row an old claim and successor whose verdict is
        another one.
    """
    new = {claim.claim: claim for claim in table.itertuples()}
    rows = []
    for old in former.fillna("").itertuples():
        for name in old.now.split():
            if name in new and new[name].verdict != old.verdict:
                label = old.id if name == old.id else f"{old.id}, now {name}"
                rows.append((label, old.verdict, new[name].verdict, new[name].reason))
        if old.dropped:
            rows.append((old.id, old.verdict, "dropped", old.dropped))
    return pd.DataFrame(rows, columns=["claim", "before", "now", "why"])
