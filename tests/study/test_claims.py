import numpy as np
import pytest
import torch
import yaml

from lib.study.claims import CLAIMS, FIELDS, VERDICTS, claims_table, early, gap, judge, judge_estimate, judge_smallest, late, load_claims, over_blocks, verdict
from lib.study.intervals import bootstrap_mean
from lib.study.pages import PAPERS

CLAIM = dict(id="A1", paper="A", figure="Fig. 1", statement="It is so.", statistic="how much", threshold=0.05)


@pytest.fixture
def write(tmp_path):
    def write(*claims):
        path = tmp_path / "claims.yaml"
        path.write_text(yaml.safe_dump(list(claims)))
        return path

    return write


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.051, 0.2, "reproduced"),
        (-1, 0.049, "not reproduced"),
        (0.049, 0.051, "undecided"),
        (0.05, 0.2, "undecided"),  # an interval that touches the threshold holds it
        (-0.2, 0.05, "undecided"),
        (0.05, 0.05, "undecided"),
    ],
)
def test_verdict(low, high, expected):
    assert verdict(low, high, 0.05) == expected and expected in VERDICTS


@pytest.mark.parametrize(("centre", "expected"), [(0.5, "reproduced"), (0.05, "undecided"), (-0.5, "not reproduced")])
@pytest.mark.parametrize("kind", [np.asarray, torch.as_tensor, list])
def test_judge(write, centre, expected, kind):
    effects = centre + np.random.default_rng(0).normal(size=30) * 0.2
    mean, low, high = bootstrap_mean(effects, seed=3)
    row = judge("A1", kind(effects), "x and y", seed=3, path=write(CLAIM | dict(id="A0", threshold=-9.0), CLAIM))
    assert row == CLAIM | dict(effect=pytest.approx(mean), low=pytest.approx(low), high=pytest.approx(high), n=30, verdict=expected, encoders="x and y")
    assert all(type(row[name]) is float for name in ("effect", "low", "high"))
    assert list(claims_table([row]).columns) == [*FIELDS, "effect", "low", "high", "n", "verdict", "encoders"]


def test_a_table_without_claims_keeps_its_columns():
    assert list(claims_table([]).columns)[: len(FIELDS)] == FIELDS and claims_table([]).empty


def test_judge_refuses_an_unknown_claim(write):
    with pytest.raises(ValueError, match="no claim 'B9' in .*; known: A1"):
        judge("B9", [1.0], "x", path=write(CLAIM))


@pytest.mark.parametrize(
    ("claims", "message"),
    [
        ([CLAIM, CLAIM], "the id 'A1' stands twice"),
        ([{k: v for k, v in CLAIM.items() if k != "threshold"}], "a claim has the fields"),
        ([CLAIM | dict(comment="?")], "a claim has the fields .* may have .*'shows', 'reported'.* got .*'comment'"),
    ],
)
def test_refuses_claims(write, claims, message):
    with pytest.raises(ValueError, match=message):
        load_claims(write(*claims))


def test_what_a_rule_says_for_the_book_plays_no_part_in_the_table(write):
    row = judge_estimate("A1", (0.2, 0.1, 0.3), 7, "m", write(CLAIM | dict(shows="fig-x", reported="So it is")))
    assert not {"shows", "reported"} & set(claims_table([row]))


def test_the_claims_of_the_study_are_complete():
    claims = load_claims(CLAIMS)
    assert claims
    for name, claim in claims.items():
        assert isinstance(claim["threshold"], float), name
        assert claim["paper"] in PAPERS and name.startswith(claim["paper"][0]), name
        assert claim["statement"].endswith(".") and all(isinstance(claim[field], str) and claim[field] for field in FIELDS[:-1]), name


@pytest.mark.parametrize("depth", range(1, 25))
def test_late_and_early_blocks(depth):
    blocks = range(1, depth + 1)
    assert late(depth) == [block - 1 for block in blocks if block / depth > 2 / 3 + 1e-9]
    assert early(depth) == [block - 1 for block in blocks if block / depth <= 1 / 3 + 1e-9]
    assert late(depth)[-1] == depth - 1


@pytest.mark.parametrize("where", [late, early])
def test_over_blocks_averages_heads_and_blocks_of_each_image(where):
    values = torch.randn(4, 8, 3, generator=torch.Generator().manual_seed(0))
    expected = [np.mean([values[i, block, head].item() for block in where(8) for head in range(3)]) for i in range(4)]
    found = over_blocks(values, where)
    assert isinstance(found, np.ndarray) and found.tolist() == pytest.approx(expected, abs=1e-6)


def test_an_effect_whose_interval_is_known(write):
    row = judge_estimate("A1", (0.2, 0.1, 0.3), 7, "m, s", write(CLAIM))
    assert row == CLAIM | dict(effect=0.2, low=0.1, high=0.3, n=7, verdict="reproduced", encoders="m, s")
    with pytest.raises(ValueError, match="no claim 'A2'"):
        judge_estimate("A2", (0.2, 0.1, 0.3), 7, "m, s", write(CLAIM))


def test_a_gap_is_of_the_late_blocks_unless_told():
    torch.manual_seed(0)
    a, b = {"nmi": torch.rand(5, 6, 3)}, {"nmi": torch.rand(5, 3, 2)}  # of different depth and heads
    assert gap(a, b, "nmi") == pytest.approx((a["nmi"][:, 4:].mean((1, 2)) - b["nmi"][:, 2:].mean((1, 2))).numpy())
    assert gap(a, b, "nmi", early) == pytest.approx((a["nmi"][:, :2].mean((1, 2)) - b["nmi"][:, :1].mean((1, 2))).numpy())


def test_a_claim_about_every_encoder_is_judged_by_the_smallest_mean(write):
    random = np.random.default_rng(0)
    effects = random.normal(size=(400, 3)) * 0.1 + [0.5, 0.2, 0.9]
    row, alone = judge_smallest("A1", effects, "three", 2, write(CLAIM)), judge("A1", effects[:, 1], "one", 2, write(CLAIM))
    assert [row[k] for k in ("effect", "low", "high")] == pytest.approx([alone[k] for k in ("effect", "low", "high")])
    equal = judge_smallest("A1", random.normal(size=(400, 3)), "three", 2, write(CLAIM))
    assert equal["high"] < judge("A1", random.normal(size=400), "one", 2, write(CLAIM))["high"]  # the smallest of three is below each
    assert row["n"] == 400
