import numpy as np
import pytest
from scipy import stats

from lib.report.intervals import bootstrap_mean, bootstrap_over, bootstrap_sums


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


SAMPLES = {
    "normal": normal(50),
    "skewed": np.random.default_rng(1).exponential(size=30),
    "scores": np.array([0.0, 1.0, 1.0, 0.0, 1.0] * 8),
}


@pytest.mark.parametrize("sample", SAMPLES.values(), ids=SAMPLES)
def test_agrees_with_scipy(sample):
    mean, low, high = bootstrap_mean(sample, resamples=4000)
    reference = stats.bootstrap(
        (sample,), np.mean, n_resamples=4000, method="percentile", rng=np.random.default_rng(0)
    ).confidence_interval
    error = 0.2 * stats.sem(sample)  # three Monte-Carlo standard errors of both quantiles
    assert mean == pytest.approx(sample.mean())
    assert low == pytest.approx(reference.low, abs=error) and high == pytest.approx(
        reference.high, abs=error
    )


def test_equals_resampling_in_loops():
    sample = normal(7)
    counts = np.random.default_rng(4).multinomial(7, [1 / 7] * 7, size=500)
    means = sorted(
        np.mean([value for value, count in zip(sample, row, strict=True) for _ in range(count)])
        for row in counts
    )
    _, low, high = bootstrap_mean(sample, resamples=500, seed=4)
    at = lambda share: np.interp(share * 499, np.arange(500), means)  # noqa: E731
    assert (low, high) == pytest.approx((at(0.025), at(0.975)))


def test_covers_the_true_mean_about_95_times_in_100():
    _, low, high = bootstrap_mean(normal(60, 2000), resamples=500)
    covered = ((low < 0) & (high > 0)).mean()
    assert 0.92 < covered < 0.96  # slightly below 0.95, as known of the percentile bootstrap


@pytest.mark.parametrize("shape", [(9,), (9, 3), (9, 2, 4), (1, 2)])
def test_shapes(shape):
    found = bootstrap_mean(normal(*shape), resamples=50)
    assert all(part.shape == shape[1:] for part in found)
    assert (found[1] <= found[0] + 1e-12).all() and (found[0] <= found[2] + 1e-12).all()


def test_each_column_is_treated_alone_and_all_calls_share_the_resamples():
    a, b = normal(40, seed=1), normal(40, seed=2)
    together = np.array(bootstrap_mean(np.stack([a, b], 1)))
    assert together[:, 0].tolist() == pytest.approx([*bootstrap_mean(a)], abs=1e-14)
    assert together[:, 1].tolist() == pytest.approx([*bootstrap_mean(b)], abs=1e-14)
    shifted = np.array(bootstrap_mean(a + 5)) - 5
    assert shifted == pytest.approx(np.array(bootstrap_mean(a)), abs=1e-12)


def test_differences_on_the_same_images_are_paired():
    easy = 10 * normal(40, seed=1)  # images differ far more than encoders
    other = easy + 0.5 + 0.1 * normal(40, seed=2)
    _, low, high = bootstrap_mean(other - easy)
    assert 0.45 < low < high < 0.55
    _, low, high = bootstrap_mean(other)
    assert high - low > 4


def test_the_seed_decides():
    assert (
        bootstrap_mean(normal(20), seed=1)
        == bootstrap_mean(normal(20), seed=1)
        != bootstrap_mean(normal(20), seed=2)
    )


def test_equal_images_leave_no_doubt():
    assert bootstrap_mean(np.full(5, 0.3)) == pytest.approx((0.3, 0.3, 0.3))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (3.0, r"got shape \(\)"),
        ([], r"got shape \(0,\)"),
        (np.zeros((0, 4)), r"got shape \(0, 4\)"),
        ([1, np.nan], "finite"),
        ([1, -np.inf], "finite"),
    ],
)
def test_refusals(values, message):
    with pytest.raises(ValueError, match=message):
        bootstrap_mean(values)


@pytest.mark.parametrize("values", [np.zeros((0, 4)), [1, np.nan]])
def test_sums_refuse_what_means_refuse(values):
    with pytest.raises(ValueError, match="expected"):
        bootstrap_sums(values, np.sqrt)


def test_a_sum_is_a_mean_times_the_images():
    sample = normal(30, 2)
    assert np.array(bootstrap_sums(sample, lambda sums: sums / 30)) == pytest.approx(
        np.array(bootstrap_mean(sample))
    )


def test_a_ratio_of_sums_agrees_with_scipy():
    counts = np.random.default_rng(3).poisson(4, size=(60, 2)) + np.array([0, 3])
    point, low, high = bootstrap_sums(counts, lambda sums: sums[:, 0] / sums[:, 1], resamples=4000)
    ratio = lambda a, b, axis: a.sum(axis) / b.sum(axis)  # noqa: E731
    reference = stats.bootstrap(
        (counts[:, 0], counts[:, 1]),
        ratio,
        n_resamples=4000,
        method="percentile",
        paired=True,
        rng=np.random.default_rng(0),
    )
    assert point == pytest.approx(counts[:, 0].sum() / counts[:, 1].sum())
    assert (low, high) == pytest.approx(
        tuple(reference.confidence_interval), abs=0.2 * reference.standard_error
    )


def test_differences_of_ratios_on_the_same_images_are_paired():
    # two encoders that agree on every image
    hits = (np.random.default_rng(0).random((200, 1, 2)) < 0.5) * np.ones((1, 2, 1))
    ratio = lambda sums: sums[..., 0] / sums.sum(-1)  # noqa: E731
    assert bootstrap_sums(hits, lambda sums: ratio(sums)[:, 0] - ratio(sums)[:, 1]) == (0, 0, 0)
    _, low, high = bootstrap_sums(hits[:, 0], ratio)
    assert high - low > 0.05


def test_any_statistic_of_indices():
    sample = np.random.default_rng(0).normal(size=(300, 2))
    point, low, high = bootstrap_over(lambda i: sample[i].mean(0), 300, resamples=2000, seed=1)
    _, expected_low, expected_high = bootstrap_mean(sample, seed=2)
    assert point == pytest.approx(sample.mean(0))
    assert low == pytest.approx(expected_low, abs=0.02) and high == pytest.approx(
        expected_high, abs=0.02
    )
    again = bootstrap_over(lambda i: sample[i].mean(0), 300, resamples=2000, seed=1)
    assert np.array_equal(low, again[1])
    seen = []
    bootstrap_over(lambda i: seen.append(i) or i.mean(), 300, resamples=3)
    assert all(len(i) == 300 and len(set(i)) < 250 for i in seen[:3]) and np.array_equal(
        seen[3], np.arange(300)
    )
