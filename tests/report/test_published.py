import math

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from lib.report.published import PUBLISHED, load_published, rank_correlation

PARK = "park_notebook_moco_v3_attention"
LINE = pd.DataFrame({"relative_depth": np.arange(1, 13) / 12, "value": np.arange(12.0)})
HILL = pd.DataFrame({"relative_depth": [0.25, 0.5, 0.75, 1.0], "value": [0.0, 4.0, 2.0, 1.0]})


@pytest.mark.parametrize(
    ("column", "first", "last", "largest"),
    [("attention_distance_px", 110.5, 113.6, 16 * math.hypot(13, 13)), ("nmi", 0.062, 0.009, 1)],
)
def test_published_curves(column, first, last, largest):
    curve = load_published(PARK, column)
    assert list(curve.columns) == ["relative_depth", "value"]
    assert curve["relative_depth"].tolist() == pytest.approx([depth / 12 for depth in range(1, 13)])
    assert (curve["value"].iloc[0], curve["value"].iloc[-1]) == (first, last)
    assert curve["value"].between(0, largest).all()


def test_every_published_file_is_described():
    readme = (PUBLISHED / "README.md").read_text()
    files = [path.name for path in PUBLISHED.glob("*.csv")]
    assert files and all(f"`{name}`" in readme for name in files)


@pytest.mark.parametrize(
    ("name", "column", "error"),
    [("nobody", "nmi", FileNotFoundError), (PARK, "accuracy", KeyError)],
)
def test_unknown_names(name, column, error):
    with pytest.raises(error, match="nobody|accuracy"):
        load_published(name, column)


@pytest.mark.parametrize(
    ("ours", "published", "expected"),
    [
        (np.arange(8) ** 3, LINE, 1),  # ranks alone count
        (-np.arange(8), LINE, -1),
        ([0, 4, 2, 1], HILL, 1),
        # interpolated at 1/8 … 1
        (
            [0, 1, 2, 3, 4, 3.5, 3, 2],
            HILL,
            spearmanr([0, 1, 2, 3, 4, 3.5, 3, 2], [0, 0, 2, 4, 3, 2, 1.5, 1]).statistic,
        ),
    ],
)
def test_rank_correlation(ours, published, expected):
    found = rank_correlation(ours, published)
    assert type(found) is float and found == pytest.approx(expected)


def test_a_curve_correlates_perfectly_with_itself():
    curve = load_published(PARK, "nmi")
    assert rank_correlation(curve["value"], curve) == pytest.approx(1)


def test_rows_of_one_model_and_a_curve_that_begins_before_the_first_block():
    simmim = load_published("park_fig9_fourier", "delta_log_amplitude", model="simmim")
    assert len(simmim) == 13 and simmim["relative_depth"].iloc[[0, -1]].tolist() == [0, 1]
    assert simmim["value"].iloc[[0, -1]].tolist() == [-2.0, -2.31]
    assert rank_correlation(simmim["value"], simmim, first_depth=0) == pytest.approx(1)
    with pytest.raises(ValueError, match="park_fig9_fourier.csv has no rows with {'model': 'mae'}"):
        load_published("park_fig9_fourier", "delta_log_amplitude", model="mae")


def test_the_first_depth_sets_where_the_published_curve_is_read():
    fall = pd.DataFrame({"relative_depth": [0.0, 0.5, 1.0], "value": [3.0, 2.0, 5.0]})
    assert rank_correlation([3.0, 2.0, 5.0], fall, first_depth=0) == pytest.approx(1)
    assert rank_correlation([2.0, 5.0], fall, first_depth=1) == pytest.approx(1)
