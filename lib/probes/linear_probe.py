"""Linear probe: multinomial logistic regression on frozen features, fitted until it stands still."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.linalg import cholesky, solve_triangular
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax
from threadpoolctl import threadpool_limits
from torch import Tensor

STRENGTHS = (1e-3, 1e-2, 1e-1, 1.0)
FOLDS = 5
CHOOSING = 5000  # items that choose the strength; where there are more, the first
LARGEST = 2**25  # numbers in the preconditioners of all classes; beyond, the classes share one


@dataclass(frozen=True)
class LinearProbe:
    """A fitted probe, in double precision.

    Attributes:
        classes: ``(classes,)`` labels.
        mean, scale: ``(width,)`` of the training features; the scale of a constant one is infinite.
        weights: ``(width + 1, classes)`` of the standardised features, the last row the intercepts.
        strength: scikit-learn's C, the inverse of the L2 penalty.
    """

    classes: np.ndarray
    mean: np.ndarray
    scale: np.ndarray
    weights: np.ndarray
    strength: float

    def logits(self, features: np.ndarray) -> np.ndarray:
        """Logits ``(m, classes)`` of features ``(m, width)``."""
        return _with_ones((features - self.mean) / self.scale) @ self.weights

    def predict(self, features: np.ndarray) -> np.ndarray:
        """Most likely labels ``(m,)`` of features ``(m, width)``."""
        return self.classes[self.logits(features).argmax(1)]


def _with_ones(x: np.ndarray) -> np.ndarray:
    return np.column_stack([x, np.ones(len(x))])


def _scale(x: np.ndarray, precision: float) -> np.ndarray:
    """Standard deviation of each feature; infinite where it is rounding, so that it has no say."""
    spread = x.std(0)
    return np.where(spread > 8 * precision * np.abs(x).max(0), spread, np.inf)


def folds(y: np.ndarray, number: int) -> np.ndarray:
    """Fold of each item: those of a class go to the folds in turn, in their order.

    >>> folds(np.array([1, 0, 1, 0, 1]), 2).tolist()
    [0, 0, 1, 1, 0]
    """
    fold = np.empty(len(y), int)
    fold[np.argsort(y, kind="stable")] = np.arange(len(y)) % number
    return fold


def _preconditioner(x: np.ndarray, weights: np.ndarray, strength: float) -> np.ndarray:
    """Inverse L⁻¹ ``(classes or 1, width, width)`` of the factor of each class's own curvature,
    L Lᵀ = C Xᵀ diag(p (1 − p)) X + I at the weights, without I for the intercept."""
    p = softmax(x @ weights, axis=1)
    doubt = p * (1 - p)
    if doubt.shape[1] * x.shape[1] ** 2 > LARGEST:
        doubt = doubt.mean(1, keepdims=True)
    penalty = np.diag(np.r_[np.ones(x.shape[1] - 1), 1e-9])
    roots = (x * np.sqrt(strength * column)[:, None] for column in doubt.T)
    factors = [cholesky(root.T @ root + penalty, lower=True) for root in roots]
    return np.stack([solve_triangular(f, np.eye(len(f)), lower=True) for f in factors])


def _minimise(
    x: np.ndarray,
    truth: np.ndarray,
    strength: float,
    start: np.ndarray,
    inverse: np.ndarray,
    tolerance: float = 1e-6,
) -> np.ndarray:
    """Weights ``(width, classes)`` of least C Σ cross-entropy + ½ ‖W‖², intercepts not in the norm.

    L-BFGS on u = Lᵀ w of each class, in which the curvature is about 1: some twenty steps instead
    of hundreds. One vector added to the weights of every class changes no prediction, so the norm
    is that of the weights less their mean over classes; at the minimum that mean is 0.
    """
    shape = start.T.shape
    weights = lambda u: (u.reshape(shape)[:, None] @ inverse)[:, 0]

    def objective(u: np.ndarray) -> tuple[float, np.ndarray]:
        w = weights(u)
        z = x @ w.T
        z -= z.max(1, keepdims=True)
        p = np.exp(z)
        total = p.sum(1, keepdims=True)
        p /= total
        penalised = w - w.mean(0)
        penalised[:, -1] = 0
        loss = np.log(total).sum() - np.vdot(z, truth)
        value = strength * loss + np.vdot(penalised, penalised) / 2
        slope = strength * (p - truth).T @ x + penalised
        return value, (inverse @ slope[..., None]).ravel()

    u = np.linalg.solve(inverse.mT, start.T[..., None])
    options = {"gtol": tolerance, "ftol": 0, "maxcor": 20, "maxiter": 2000, "maxfun": 4000}
    w = weights(minimize(objective, u.ravel(), jac=True, method="L-BFGS-B", options=options).x)
    return (w - w.mean(0)).T


def _held_out_losses(
    x: np.ndarray, truth: np.ndarray, fold: np.ndarray, strength: float, weights: np.ndarray
) -> np.ndarray:
    """Cross-entropy ``(n,)`` of every item under the probe of the other folds, each found from the
    weights of all items."""
    inverse = _preconditioner(x, weights, strength)
    losses = np.empty(len(x))
    for out in (fold == f for f in np.unique(fold)):
        found = _minimise(x[~out], truth[~out], strength, weights, inverse, tolerance=1e-4)
        losses[out] = -(log_softmax(x[out] @ found, axis=1) * truth[out]).sum(1)
    return losses


def strongest_within_one_standard_error(losses: dict[float, np.ndarray]) -> float:
    """The smallest C whose mean loss exceeds the smallest mean loss by no more than one standard
    error of their difference, item by item.

    After Breiman, Friedman, Olshen, Stone (1984), *Classification and Regression Trees*, section
    3.4.3, whose standard error is that of the smallest loss itself; the difference is known better.

    Args:
        losses: C -> ``(n,)`` losses of independent held-out items.

    >>> best, noise = np.array([1.0, 2.0, 3.0]), np.array([0.1, -0.1, 0.1])
    >>> strongest_within_one_standard_error({0.1: best + 0.2, 1.0: best + noise, 10.0: best})
    1.0
    """
    best = min(losses.values(), key=np.mean)
    excess = {strength: loss - best for strength, loss in losses.items()}
    return min(c for c, e in excess.items() if e.mean() <= e.std() / np.sqrt(len(e)))


def _choose(
    x: np.ndarray,
    codes: np.ndarray,
    truth: np.ndarray,
    strengths: list[float],
    group: np.ndarray | None,
) -> tuple[np.ndarray, float]:
    """Weights, roughly, and C. The fits go from the strongest penalty to the weakest, each starting
    where the one before ended; cross-validation goes back until a penalty is too strong."""
    weights, found, losses = np.zeros((x.shape[1], truth.shape[1])), {}, {}
    for strength in strengths:
        inverse = _preconditioner(x, weights, strength)
        found[strength] = weights = _minimise(x, truth, strength, weights, inverse, tolerance=1e-3)
    fold = folds(codes, FOLDS) if group is None else group % FOLDS
    best = strengths[-1]
    for strength in reversed(strengths[1:] and strengths):  # a single one is not asked for
        loss = _held_out_losses(x, truth, fold, strength, found[strength])
        of_groups = loss if group is None else np.bincount(group, loss) / np.bincount(group)
        losses[strength] = of_groups
        best = strongest_within_one_standard_error(losses)
        if best != strength:
            break
    return found[best], best


def fit_linear_probe(
    features: Tensor,
    labels: Tensor,
    strengths: Sequence[float] = STRENGTHS,
    groups: Tensor | None = None,
) -> LinearProbe:
    """Multinomial logistic regression on standardised features; cross-validation chooses C.

    The minimum of C Σ cross-entropy + ½ ‖W‖², as scikit-learn defines it, to a precision at which
    solvers and processors predict alike. C is the smallest whose cross-entropy on held-out items
    (five folds, stratified, in the items' order) is within one standard error of the best: unlike
    the number of right answers it has no ties. scikit-learn's solvers take ten times as long for
    such a fit (L-BFGS without a preconditioner, or a Hessian of all classes).

    Args:
        features: ``(n, width)`` of frozen training representations, with ``labels`` ``(n,)``.
        strengths: candidates for C, the inverse of the L2 penalty.
        groups: ``(n,)`` integers; items of one, such as the patches of an image, are held out
            together, and counted as one in the standard error.

    Returns:
        the probe; ``predict`` takes a NumPy array ``(m, width)``, so that one fit serves many
        versions of the test images.

    Raises:
        ValueError: fewer than 5 items or 2 classes, lengths that differ, features not finite.
    """
    x, y = features.double().numpy(force=True), labels.numpy(force=True)
    classes, codes = np.unique(y, return_inverse=True)
    if x.ndim != 2 or len(x) != len(y):
        raise ValueError(f"expected features (n, width) and n labels, got {x.shape} and {y.shape}")
    if len(x) < FOLDS or len(classes) < 2:
        raise ValueError(
            f"expected at least {FOLDS} training items of at least 2 classes,"
            f" got {len(x)} of {len(classes)}"
        )
    if not np.isfinite(x).all():
        raise ValueError("expected finite features, got NaN or infinity")
    with threadpool_limits(1):  # no slower for matrices of this size
        mean, scale = x.mean(0), _scale(x, torch.finfo(features.dtype).eps)
        z, truth = _with_ones((x - mean) / scale), np.eye(len(classes))[codes]
        some = slice(CHOOSING)
        group = (
            None
            if groups is None
            else np.unique(groups.numpy(force=True)[some], return_inverse=True)[1]
        )
        weights, strength = _choose(z[some], codes[some], truth[some], sorted(strengths), group)
        weights = _minimise(z, truth, strength, weights, _preconditioner(z, weights, strength))
    return LinearProbe(classes, mean, scale, weights, strength)


def linear_probe(
    features: Tensor,
    labels: Tensor,
    test_features: Tensor,
    test_labels: Tensor,
    strengths: Sequence[float] = STRENGTHS,
) -> np.ndarray:
    """Correctness on test items of :func:`fit_linear_probe`.

    Args:
        features, labels, strengths: of :func:`fit_linear_probe`.
        test_features: ``(m, width)``, with ``test_labels`` ``(m,)``.

    Returns:
        ``(m,)`` float, 1 where the prediction is right, so that the caller can form means and
        intervals over images.
    """
    predicted = fit_linear_probe(features, labels, strengths).predict(
        test_features.numpy(force=True)
    )
    return (predicted == test_labels.numpy(force=True)).astype(float)
