"""Linear probe: logistic regression on frozen features."""

import copy
from collections.abc import Sequence

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits
from torch import Tensor

STRENGTHS = (1e-3, 1e-2, 1e-1, 1.0)


def _warm_path(x: np.ndarray, y: np.ndarray, held_out: int, strengths: Sequence[float]) -> LogisticRegression:
    """The classifier of the strength that is best on the last items, fitted on the others; each starts where the one with the stronger penalty ended.

    Of equally good ones the weakest penalty wins: few items often tie, and under the strongest a classifier knows little but how frequent the classes are.
    """
    scaler = StandardScaler().fit(x[:-held_out])
    known, asked = scaler.transform(x[:-held_out]), scaler.transform(x[-held_out:])
    found, scores = {}, {}
    classifier = LogisticRegression(max_iter=300, tol=1e-3, warm_start=True)
    for strength in sorted(strengths):
        classifier.set_params(C=strength).fit(known, y[:-held_out])
        found[strength], scores[strength] = copy.deepcopy(classifier), classifier.score(asked, y[-held_out:])
    return found[max(strengths, key=lambda strength: (scores[strength], strength))]


def fit_linear_probe(features: Tensor, labels: Tensor, strengths: Sequence[float] = STRENGTHS) -> Pipeline:
    """Multinomial logistic regression on standardised features; the regularisation is chosen on held-out training items.

    The last fifth of the training items chooses C (the larger of equally good ones), then the classifier is fitted on all of them, from where it stood (twice as fast as from zero).

    Args:
        features: ``(n, width)`` of frozen training representations, with ``labels`` ``(n,)``.
        strengths: candidates for scikit-learn's C, the inverse of the L2 penalty.

    Returns:
        the fitted classifier; ``predict`` takes a NumPy array ``(m, width)``, so one fit serves many versions of the test images.

    Raises:
        ValueError: fewer than two classes or shapes that do not fit (scikit-learn's message).
    """
    x, y = features.numpy(), labels.numpy()
    held_out = len(x) // 5
    if held_out == 0:
        raise ValueError(f"expected at least 5 training items to hold a fifth out, got {len(x)}")
    with threadpool_limits(1):  # equal results whatever the number of threads, and no slower for matrices of this size
        classifier = _warm_path(x, y, held_out, strengths)
        if len(classifier.classes_) < len(np.unique(y)):  # a class that is held out altogether: there is no start for it
            classifier.set_params(warm_start=False)
        return make_pipeline(StandardScaler(), classifier).fit(x, y)


def linear_probe(features: Tensor, labels: Tensor, test_features: Tensor, test_labels: Tensor, strengths: Sequence[float] = STRENGTHS) -> np.ndarray:
    """Correctness on test items of :func:`fit_linear_probe`.

    Args:
        features, labels, strengths: of :func:`fit_linear_probe`.
        test_features: ``(m, width)``, with ``test_labels`` ``(m,)``.

    Returns:
        ``(m,)`` float, 1 where the prediction is right, so that the caller can form means and intervals over images.
    """
    predicted = fit_linear_probe(features, labels, strengths).predict(test_features.numpy())
    return (predicted == test_labels.numpy()).astype(float)
