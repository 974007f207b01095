import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from lib.probes.linear_probe import fit_linear_probe, linear_probe


def features(n, seed, classes=3):
    """Noisy features on very different scales."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(classes, (n,), generator=generator)
    x = torch.randn(n, 6, generator=generator)
    x[:, :classes] += 1.2 * torch.eye(classes)[labels]
    return x * torch.tensor([1.0, 100.0, 0.01, 1.0, 30.0, 1.0]) + 5, labels


def direct(strength, x, y, test_x):
    """Predictions of scikit-learn's logistic regression on features standardised by the training items."""
    scaler = StandardScaler().fit(x)
    return LogisticRegression(C=strength, max_iter=300, tol=1e-3).fit(scaler.transform(x), y).predict(scaler.transform(test_x))


@pytest.mark.parametrize("strength", [1e-2, 1.0])
def test_equals_scikit_learn(strength):
    (x, y), (test_x, test_y) = features(100, 1), features(60, 2)
    expected = direct(strength, x.numpy(), y.numpy(), test_x.numpy()) == test_y.numpy()
    found = linear_probe(x, y, test_x, test_y, strengths=[strength])
    assert found.dtype == np.float64 and (found != expected).sum() <= 1  # both stop within a tolerance, from different starts
    assert 0.5 < found.mean() < 1


@pytest.mark.parametrize("reverse", [False, True])
def test_the_last_fifth_of_the_training_items_chooses_the_strength(reverse):
    strengths = [1e-5, 1e-2, 1e4][:: -1 if reverse else 1]
    x, y = (t.numpy() for t in features(40, 5))
    x = np.hstack([x, np.random.default_rng(0).normal(size=(40, 60))])  # enough noise features to overfit
    test_x, test_y = np.hstack([features(60, 2)[0].numpy(), np.random.default_rng(1).normal(size=(60, 60))]), features(60, 2)[1].numpy()
    held_out = [(direct(c, x[:32], y[:32], x[32:]) == y[32:]).mean() for c in strengths]
    assert held_out.count(max(held_out)) == 1, held_out  # one winner
    predictions = [direct(c, x, y, test_x) == test_y for c in strengths]
    assert len({tuple(p) for p in predictions}) == 3  # whose choice shows
    found = linear_probe(*(torch.from_numpy(t) for t in (x, y, test_x, test_y)), strengths=strengths)
    assert found.tolist() == predictions[int(np.argmax(held_out))].tolist()


@pytest.mark.parametrize("reverse", [False, True])
def test_of_equally_good_strengths_the_weakest_penalty_is_chosen(reverse):
    strengths = [1e-3, 1e-2, 1.0][:: -1 if reverse else 1]
    x, y = features(60, 3)
    clear = (x[:, 0] - 100 * (y != 0)).argmax().item()  # the item of class 0 that is most like it
    x[-12:], y[-12:] = x[clear].clone(), 0  # held out: what all strengths get right
    held_out = [(direct(c, x[:-12].numpy(), y[:-12].numpy(), x[-12:].numpy()) == y[-12:].numpy()).mean() for c in strengths]
    assert held_out == [1, 1, 1]
    chosen, alone = fit_linear_probe(x, y, strengths), {c: fit_linear_probe(x, y, [c]) for c in strengths}
    assert chosen[-1].C == 1.0
    assert np.allclose(chosen[-1].coef_, alone[1.0][-1].coef_, atol=0.05) and not np.allclose(chosen[-1].coef_, alone[1e-3][-1].coef_, atol=0.05)


def test_scale_of_the_features_does_not_matter():
    (x, y), (test_x, test_y) = features(100, 1), features(60, 2)
    scale = torch.tensor([1.0, 0.01, 100.0, 1.0, 1 / 30, 7.0])
    assert linear_probe(x * scale, y, test_x * scale, test_y).tolist() == linear_probe(x, y, test_x, test_y).tolist()


def test_labels_of_the_test_items_only_judge():
    (x, y), (test_x, test_y) = features(100, 1), features(60, 2)
    assert linear_probe(x, y, test_x, torch.full_like(test_y, 9)).sum() == 0


@pytest.mark.parametrize(
    ("train", "message"),
    [((torch.randn(4, 2), torch.arange(4)), "at least 5 training items"), ((torch.randn(10, 2), torch.zeros(10)), "at least 2 classes")],
)
def test_refusals(train, message):
    with pytest.raises(ValueError, match=message):
        linear_probe(*train, torch.randn(3, 2), torch.zeros(3))


def test_one_fit_judges_many_test_sets():
    x, y = features(100, 1)
    probe = fit_linear_probe(x, y)
    for seed in (2, 3):
        test_x, test_y = features(60, seed)
        assert (probe.predict(test_x.numpy()) == test_y.numpy()).tolist() == linear_probe(x, y, test_x, test_y).tolist()


def test_the_number_of_threads_does_not_change_the_result():
    (x, y), (test_x, _) = features(400, 1), features(60, 2)
    fits = []
    for threads in (1, 2):
        with threadpool_limits(threads):
            fits.append(fit_linear_probe(x, y)[-1].coef_)
    assert np.array_equal(*fits)


def test_a_class_that_is_held_out_altogether_is_learned_in_the_end():
    x, y = features(100, 3, classes=2)
    x[80:], y[80:] = x[80:] * 0 + torch.tensor([40.0, -900.0, 5.0, 40.0, 40.0, 40.0]) + torch.randn(20, 6), 2
    fitted = fit_linear_probe(x, y, strengths=[1.0])
    assert list(fitted.classes_) == [0, 1, 2] and (fitted.predict(x[80:].numpy()) == 2).all()
