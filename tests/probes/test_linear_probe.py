import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from scipy.special import log_softmax
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from lib.probes.linear_probe import (
    LARGEST,
    fit_linear_probe,
    linear_probe,
    strongest_within_one_standard_error,
)


def features(n, seed, classes=3, width=6):
    """Noisy features on very different scales."""
    random = np.random.default_rng(seed)
    labels = random.integers(classes, size=n)
    x = random.normal(size=(n, width))
    x[:, :classes] += 1.2 * np.eye(classes)[labels]
    scale = np.resize([1.0, 100.0, 0.01, 1.0, 30.0, 1.0], width)
    return torch.from_numpy(x * scale + 5).float(), torch.from_numpy(labels)


def correlated(n, seed):
    """Ten classes in 40 features that nearly lie in a few directions, as those of encoders do."""
    random = np.random.default_rng(seed)
    labels = random.integers(10, size=n)
    mixing = np.random.default_rng(9).normal(size=(40, 40)) * 0.7 ** np.arange(40)[:, None]
    x = (random.normal(size=(n, 40)) + 2 * np.eye(10, 40)[labels]) @ mixing
    return torch.from_numpy(x).float(), torch.from_numpy(labels)


def reference(strength, x, y):
    """scikit-learn's Newton method, to the last digits, on features standardised by the items."""
    scaler = StandardScaler().fit(x.double().numpy())
    fitted = LogisticRegression(C=strength, solver="newton-cholesky", tol=1e-10, max_iter=200)
    fitted.fit(scaler.transform(x.double().numpy()), y.numpy())
    return lambda asked: fitted.predict_proba(scaler.transform(asked.double().numpy()))


@pytest.mark.parametrize("strength", [1e-3, 1e-2, 1.0, 100.0])
@pytest.mark.parametrize("make", [features, correlated])
def test_equals_another_solver_that_has_converged(strength, make):
    (x, y), (test_x, _) = make(400, 1), make(2000, 2)
    found, expected = fit_linear_probe(x, y, [strength]), reference(strength, x, y)(test_x)
    p = np.exp(log_softmax(found.logits(test_x.numpy()), axis=1))
    assert np.abs(p - expected).max() < 1e-5
    assert np.array_equal(found.predict(test_x.numpy()), expected.argmax(1))


def test_classes_that_share_a_preconditioner_find_the_same(monkeypatch):
    (x, y), (test_x, _) = correlated(300, 1), correlated(200, 2)
    assert 10 * 41**2 < LARGEST
    own = fit_linear_probe(x, y, [0.1]).logits(test_x.numpy())
    monkeypatch.setattr(sys.modules["lib.probes.linear_probe"], "LARGEST", 41**2)
    assert np.abs(fit_linear_probe(x, y, [0.1]).logits(test_x.numpy()) - own).max() < 1e-4


def test_two_classes_and_labels_that_do_not_count_from_zero():
    (x, y), (test_x, test_y) = features(80, 1, 2), features(500, 2, 2)
    # scikit-learn has one vector for two classes, whose norm the same C penalises twice as much
    expected = np.array([3, 7])[reference(0.2, x, y)(test_x).argmax(1)]
    found = fit_linear_probe(x, 3 + 4 * y, [0.1]).predict(test_x.numpy())
    assert np.array_equal(found, expected) and (found == 3 + 4 * test_y.numpy()).mean() > 0.7


def held_out_loss(strength, x, y, fold):
    """Cross-entropy of every item by scikit-learn fits on the other folds, standardised by all."""
    z = StandardScaler().fit_transform(x.double().numpy())
    losses = np.empty(len(y))
    for out in (fold == f for f in range(5)):
        fitted = LogisticRegression(C=strength, solver="newton-cholesky", tol=1e-8)
        p = fitted.fit(z[~out], y[~out]).predict_log_proba(z[out])
        losses[out] = -p[np.arange(out.sum()), y[out]]
    return losses


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize(("n", "noise"), [(60, 60), (60, 0), (600, 0)])
def test_cross_validation_chooses_the_strength(n, noise, reverse):
    strengths = [1e-3, 1e-2, 1e-1, 1.0]
    x, y = features(n, 5)
    x = torch.hstack([x, torch.from_numpy(np.random.default_rng(0).normal(size=(n, noise)))])
    fold = np.empty(n, int)
    for c in range(3):  # items of a class in turn, from where the class before stopped
        members = np.flatnonzero(y.numpy() == c)
        fold[members] = ((y < c).sum().item() + np.arange(len(members))) % 5
    losses = {c: held_out_loss(c, x, y.numpy(), fold) for c in strengths}
    expected = strongest_within_one_standard_error(losses)
    found = fit_linear_probe(x, y, strengths[:: -1 if reverse else 1])
    assert found.strength == expected


def test_the_cases_of_the_choice_differ():
    chosen = {
        fit_linear_probe(
            torch.hstack([features(n, 5)[0], torch.randn(n, m)]), features(n, 5)[1]
        ).strength
        for n, m in [(60, 60), (600, 0)]
    }
    assert len(chosen) == 2


def test_items_of_a_group_are_held_out_together():
    x, y = features(20, 3)
    copies, labels, groups = x.repeat(6, 1), y.repeat(6), torch.arange(20).repeat(6)
    x = torch.hstack([copies, torch.randn(20, 30, dtype=x.dtype).repeat(6, 1)])  # recognises copies
    apart, together = (fit_linear_probe(x, labels, groups=g) for g in (None, groups))
    assert together.strength < apart.strength


def test_scale_of_the_features_does_not_matter():
    (x, y), (test_x, test_y) = features(100, 1), features(60, 2)
    scale = torch.tensor([1.0, 0.01, 100.0, 1.0, 1 / 30, 7.0])
    scaled = linear_probe(x * scale, y, test_x * scale, test_y)
    assert scaled.tolist() == linear_probe(x, y, test_x, test_y).tolist()


@pytest.mark.parametrize("constant", [0.0, 1.0, -300.0])
def test_rounding_of_a_constant_feature_has_no_say(constant):
    (x, y), (test_x, _) = features(100, 1), features(60, 2)
    rounding = lambda labels: constant * (1 + 2.4e-7 * (labels[:, None] == 0)).float()
    with_it = fit_linear_probe(torch.hstack([x, rounding(y)]), y, [1.0])
    plain = fit_linear_probe(x, y, [1.0]).logits(test_x.numpy())
    for told in (torch.zeros(60), torch.ones(60)):
        asked = torch.hstack([test_x, rounding(told)])
        assert np.abs(with_it.logits(asked.numpy()) - plain).max() < 1e-4


def test_labels_of_the_test_items_only_judge():
    (x, y), (test_x, test_y) = features(100, 1), features(60, 2)
    assert linear_probe(x, y, test_x, torch.full_like(test_y, 9)).sum() == 0


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (torch.randn(4, 2), torch.arange(4), "at least 5 training items .* got 4 of 4"),
        (torch.randn(10, 2), torch.zeros(10), "at least 2 classes, got 10 of 1"),
        (torch.randn(10, 2), torch.arange(9), r"\(10, 2\) and \(9,\)"),
        (torch.full((10, 2), torch.nan), torch.arange(10), "finite features"),
    ],
)
def test_refusals(x, y, message):
    with pytest.raises(ValueError, match=message):
        linear_probe(x, y, torch.randn(3, 2), torch.zeros(3))


def test_the_number_of_threads_does_not_change_the_result():
    x, y = features(400, 1)
    fits = []
    for threads in (1, 2):
        with threadpool_limits(threads):
            fits.append(fit_linear_probe(x, y).weights)
    assert np.array_equal(*fits)


def test_a_rare_class_is_learned():
    x, y = features(100, 3, classes=2)
    x[:2], y[:2] = torch.tensor([40.0, -900.0, 5.0, 40.0, 40.0, 40.0]), 2  # fewer than folds
    fitted = fit_linear_probe(x, y)
    assert list(fitted.classes) == [0, 1, 2] and (fitted.predict(x[:2].numpy()) == 2).all()


ELSEWHERE = """
import numpy as np, torch
from lib.probes.linear_probe import fit_linear_probe
from tests.probes.test_linear_probe import correlated
(x, y), (asked, _) = correlated(600, 1), correlated(4000, 2)
weight = torch.linspace(-1, 1, 40 * 40).reshape(40, 40) + torch.eye(40)
known, asked = (torch.nn.functional.gelu(t @ weight) for t in (x, asked))  # in single precision
print(fit_linear_probe(known, y).predict(asked.numpy()).tolist())
"""


def test_processors_predict_alike():
    def run(**variables):
        done = subprocess.run(
            [sys.executable, "-c", ELSEWHERE],
            env=os.environ | variables,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout

    here = run()
    old = {"ATEN_CPU_CAPABILITY": "default", "OPENBLAS_CORETYPE": "Haswell"}
    assert run(**old, MKL_ENABLE_INSTRUCTIONS="SSE4_2", OMP_NUM_THREADS="2") == here
