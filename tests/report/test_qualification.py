"""Who is a good encoder."""

import numpy as np
import pandas as pd
import pytest

from lib.report.intervals import bootstrap_mean
from lib.report.qualification import qualification
from lib.report.tables import COLUMNS


def right(share, n=400, seed=0):
    return (np.random.default_rng(seed).random(n) < share).astype(float)


CORRECT = {
    "good": right(0.9), "like pixels": right(0.8, seed=1), "poor": right(0.5, seed=2),
    "raw pixels": right(0.8, seed=3), "random": right(0.6, seed=4),
}  # fmt: skip


def test_a_good_encoder_exceeds_every_reference_by_its_paired_interval():
    references = {name: ["raw pixels", "random"] for name in ("good", "like pixels", "poor")}
    table = qualification(CORRECT, references, seed=2)
    assert list(table.columns) == [*COLUMNS, "qualified"] and len(table) == 6
    good = dict(zip(table["encoder"], table["qualified"], strict=True))
    assert good == {"good": True, "like pixels": False, "poor": False}
    row = table.iloc[0]
    expected = bootstrap_mean(CORRECT["good"] - CORRECT["raw pixels"], seed=2)
    assert row[["value", "low", "high"]].tolist() == pytest.approx([float(x) for x in expected])


def test_random_weights_alone_are_not_enough_to_beat():
    table = qualification(CORRECT, {"like pixels": ["random"]})
    assert table["qualified"].all()  # and so raw pixels must be among the references
    assert not qualification(CORRECT, {"like pixels": ["random", "raw pixels"]})["qualified"].any()


def test_without_references_none_is_good():
    assert isinstance(qualification(CORRECT, {"good": []}), pd.DataFrame)
    assert qualification(CORRECT, {"good": []}).empty
