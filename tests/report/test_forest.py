"""The forest plot shows every case once, at its place."""

import numpy as np
import pytest

from lib.report.forest import LOOKS, forest_figure, rows_of
from lib.report.judge import Compared, measured_cases

RULES = {
    "X": {"threshold": 0.05, "compares": "CL − MIM", "untrained": "CL"},
    "Y": {"threshold": 0.0, "compares": "MIM − CL", "untrained": "CL"},
    "Z": {"threshold": 0.1, "compares": "CL", "untrained": "CL", "needs": "CL"},
}
NULLS = ["random weights", "random weights (seed 1)"]


pytestmark = pytest.mark.usefixtures("book_style")


def cases(claim, seeds=1):
    names = [f"g/cl-{i}" for i in range(seeds)] + [f"g/mim-{i}" for i in range(seeds)]
    roles = {name: {"CL" if "cl-" in name else "MIM"} for name in names}
    trainings = {name: "MoCo" if "cl-" in name else "SimMIM" for name in names}
    random = np.random.default_rng(0)
    statistic = {n: random.normal(size=50) * 0.01 + i for i, n in enumerate([*names, *NULLS])}
    compared = Compared(roles, dict.fromkeys(names, NULLS), trainings)
    return measured_cases(claim, RULES[claim], statistic, compared, 9)


def test_lines_are_trained_then_random_in_the_place_of_the_rule_then_seeds():
    lines = rows_of(cases("X", seeds=3), RULES["X"])
    assert list(lines["look"]) == ["trained"] * 9 + ["random weights"] * 6 + ["seeds and images"]
    assert lines["label"].iloc[0] == "cl-0 · mim-0"
    assert set(lines["label"].iloc[9:15]) == {f"random weights · mim-{i}" for i in range(3)}
    assert lines["label"].iloc[15] == "MoCo · SimMIM"


def test_a_pair_has_one_label_whichever_is_subtracted():
    assert list(rows_of(cases("X"), RULES["X"])["label"]) == list(
        rows_of(cases("Y"), RULES["Y"])["label"]
    )


def test_an_encoder_that_is_not_good_is_hollow():
    assert list(rows_of(cases("Z"), RULES["Z"])["look"])[:1] == ["trained, not a good encoder"]
    forms = [(look["marker"], look.get("mfc"), look["color"]) for look in LOOKS.values()]
    assert len({form[:2] for form in forms}) == len(LOOKS)  # told apart in grey too


def test_claims_of_the_same_cases_stand_side_by_side_with_their_thresholds():
    import pandas as pd

    table = pd.concat([cases(claim) for claim in RULES])
    figure = forest_figure(table, RULES)
    drawn = [axes for axes in figure.axes if axes.get_title()]
    assert [axes.get_title() for axes in drawn] == ["X", "Y", "Z"]
    thresholds = [axes.lines[-1].get_xdata()[0] for axes in drawn]
    assert thresholds == [RULES[axes.get_title()]["threshold"] for axes in drawn]
    figure.canvas.draw()
    assert drawn[0].get_position().y0 == pytest.approx(drawn[1].get_position().y0)
    assert drawn[2].get_position().y1 < drawn[0].get_position().y0
    x = cases("X")
    shown = {
        round(float(line.get_xdata()[0]), 6)
        for line in drawn[0].lines[:-1]
        if len(line.get_xdata()) == 1
    }
    wanted = x[(x["kind"] == "trained") | (x["place"] == "CL") & (x["kind"] == "untrained")]
    assert {round(v, 6) for v in wanted["effect"]} <= shown


def test_without_cases_it_says_so():
    figure = forest_figure(cases("X").head(0), RULES)
    assert "No claim" in figure.axes[0].texts[0].get_text()
