import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import confusion_matrix, jaccard_score

from lib.probes.mean_iou import confusion_matrices, mean_iou
from lib.report.intervals import bootstrap_sums


def segmented(m, seed, classes=5, right=0.6):
    generator = np.random.default_rng(seed)
    labels = generator.integers(classes, size=(m, 4, 3))
    return (
        np.where(
            generator.random(labels.shape) < right,
            labels,
            generator.integers(classes, size=labels.shape),
        ),
        labels,
    )


@settings(max_examples=8)
@given(st.integers(0, 999), st.integers(1, 3), st.integers(2, 7))
def test_equals_scikit_learn(seed, m, classes):
    predictions, labels = segmented(m, seed, classes)
    found = confusion_matrices(predictions, labels, 8)  # more classes than there are
    assert found.shape == (m, 8, 8)
    for i in range(m):
        assert np.array_equal(
            found[i], confusion_matrix(labels[i].ravel(), predictions[i].ravel(), labels=range(8))
        )
        present = np.union1d(labels[i], predictions[i])
        reference = jaccard_score(
            labels[i].ravel(), predictions[i].ravel(), labels=present, average="macro"
        )
        assert mean_iou(found)[i] == pytest.approx(reference)
    present = np.union1d(labels, predictions)
    assert mean_iou(found.sum(0)) == pytest.approx(
        jaccard_score(labels.ravel(), predictions.ravel(), labels=present, average="macro")
    )


def test_bounds():
    _, labels = segmented(3, 0)
    assert mean_iou(confusion_matrices(labels, labels, 5).sum(0)) == 1
    assert mean_iou(confusion_matrices((labels + 1) % 5, labels, 5).sum(0)) == 0
    assert np.isnan(mean_iou(np.zeros((5, 5))))


@given(st.permutations(range(5)))
def test_names_of_the_classes_do_not_matter(names):
    predictions, labels = segmented(4, 1)
    rename = np.array(names)
    before, after = (
        mean_iou(confusion_matrices(p, y, 5))
        for p, y in ((predictions, labels), (rename[predictions], rename[labels]))
    )
    assert after == pytest.approx(before)


def test_its_interval_resamples_images():
    predictions, labels = segmented(12, 3)
    confusions = confusion_matrices(predictions, labels, 5)
    point, low, high = bootstrap_sums(confusions, mean_iou, resamples=40, seed=5)
    counts = np.random.default_rng(5).multinomial(12, [1 / 12] * 12, size=40)
    drawn = [np.repeat(np.arange(12), row) for row in counts]
    found = [
        jaccard_score(labels[i].ravel(), predictions[i].ravel(), average="macro") for i in drawn
    ]
    assert point == pytest.approx(
        jaccard_score(labels.ravel(), predictions.ravel(), average="macro")
    )
    assert (low, high) == pytest.approx(tuple(np.quantile(found, [0.025, 0.975])))


@pytest.mark.parametrize(
    ("predictions", "labels", "message"),
    [
        ([[0, 1]], [[0]], "one shape"),
        ([[0, 3]], [[0, 1]], "0 to 2, got 0 to 3"),
        ([[0, 1]], [[-1, 1]], "-1 to 1"),
    ],
)
def test_refusals(predictions, labels, message):
    with pytest.raises(ValueError, match=message):
        confusion_matrices(predictions, labels, 3)
