"""Pages written from results, and the check of the built book."""

import re

import pandas as pd
import pytest

from lib.report.book import check_html
from lib.report.pages import summary, verdicts_page
from lib.report.show import show_table
from lib.report.verdicts import read_verdicts
from lib.run.errors import StudyError
from lib.run.layout import contents

CLAIM = {
    "claim": "X1", "dataset": "fashion", "page": "p", "paper": "B", "figure": "Fig. 3",
    "statement": "A < B", "statistic": "b minus a", "threshold": 0.05, "effect": 0.2, "low": 0.1,
    "high": 0.3, "n": 7, "encoders": "g/a · g/b", "verdict": "reproduced",
    "words": dict.fromkeys(("effect", "null", "pairs", "seeds"), "yes"), "row": "claim-X1",
    "reason": "holds in 2 of 2 pairs", "ours": "p.html#fig-x", "reported": "It < is",
}  # fmt: skip
SOUND = (
    '<html><script src="_static/a.js"></script><article class="bd-article"><img src="a.svg" alt="a'
    ' curve"><a id="x" href="a.html#x">x</a></article></html>'
)


@pytest.fixture
def claims():
    other = {"claim": "X2", "row": "claim-X2", "verdict": "not reproduced", "effect": -0.2}
    return pd.DataFrame([CLAIM, CLAIM | other | {"low": -0.3, "high": -0.1}])


def plain(text):
    return re.sub("<[^>]*>", "", text)


def test_summary_counts_and_gives_the_reason(claims):
    text = plain(summary(claims))
    assert "1 reproduced, 1 not reproduced" in text and "−0.2 [−0.3, −0.1]" in text
    assert "holds in 2 of 2 pairs" in text and "{dropdown} Not reproduced: 1" in text


def test_each_paper_has_its_own_counts(claims):
    text = plain(summary(pd.concat([claims, claims.assign(paper="A")])))
    first = text.index("**SSLA**: 1 reproduced, 1 not reproduced")
    assert first < text.index("**What Do Self-Supervised") and "Of 4 claims" in text


def test_the_summary_leads_to_the_rows_and_figures(claims):
    text = summary(claims)
    assert '<a href="what_holds.html?verdict=not+reproduced">1 not reproduced</a>' in text
    assert '<a href="what_holds.html?verdict=reproduced&amp;paper=B">1 reproduced</a>' in text
    assert 'href="what_holds.html#claim-X2"' in text and '<a href="p.html#fig-x">Fig. 3</a>' in text


def test_claims_that_no_page_judged_are_listed(claims):
    rules = {
        name: dict(paper="B", figure="Fig. 9", statement=f"{name} holds.")
        for name in ("X1", "X2", "X3")
    }
    text = verdicts_page(claims, rules | {"X4": rules["X3"] | dict(reported="So it is")})
    assert (
        "## Not judged yet" in text
        and "**B, Fig. 9** X3 holds. The paper reported: —." in text
        and "X1 holds." not in text
    )
    assert "The paper reported: So it is." in text
    assert "Not judged yet" not in verdicts_page(
        claims, {"X1": rules["X1"]}
    ) and "Not judged yet" not in verdicts_page(claims)


def test_pages_without_results_say_so(tmp_path):
    none = read_verdicts(tmp_path, ["one"], {})
    assert (
        none.empty
        and "No claim" in summary(none)
        and "No claim" in verdicts_page(none)
        and "<table" not in verdicts_page(none)
    )


def test_an_amendment_shows_what_changed(claims):
    changed = pd.DataFrame([("X1", "reproduced", "undecided", "a < b")])
    changed.columns = ["claim", "before", "now", "why"]
    text = verdicts_page(claims, None, changed)
    assert "## What the amendment changed" in text and "a &lt; b" in text
    assert "amendment changed" not in verdicts_page(claims, None, changed.head(0))


def test_table_behind_a_figure_shows_mean_rows_alone():
    row = dict(encoder="a", depth=1, metric="m", low=0.1, high=0.3, n=5)
    table = pd.DataFrame([row | dict(head="mean", value=0.2), row | dict(head=1, value=0.9)])
    html = show_table(table, "m", ["a"], "Caption").data
    assert "0.2 [0.1, 0.3]" in html and "0.9" not in html and "n = 5" in html


def test_contents_lists_every_page(tmp_path):
    toc = tmp_path / "_toc.yml"
    toc.write_text(
        "format: jb-book\nroot: index\nparts:\n- caption: c\n  chapters:\n  - file: a\n   "
        " sections:\n    - file: b\n  - file: c\n"
    )
    assert contents(toc) == ["index", "a", "b", "c"]


def test_sound_page_passes(tmp_path):
    (tmp_path / "a.html").write_text(SOUND)
    check_html(tmp_path, ["a"])


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (' alt="a curve"', "", "alternative text"),
        ("_static/a.js", "https://example.org/a.js", "another host"),
        ("<img", '<div class="output traceback">x</div><img', "error output"),
        ("<img", '<a href="a.html#fig-b">b</a><img', "dead link a.html#fig-b"),
        ("<img", '<a href="b.html#fig-b">b</a><img', "dead link b.html#fig-b"),
    ],
)
def test_unsound_page_is_named(tmp_path, old, new, said):
    (tmp_path / "a.html").write_text(SOUND.replace(old, new))
    with pytest.raises(StudyError, match=f"a: .*{said}"):
        check_html(tmp_path, ["a"])


def test_missing_page_is_named(tmp_path):
    with pytest.raises(StudyError, match="b: not built"):
        check_html(tmp_path, ["b"])
