import numpy as np
import pandas as pd
import pytest
import torch

from lib import paths
from lib.report.intervals import bootstrap_mean
from lib.report.tables import COLUMNS, curve_rows, depth_rows, score_row, training_log, write_table

VALUES = np.random.default_rng(0).normal(size=(20, 2, 3))


@pytest.mark.parametrize("kind", [np.asarray, torch.as_tensor])
def test_depth_rows_hold_every_head_and_their_mean(kind):
    table = depth_rows("moco", "nmi", kind(VALUES), seed=5)
    assert list(table.columns) == COLUMNS and len(table) == 2 * 4
    assert list(zip(table["depth"], table["head"], strict=True)) == [
        (depth, head) for depth in (1, 2) for head in ("mean", 1, 2, 3)
    ]
    assert (
        set(table["encoder"]) == {"moco"}
        and set(table["metric"]) == {"nmi"}
        and set(table["n"]) == {20}
    )
    for row in table.itertuples():
        of_images = (
            VALUES[:, row.depth - 1].mean(1)
            if row.head == "mean"
            else VALUES[:, row.depth - 1, row.head - 1]
        )
        assert (row.value, row.low, row.high) == pytest.approx(
            [x.item() for x in bootstrap_mean(of_images, seed=5)]
        )


def test_a_statistic_of_the_whole_block_has_one_row_a_depth():
    table = depth_rows("moco", "fourier", VALUES[:, :, :1], first_depth=0)
    assert list(zip(table["depth"], table["head"], strict=True)) == [(0, "mean"), (1, "mean")]
    assert table["value"].to_numpy() == pytest.approx(VALUES[:, :, 0].mean(0))


@pytest.mark.parametrize("shape", [(20, 2), (20,), (1, 2, 3, 4)])
def test_depth_rows_refuse_other_shapes(shape):
    with pytest.raises(
        ValueError, match=r"\(images, depth, heads\), got shape \(" + ", ".join(map(str, shape))
    ):
        depth_rows("moco", "nmi", np.zeros(shape))


def test_score_row():
    row = score_row("moco", "k-NN", torch.tensor([1.0, 0.0, 1.0, 1.0]), seed=2)
    mean, low, high = (x.item() for x in bootstrap_mean([1, 0, 1, 1], seed=2))
    assert row == dict(
        encoder="moco", depth=None, head=None, metric="k-NN", value=mean, low=low, high=high, n=4
    )
    assert list(row) == COLUMNS and mean == 0.75


def test_score_row_of_a_statistic_of_sums():
    values = np.array([[1.0, 2.0], [0.0, 3.0], [2.0, 2.0]])
    row = score_row("moco", "ratio", values, 1, lambda sums: sums[:, 0] / sums[:, 1])
    assert (
        row["value"] == pytest.approx(3 / 7)
        and row["low"] <= row["value"] <= row["high"]
        and row["n"] == 3
    )


def test_equal_tables_give_equal_files_with_six_digits(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "RESULTS", tmp_path)
    table = depth_rows("moco", "nmi", VALUES)
    path = write_table(table, "fashion", "self_attention")
    assert path == tmp_path / "fashion" / "self_attention.csv"
    first = path.read_bytes()
    assert (
        write_table(
            depth_rows("moco", "nmi", VALUES + 1e-13), "fashion", "self_attention"
        ).read_bytes()
        == first
    )
    assert b"\r" not in first and first.startswith(
        b"encoder,depth,head,metric,value,low,high,n\nmoco,1,mean,nmi,"
    )
    assert pd.read_csv(path)["value"].to_numpy() == pytest.approx(
        table["value"].to_numpy(), rel=1e-5
    )
    write_table(pd.DataFrame({"value": [1234.56789, 1e-9 / 3]}), "fashion", "digits")
    assert (tmp_path / "fashion" / "digits.csv").read_text() == "value\n1234.57\n3.33333e-10\n"


def test_training_log(tmp_path):
    (tmp_path / "log.csv").write_text("step,images,loss\n1,64,0.5\n2,128,0.25\n")
    assert training_log(tmp_path / "log.csv").to_dict("list") == dict(
        step=[1, 2], images=[64, 128], loss=[0.5, 0.25]
    )


def test_curve_rows_begin_with_the_columns_of_every_table():
    table = curve_rows(
        "moco", "accuracy", ([0.5, 0.25], [0.4, 0.2], [0.6, 0.3]), 9, strength=(0, 1)
    )
    assert list(table.columns) == [*COLUMNS, "strength"]
    assert table[["value", "low", "high", "n", "strength"]].values.tolist() == [
        [0.5, 0.4, 0.6, 9, 0],
        [0.25, 0.2, 0.3, 9, 1],
    ]
    by_depth = curve_rows("moco", "accuracy", ([0.5], [0.4], [0.6]), 9, depth=[3])
    assert list(by_depth.columns) == COLUMNS and by_depth["depth"].tolist() == [3]
