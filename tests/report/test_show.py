import pandas as pd
import pytest
from bs4 import BeautifulSoup

from lib.report.show import folded, html_table, number, show_scores, show_table
from lib.report.tables import COLUMNS

ROWS = pd.DataFrame(
    [
        ("b", 1, "mean", "nmi", 0.5, 0.4, 0.6, 9),
        ("a", 1, "mean", "nmi", -0.25, -0.3, -0.2, 9),
        ("a", 2, "mean", "nmi", 0.125, 0.1, 0.15, 9),
        ("b", 2, "mean", "nmi", 0.75, 0.7, 0.8, 9),
        ("a", 1, 1, "nmi", 7.0, 7.0, 7.0, 9),
        ("a", 1, "mean", "distance", 8.0, 8.0, 8.0, 9),
    ],
    columns=COLUMNS,
)


def cells(html):
    return [
        [cell.text for cell in row.find_all(["th", "td"])]
        for row in BeautifulSoup(html, "html.parser").find_all("tr")
    ]


@pytest.mark.parametrize(
    ("value", "text"), [(1234.5, "1.23e+03"), (-1e-5, "−1e−05"), (0.05, "0.05"), (99.96, "100")]
)
def test_numbers_have_three_digits_and_a_true_minus(value, text):
    assert number(value) == text


def test_depth_tables_have_blocks_down_and_encoders_across_in_the_order_asked_for():
    html = show_table(ROWS, "nmi", ["b", "a"], "Caption").data
    assert cells(html) == [
        ["block", "b", "a"],
        ["1", "0.5 [0.4, 0.6]", "−0.25 [−0.3, −0.2]"],
        ["2", "0.75 [0.7, 0.8]", "0.125 [0.1, 0.15]"],
    ]
    assert BeautifulSoup(html, "html.parser").caption.text == "Caption; n = 9 images."
    assert cells(show_table(ROWS, "nmi", {"a": "CL"}, "Caption").data)[0] == ["block", "a"]


def test_score_tables_have_encoders_down_and_metrics_across():
    values = [("z", "k-NN", 0.5), ("a", "k-NN", 0.25), ("z", "probe", 0.75), ("a", "probe", 0.125)]
    scores = pd.DataFrame(
        [(encoder, None, None, metric, v, v - 0.1, v + 0.1, 9) for encoder, metric, v in values],
        columns=COLUMNS,
    )
    assert cells(show_scores(scores, "Caption").data) == [
        ["", "k-NN", "probe"],
        ["z", "0.5 [0.4, 0.6]", "0.75 [0.65, 0.85]"],
        ["a", "0.25 [0.15, 0.35]", "0.125 [0.025, 0.225]"],
    ]


def test_what_is_shown_is_escaped():
    html = folded(html_table(pd.DataFrame({"<i>": ["<b>&"]}), "<s>a</s> & c"), "<u>").data
    soup = BeautifulSoup(html, "html.parser")
    assert not soup.find_all(["i", "b", "u", "s"])
    assert (soup.summary.text, soup.caption.text, soup.td.text) == ("<u>", "<s>a</s> & c", "<b>&")
