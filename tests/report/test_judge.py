"""Verdicts in four parts: by hand, against a second way of writing the rule, and as properties."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.report.judge import (
    ANSWERS,
    CASES,
    PARTS,
    UNTESTED,
    VERDICT_COLUMNS,
    VERDICTS,
    Compared,
    answer,
    judge,
    measured_cases,
    over_seeds,
    together,
    verdict,
)  # fmt: skip

RULE = dict(threshold=0.05, compares="CL − MIM", untrained="CL")
RESAMPLES, N = 400, 100


def statistic(mean, spread=0.002, seed=0):
    """A value over all images, then over resamples."""
    noise = np.random.default_rng(seed).normal(size=RESAMPLES) * spread
    return np.concatenate([[mean], mean + noise])


NULLS = {"random weights": statistic(0.3, seed=7), "random weights 2": statistic(0.31, seed=8)}


def compared(*names, **options):
    """Encoders whose names begin with their family."""
    roles = {name: {name.partition("-")[0], "encoder"} for name in names}
    return Compared(roles, dict.fromkeys(names, list(NULLS)), **options)


def words(found):
    return dict(zip(found["part"], found["word"], strict=True))


def judged(values, rule=RULE, **options):
    cases = measured_cases("X", rule, values | NULLS, compared(*values, **options), N)
    return words(judge(cases, {"X": rule}))


TRAINED = {
    "CL-a": statistic(0.8, seed=1),
    "CL-b": statistic(0.7, seed=2),
    "MIM-a": statistic(0.2, seed=3),
    "MIM-b": statistic(0.25, seed=4),
}


def test_every_pair_is_a_case_and_every_place_is_exchanged():
    cases = measured_cases("X", RULE, TRAINED | NULLS, compared(*TRAINED), N)
    assert list(cases.columns) == CASES
    of_kind = cases.groupby("kind")["encoders"].apply(list)
    assert of_kind["trained"] == ["CL-a · MIM-a", "CL-a · MIM-b", "CL-b · MIM-a", "CL-b · MIM-b"]
    assert (
        len(of_kind["untrained"]) == 4 * 2 * 2
        and len(of_kind["learned"]) == 4 * 2
        and "seeds" not in of_kind
    )
    row = cases[
        (cases["kind"] == "learned")
        & (cases["encoders"] == "CL-a · MIM-b")
        & (cases["place"] == "CL")
    ].iloc[0]
    assert row["effect"] == pytest.approx(
        0.8 - 0.31
    )  # the random network nearest to the trained encoder; the other one cancels
    row = cases[
        (cases["kind"] == "untrained")
        & (cases["encoders"] == "CL-a · random weights")
        & (cases["place"] == "MIM")
    ].iloc[0]
    assert row["effect"] == pytest.approx(0.5)


def test_a_claim_that_holds_by_learning_is_reproduced():
    assert judged(TRAINED) == dict(
        effect="yes", null="yes", pairs="yes", seeds=UNTESTED, verdict="reproduced"
    )


@pytest.mark.parametrize("null", NULLS)
def test_random_weights_in_the_place_of_an_encoder_take_the_learning_away(null):
    exchanged = {"CL-a": NULLS[null], "MIM-a": TRAINED["MIM-a"]}
    found = judged(exchanged)
    assert (
        found["effect"] == "yes"
    )  # the untrained network still differs from the masked image model
    assert found["null"] == "no" and found["verdict"] == "holds, but not by learning"


def test_an_encoder_below_random_weights_has_not_learned_it():
    found = judged({"CL-a": statistic(0.28), "MIM-a": statistic(0.1)})
    assert found["verdict"] == "holds, but not by learning"


@pytest.mark.parametrize(
    ("other", "expected"),
    [(0.9, "reproduced"), (0.1, "depends on the pair or the seed"), (0.35, "undecided")],
)
def test_pairs_that_disagree_decide_together(other, expected):
    rule = RULE | dict(untrained=None)
    values = {
        "CL-a": statistic(0.8, seed=1),
        "MIM-a": statistic(0.3, seed=3),
        "CL-b": statistic(other, 0.02, seed=5),
    }
    cases = measured_cases("X", rule, values | NULLS, compared(*values), N)
    assert words(judge(cases, {"X": rule}))["verdict"] == expected


def test_an_unqualified_encoder_neither_supports_nor_refutes():
    rule = RULE | dict(needs="CL")
    assert (
        judged(TRAINED, rule)["verdict"] == UNTESTED
        and judged(TRAINED, rule, qualified=dict.fromkeys(TRAINED, False))["effect"] == UNTESTED
    )
    low = TRAINED | {"CL-b": statistic(0.1)}
    found = judged(low, rule, qualified={"CL-a": True, "CL-b": False})
    assert found["verdict"] == "reproduced" and found["pairs"] == "yes"
    assert judged(low, RULE)["verdict"] == "depends on the pair or the seed"
    assert (
        judged(
            {"CL-a": TRAINED["CL-a"], "MIM-a": TRAINED["MIM-a"]}, rule, qualified={"CL-a": True}
        )["pairs"]
        == UNTESTED
    )


def test_a_claim_about_any_network_must_hold_for_random_weights_too():
    rule = dict(threshold=0.5, compares="encoder", untrained="holds")
    values = {"CL-a": statistic(0.8), "CL-b": statistic(0.9)}
    assert (
        judged(values, rule)["verdict"] == "depends on the pair or the seed"
    )  # random weights have 0.3
    assert judged(values, rule | dict(threshold=0.2))["verdict"] == "reproduced"
    assert judged({"CL-a": statistic(0.8)}, rule)["null"] == "no"


def test_what_was_not_measured_makes_no_case():
    cases = measured_cases(
        "X", RULE, {"CL-a": statistic(0.8)}, compared("CL-a", "CL-b", "MIM-a"), N
    )
    assert cases.empty and list(cases.columns) == CASES and judge(cases, {"X": RULE}).empty
    with pytest.raises(ValueError, match="no rule in book/claims.yaml for X"):
        judge(measured_cases("X", RULE, TRAINED | NULLS, compared(*TRAINED), N), {"Y": RULE})
    with pytest.raises(ValueError, match="X: expected statistics of one shape"):
        measured_cases("X", RULE, TRAINED | {"CL-a": np.zeros(3)}, compared(*TRAINED), N)


def seeds(means, start=20):
    return {
        f"{name}-{i}": statistic(mean, seed=start + 10 * j + i)
        for j, (name, of) in enumerate(means.items())
        for i, mean in enumerate(of)
    }


@pytest.mark.parametrize(
    ("cl", "word", "expected"),
    [
        ((0.8, 0.8), UNTESTED, "reproduced"),  # two seeds are not enough
        ((0.8, 0.82, 0.81), "yes", "reproduced"),
        ((0.8, 0.34, 0.34), "unclear", "depends on the pair or the seed"),
    ],
)
def test_three_seeds_of_one_length_are_judged_with_their_images(cl, word, expected):
    values = seeds({"CL": cl, "MIM": (0.3, 0.3, 0.3)})
    trainings = {name: name.partition("-")[0] + " of one length" for name in values}
    found = judged(values, RULE, trainings=trainings)
    assert found["seeds"] == word and found["verdict"] == expected


def test_seeds_of_different_length_are_not_put_together():
    values = seeds({"CL": (0.8,) * 3, "MIM": (0.2,) * 3})
    trainings = {
        name: name.partition("-")[0] + (" long" if name.endswith("2") else "") for name in values
    }
    assert judged(values, trainings=trainings)["seeds"] == UNTESTED


def test_the_interval_over_seeds_is_that_of_a_naive_hierarchical_bootstrap():
    random = np.random.default_rng(3)
    images = [random.normal(size=60) * 0.3 + mean for mean in (0.2, 0.5, 0.9)]
    counts = random.multinomial(60, np.full(60, 1 / 60), size=4000)
    group = [np.concatenate([[x.mean()], counts @ x / 60]) for x in images]
    found = over_seeds([group], seed=1)
    assert found[0] == pytest.approx(np.mean([x.mean() for x in images]))
    naive = []
    for _ in range(4000):
        chosen = random.integers(60, size=60)
        naive.append(np.mean([images[k][chosen].mean() for k in random.integers(3, size=3)]))
    assert np.quantile(found[1:], [0.025, 0.5, 0.975]) == pytest.approx(
        np.quantile(naive, [0.025, 0.5, 0.975]), abs=0.03
    )
    assert np.std(found[1:]) > 2 * np.std(np.mean(group, 0)[1:])  # seeds add to images


interval = st.tuples(st.floats(-1, 1), st.floats(0, 0.5)).map(
    lambda pair: (pair[0], pair[0] + pair[1])
)


@given(interval, st.floats(-1, 1), st.floats(0.001, 1))
def test_moving_an_interval_up_never_makes_a_claim_worse(ends, threshold, step):
    rank = {"no": 0, "unclear": 1, "yes": 2}
    low, high = ends
    assert rank[answer(low + step, high + step, threshold)] >= rank[answer(low, high, threshold)]


@given(st.floats(-1, 1), st.floats(0.01, 1), st.floats(0, 0.04), st.booleans())
def test_what_another_processor_could_turn_over_is_unclear(low, width, hair, above):
    """A threshold nearer to an end of the interval than a twentieth of its width."""
    high = low + width
    threshold = low - hair * width if above else high + hair * width
    assert answer(low, high, threshold) == "unclear"
    clear = low - 0.06 * width if above else high + 0.06 * width
    assert answer(low, high, clear) == ("yes" if above else "no")


part = st.sampled_from(ANSWERS)


@given(
    st.fixed_dictionaries(
        {
            "effect": st.sampled_from(["yes", "no", "unclear", UNTESTED]),
            "null": part,
            "pairs": part,
            "seeds": part,
        }
    )
)
def test_a_verdict_is_what_its_sentence_says(parts):
    found = verdict(parts)
    assert found in VERDICTS
    asked = [parts[p] for p in ("effect", "pairs", "seeds") if parts[p] not in (UNTESTED,)]
    if found == "reproduced":
        assert set(asked) == {"yes"} and parts["null"] in ("yes", "unclear", "not asked")
    if found == "not reproduced":
        assert set(asked) == {"no"}
    if found == "holds, but not by learning":
        assert set(asked) == {"yes"} and parts["null"] == "no"
    if parts["effect"] == UNTESTED:
        assert found == UNTESTED
    elif {"yes", "no"} <= set(asked):
        assert found == "depends on the pair or the seed"


@given(st.lists(st.sampled_from(["yes", "no", "unclear", "mixed"]), max_size=6), st.randoms())
def test_the_order_of_the_cases_does_not_matter(answers, random):
    shuffled = random.sample(answers, len(answers))
    assert together(answers) == together(shuffled) and together([*answers, *answers]) == together(
        answers
    )


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.floats(-1, 1), min_size=4, max_size=4),
    st.sampled_from(["CL", "MIM", None, "holds"]),
    st.sampled_from([0.0, 0.05]),
)
def test_verdicts_recomputed_from_the_written_table_are_the_same(means, untrained, threshold):
    """A second way of writing the rule, with loops, on the columns of the table alone."""
    rule = dict(threshold=threshold, compares="CL − MIM") | (
        {"untrained": untrained} if untrained else {}
    )
    values = {
        name: statistic(mean, seed=i)
        for i, (name, mean) in enumerate(zip(TRAINED, means, strict=True))
    }
    cases = measured_cases("X", rule, values | NULLS, compared(*values), N)
    found = judge(cases, {"X": rule})
    assert list(found.columns) == VERDICT_COLUMNS and list(found["part"]) == [*PARTS, "verdict"]
    rows = [row for row in cases.to_dict("records") if row["qualified"]]
    above, below, learned = [], [], []
    for row in rows:
        if row["kind"] == "trained" or (row["kind"] == "untrained" and untrained == "holds"):
            above.append(row["low"] > threshold)
            below.append(row["high"] < threshold)
        if row["kind"] == "learned" and row["place"] == untrained:
            learned.append(row["low"] > 0)
    if any(above) and any(below):
        expected = "depends on the pair or the seed"
    elif not all(above) and not all(below):
        expected = "undecided"
    elif all(below):
        expected = "not reproduced"
    elif not learned or all(learned):
        expected = "reproduced"
    else:
        expected = (
            "depends on the pair or the seed" if any(learned) else "holds, but not by learning"
        )
    assert words(found)["verdict"] == expected


def test_numbers_stand_beside_the_words_they_decide():
    cases = measured_cases("X", RULE, TRAINED | NULLS, compared(*TRAINED), N)
    found = judge(cases, {"X": RULE}).set_index("part")
    assert found.loc["effect", "effect"] == pytest.approx(0.6) and found.loc[
        "pairs", "effect"
    ] == pytest.approx(0.45)  # the least of four
    assert found.loc["null", "effect"] == pytest.approx(0.7 - 0.31) and list(found["cases"]) == [
        1,
        4,
        4,
        0,
        4,
    ]
    assert pd.isna(found.loc["seeds", "effect"]) and (found["n"].dropna() == N).all()
