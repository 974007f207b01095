import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lib.probes.token_shift import common_shift, log_spread, principal_axes


def tokens(seed, n=6, width=4):
    return torch.randn(
        2, n, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64
    )


def test_one_vector_for_all_is_wholly_common_and_keeps_distances():
    before = tokens(0)
    after = before + torch.tensor([1.0, -2.0, 0.5, 0.0])
    assert common_shift(before, after).tolist() == pytest.approx([1, 1])
    assert log_spread(before, after).tolist() == pytest.approx([0, 0], abs=1e-12)


def test_no_shift_is_not_common():
    assert common_shift(tokens(0), tokens(0)).tolist() == [0, 0]


@given(st.integers(0, 1000), st.floats(0.1, 10))
def test_moving_away_from_the_mean_is_no_common_shift(seed, factor):
    before = tokens(seed)
    mean = before.mean(1, keepdim=True)
    after = mean + factor * (before - mean)
    assert log_spread(before, after).exp().tolist() == pytest.approx([factor, factor])
    if abs(factor - 1) > 1e-3:
        assert common_shift(before, after).tolist() == pytest.approx([0, 0], abs=1e-9)


def test_spread_against_all_pairs():
    before, after = tokens(1), tokens(2) * 3
    rms = [torch.cdist(x, x).square().mean((1, 2)).sqrt() for x in (before, after)]
    assert torch.allclose(log_spread(before, after), (rms[1] / rms[0]).log())


def test_common_share_against_a_loop():
    before, after = tokens(1), tokens(2)
    for b in range(2):
        shifts = [after[b, t] - before[b, t] for t in range(6)]
        mean = sum(shifts) / 6
        assert common_shift(before, after)[b].item() == pytest.approx(
            (mean @ mean / (sum(s @ s for s in shifts) / 6)).item()
        )


def test_axes_keep_distances_when_all_are_kept_and_are_sorted():
    before, after = tokens(3)[0], tokens(4)[0]
    a, b = principal_axes(before, after, 4)
    assert torch.allclose(torch.cdist(a, b), torch.cdist(before, after))
    spread = torch.cat([a, b]).square().sum(0)
    assert (spread.diff() <= 0).all()
    assert torch.allclose(principal_axes(before, after, 2)[0], a[:, :2])


def test_bad_input_is_named():
    with pytest.raises(ValueError, match=r"\(2, 6, 4\) and \(2, 5, 4\)"):
        common_shift(tokens(0), tokens(0, n=5))
    with pytest.raises(ValueError, match="all the same"):
        log_spread(torch.ones(1, 3, 2), tokens(0)[:1, :3, :2])


def test_rounding_is_no_shift_and_no_spread():
    before = 100 + torch.rand(1, 6, 4)
    assert common_shift(before, torch.nextafter(before, torch.tensor(999.0))).item() == 0
    same = torch.full((1, 6, 4), 100.0)
    same[0, 0] = torch.nextafter(same[0, 0], torch.tensor(999.0))
    with pytest.raises(ValueError, match="by more than rounding"):
        log_spread(same, before)


def test_axes_have_a_side():
    before, after = tokens(3)[0], tokens(4)[0]
    drawn = torch.cat(principal_axes(before, after))
    mirrored = torch.cat(principal_axes(-before, -after))
    for axes in (drawn, mirrored):
        assert (axes.max(0).values >= -axes.min(0).values).all()
