"""Heads and the title page say what the tables of verdicts say."""

import nbformat
import pandas as pd
import pytest
from bs4 import BeautifulSoup
from nbformat.v4 import new_markdown_cell, new_notebook

from lib.report.book import for_book
from lib.report.heads import head, lessons, matrix, read_tables, strip

RULES = {
    "B1": {
        "statement": "CL looks farther.", "statistic": "distance, CL minus MIM", "threshold": 0.05,
        "figure": "Fig. 3", "shows": "fig-distance",
    },
    "B2": {"statement": "MIM looks near.", "statistic": "share", "threshold": 0.0, "figure": "Fig. 4"},
}  # fmt: skip


def verdict_rows(claim, word, effect, parts, dataset="fashion"):
    words = dict(zip(("effect", "null", "pairs", "seeds"), parts, strict=True)) | {"verdict": word}
    return [
        {"claim": claim, "dataset": dataset, "part": part, "word": w, "effect": effect,
         "low": effect - 0.01, "high": effect + 0.01, "n": 64, "cases": 1}
        for part, w in words.items()
    ]  # fmt: skip


@pytest.fixture
def verdicts():
    rows = verdict_rows("B1", "reproduced", 0.25, ["yes", "yes", "yes", "not testable here"])
    rows += verdict_rows("B2", "not reproduced", -0.5, ["no", "not asked", "no", "no"])
    return pd.DataFrame(rows).assign(page="self_attention")


@pytest.fixture
def cases():
    shared = {"dataset": "fashion", "n": 64, "qualified": True, "place": ""}
    return pd.DataFrame([
        {"claim": "B1", "kind": "trained", "encoders": "fashion/moco-v3-s · fashion/simmim-s", "effect": 0.25, "low": 0.24, "high": 0.26} | shared,
        {"claim": "B1", "kind": "untrained", "encoders": "random, SimMIM", "effect": 0.0, "low": -0.01, "high": 0.01} | shared,
    ])  # fmt: skip


def test_the_head_answers_with_number_and_interval(verdicts, cases):
    soup = BeautifulSoup(head(verdicts, cases, RULES), "html.parser")
    answer = soup.select_one(".answer").text
    assert answer.startswith("Yes.")
    assert (
        "0.25 [0.24, 0.26]" in answer and "MoCo v3 and SimMIM" in answer and "64 images" in answer
    )
    assert "1 of 2 claims of this page are reproduced." in answer
    assert [tag.text for tag in soup.select(".verdict")] == ["✓ reproduced", "✗ not reproduced"]
    assert "–\xa0seeds" in soup.select_one(".parts").text
    assert soup.select_one("a")["href"] == "#fig-distance"


def test_a_page_without_claims_has_no_head():
    assert head(pd.DataFrame(), pd.DataFrame(), RULES) == ""


def test_the_strip_is_to_scale(cases):
    soup = BeautifulSoup(strip(cases, 0.05), "html.parser")
    threshold = float(soup.select_one(".dashed")["d"].split()[0][1:])
    trained = float(soup.select_one("circle")["cx"])
    ends = soup.select_one(".line.trained")["d"][1:].replace("H", " ").split()
    left, right = float(ends[0]), float(ends[-1])
    assert threshold < left < trained < right
    assert trained == pytest.approx((left + right) / 2, abs=0.2)
    scale = (right - left) / 0.02
    assert trained - threshold == pytest.approx(0.2 * scale, rel=0.05)


def test_the_matrix_has_a_row_a_claim_and_a_column_a_data_set(verdicts):
    more = verdict_rows("B1", "undecided", 0.05, ["unclear", "yes", "yes", "yes"], "imagenette")
    both = pd.concat([verdicts, pd.DataFrame(more).assign(page="self_attention")])
    soup = BeautifulSoup(matrix(both, RULES), "html.parser")
    heads = [th.text for th in soup.select("thead th")]
    assert heads[:3] == ["claim", "garments", "photographs"]
    cells = [[td.get("title") for td in tr.select("td")] for tr in soup.select("tbody tr")]
    assert cells[0] == ["reproduced", "undecided", "yes", "yes", "not testable here"]
    assert cells[1] == ["not reproduced", None, "not asked", "no", "no"]


def test_lessons_name_what_holds_and_what_does_not(verdicts):
    first, holds, fails = lessons(verdicts, RULES)
    assert first == "Of 2 claims, 1 reproduced, 1 not reproduced."
    assert "CL looks farther (0.25 [0.24, 0.26])" in holds
    assert "does not hold" in fails and "−0.5 [−0.51, −0.49]" in fails


def test_tables_are_read_with_their_page(tmp_path, verdicts, cases):
    verdicts.drop(columns="page").to_csv(tmp_path / "self_attention.verdicts.csv", index=False)
    found, none = read_tables(tmp_path, ["self_attention", "fourier"])
    assert set(found["page"]) == {"self_attention"} and len(found) == len(verdicts)
    assert set(found["part"]) == {"effect", "null", "pairs", "seeds", "verdict"}
    assert none.empty


def test_the_answer_stands_below_the_title(tmp_path):
    title = new_markdown_cell("# Does it hold?\n\nThis page follows a paper.")
    path = tmp_path / "page.ipynb"
    nbformat.write(new_notebook(cells=[title]), path)
    record = {
        "notebook": "page", "commit": "", "uncommitted_changes": False, "date": "", "seconds": 1, "versions": {},
        "parameters": {}, "outputs": [], "fingerprint": {"notebook": "", "checkpoints": {}, "data": {}, "lock": {}, "lib": {}, "claims": {}, "key": ""},
    }  # fmt: skip
    cells = nbformat.reads(for_book(path, record, answer="<p>Yes.</p>"), as_version=4).cells
    assert cells[1].source == "# Does it hold?\n\n<p>Yes.</p>\n\nThis page follows a paper."
