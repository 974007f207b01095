"""Linear probe: logistic regression on frozen features."""

from collections.abc import Sequence

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor

STRENGTHS = (1e-3, 1e-2, 1e-1, 1.0)


def _classifier(strength: float) -> Pipeline:
    return make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=300, tol=1e-3))


def fit_linear_probe(features: Tensor, labels: Tensor, strengths: Sequence[float] = STRENGTHS) -> Pipeline:
    """Multinomial logistic regression on standardised features; the regularisation is chosen on held-out training items.

    The last fifth of the training items chooses C, then the classifier is fitted again on all of them.

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
    scores = [_classifier(c).fit(x[:-held_out], y[:-held_out]).score(x[-held_out:], y[-held_out:]) for c in strengths]
    return _classifier(strengths[int(np.argmax(scores))]).fit(x, y)


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
