"""What the rules say of the papers agrees with the published values, and the figures that they name
exist."""

import pandas as pd
import pytest

from lib.report.claims import load_claims
from lib.report.published import PUBLISHED

RULES = load_claims()


def published(name: str, index: str, columns: str, values: str) -> pd.DataFrame:
    return pd.read_csv(PUBLISHED / f"{name}.csv").pivot(index=index, columns=columns, values=values)


def expected() -> dict[str, list[str]]:
    """Claim -> the numbers that its ``reported`` must hold, computed from the published tables."""
    sizes = pd.read_csv(PUBLISHED / "park_fig1_downstream.csv").set_index(
        ["panel", "model", "size"]
    )
    left, coco = (
        sizes.loc["left"].droplevel("size"),
        sizes.loc["right"].droplevel("size")["coco_ap"],
    )
    short = [
        sizes.loc["middle", "simmim-short", s]["fine_tune"]
        - sizes.loc["middle", "moco-v3-short", s]["fine_tune"]
        for s in ("ti", "b")
    ]
    attention = pd.read_csv(PUBLISHED / "park_notebook_moco_v3_attention.csv").iloc[-1]
    fourier = published("park_fig9_fourier", "depth", "model", "delta_log_amplitude").loc[1:]
    probe = published("park_fig10_linear_probe_by_depth", "depth", "model", "top1_percent")
    mae = published("park_fig11b_mae_fourier", "depth", "part", "delta_log_amplitude")
    hybrid = pd.read_csv(PUBLISHED / "park_fig12_hybrid.csv").set_index("lambda")
    table = pd.read_csv(PUBLISHED / "ssla_table1.csv").pivot(
        index=["method", "mask_rate_percent"], columns="strategy", values="cosine"
    )
    cells = table.query("0 < mask_rate_percent < 100")
    important, unimportant = (
        (cells["mask_important"] - cells["random"]).round(4),
        (cells["random"] - cells["mask_unimportant"]).round(4),
    )
    smallest = [values.groupby("method").mean().min() for values in (important, unimportant)]
    return {
        "B1-linear-probe": [f"{left['linear_probe'][m]:.1f} %" for m in ("moco-v3", "simmim")],
        "B1-fine-tuning": [f"{left['fine_tune'][m]:.1f} %" for m in ("simmim", "moco-v3")],
        "B1-model-size": [f"{gain:+.1f}" for gain in short],
        "B1-dense": [f"{coco[m]:.1f} (" for m in ("mae", "beit", "moco-v3")],
        "B3-distance-late": [f"{attention['attention_distance_px']:.1f} px"],
        "B4-collapse": [f"{attention['nmi']:.3f}"],
        "B9-frequency": [f"{fourier[m].mean():.2f}" for m in ("simmim", "moco-v3")],
        "B9-mim-ends-low": [
            f"{fourier['simmim'][depth]:.2f} after block {depth}" for depth in (8, 12)
        ],
        "B10-early": [f"{probe[m][:4].mean():.1f} %" for m in ("simmim", "moco-v3")],
        "B10-cl-rises": [
            f"{probe['moco-v3'][depth]:.1f} % after block {depth}" for depth in (8, 12)
        ],
        "B10-mim-falls": [
            f"{probe['simmim'][depth]:.1f} % after block {depth}" for depth in (8, 12)
        ],
        "B10-best": [f"{probe[m].max():.1f} %" for m in ("moco-v3", "simmim", "mae")],
        "B11-decoder-low": [f"{mae['encoder'][12]:.2f}", f"{mae['decoder'][13:].mean():.2f}"],
        "B11-late-probe": [f"{probe[m][12] - probe[m][8]:+.1f}" for m in ("mae", "simmim")],
        "B12-linear-probe": [
            f"{hybrid['linear_probe'][w]:.1f} % at λ = {w:g}" for w in (0.2, 1, 0)
        ],
        "B12-fine-tuning": [f"{hybrid['fine_tune'][w]:.2f} % at λ = {w:g}" for w in (0.2, 0, 1)],
        "A3-important-r1": [f"all {(important > 0).sum()} cells", f"+{smallest[0]:.3f}"],
        "A3-unimportant-r1": [
            f"{(unimportant > 0).sum()} cells lie below",
            f"{(unimportant == 0).sum()} tie",
            f"+{smallest[1]:.3f}",
        ],
    }


@pytest.mark.parametrize(("name", "numbers"), expected().items())
def test_numbers_are_those_of_the_published_tables(name, numbers):
    text = RULES[name]["reported"]
    assert [number for number in numbers if number.replace("-", "−") not in text] == []


def test_every_claim_says_what_the_paper_reported():
    assert all(rule["reported"] and not rule["reported"].endswith(".") for rule in RULES.values())
    # both readings of the settings stand against one table
    for what in ("important", "unimportant"):
        assert RULES[f"A3-{what}-r1"]["reported"] == RULES[f"A3-{what}-r2"]["reported"]
