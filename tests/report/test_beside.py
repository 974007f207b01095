"""An encoder beside the study's: the numbers are those of the tables, and the leaderboard keeps what others wrote."""

import shutil

import pandas as pd
import pytest
from bs4 import BeautifulSoup

from lib.report.beside import PROVENANCE, beside_page, leaderboard, study_rows
from lib.report.comparison import COLUMNS
from lib.run.errors import StudyError
from lib.run.layout import ROOT

MINE = "custom/mine"


@pytest.fixture
def study():
    return study_rows("fashion", ROOT)


@pytest.fixture
def table(study):
    own = study[study["encoder"] == "fashion/simmim-s"].assign(encoder=MINE)
    return pd.concat([study, own], ignore_index=True)


def test_the_studys_numbers_are_those_of_its_tables(study):
    probe = pd.read_csv(ROOT / "data/results/fashion/data_and_encoders.csv")
    probe = probe[probe["metric"] == "k-NN accuracy"].set_index("encoder")["value"]
    found = study[study["statistic"] == "k-NN accuracy"].set_index("encoder")["value"]
    assert found.to_dict() == probe.to_dict()
    assert any(name.startswith("random weights") for name in found.index)


def test_each_statistic_of_mine_stands_among_the_others(table):
    soup = BeautifulSoup(beside_page(table, MINE, "results"), "html.parser")
    own = table[table["encoder"] == MINE]
    assert len(soup.select("tbody tr")) == len(own)
    for row, of in zip(soup.select("tbody tr"), own.itertuples(), strict=True):
        same = table[table["statistic"] == of.statistic]
        assert len(row.select("circle.mine")) == 1
        nulls = same["encoder"].str.startswith(("random weights", "raw pixels")).sum()
        assert len(row.select("path.null")) == nulls
        assert len(row.select("circle.study")) == len(same) - 1 - nulls
        at = {float(c["cx"]) for c in row.select("circle.study")}
        assert float(row.select_one("circle.mine")["cx"]) in at  # where its twin is
        assert row.a["href"] == f"results/{of.page}.csv"
    assert not soup.select("script, link[href], img")  # complete in itself


def test_without_a_number_of_mine_there_is_no_page(study):
    with pytest.raises(StudyError, match="no finished page has a statistic of custom/mine"):
        beside_page(study, MINE, "results")


def test_the_leaderboard_keeps_others_and_replaces_the_same(tmp_path, table):
    path = tmp_path / "leaderboard.csv"
    first = leaderboard(table[table["encoder"] != MINE], "fashion", path)
    assert list(first.columns) == [*COLUMNS, *PROVENANCE]
    row = first[first["encoder"] == "fashion/simmim-s"].iloc[0]
    assert row["method"] == "SimMIM" and len(row["sha256"]) == 64
    own = table[table["encoder"] == MINE]
    leaderboard(own, "fashion", path)
    again = leaderboard(own.assign(value=7.0), "fashion", path)
    assert len(again) == len(first) + len(own)
    read = pd.read_csv(path)
    assert set(read[read["encoder"] == MINE]["value"]) == {7.0}
    shutil.rmtree(tmp_path)
