import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lib.data.fashion import on_background
from lib.data.render import cue_conflict
from lib.probes.shape_fraction import cue_decisions, shape_fraction
from lib.report.intervals import bootstrap_sums

CASES = st.lists(
    st.tuples(st.integers(0, 4), st.integers(0, 4), st.integers(1, 4)), min_size=1, max_size=30
)


@pytest.fixture(scope="module")
def conflicts():
    """Cue conflicts of a bright cross, dark disc, grey bar: shape and texture classes differ; masks
    of the shapes."""
    x = torch.arange(20) - 9.5
    shapes = torch.stack(
        [
            (x.abs() < 4) | (x[:, None].abs() < 4),
            x**2 + x[:, None] ** 2 < 64,
            (x.abs() < 5) & (x[:, None].abs() < 9),
        ]
    )[:, None]
    images = torch.tensor([0.9, 0.2, 0.5]).reshape(3, 1, 1, 1) * shapes
    shape, texture = torch.tensor([[a, b] for a in range(3) for b in range(3) if a != b]).T
    return (
        cue_conflict(images[shape], shapes[shape], images[texture], shapes[texture]),
        shapes,
        shape,
        texture,
    )


def test_is_1_for_a_classifier_that_sees_the_mask_alone(conflicts):
    images, shapes, shape, texture = conflicts
    overlap = ((images > 0)[:, None] == shapes).flatten(2).sum(2)
    assert shape_fraction(cue_decisions(overlap.argmax(1), shape, texture).sum(0)) == 1


def test_is_0_for_a_classifier_that_sees_the_texture_alone(conflicts):
    images, _, shape, texture = conflicts
    level = on_background(images, images > 0, 0.0).flatten(1).max(1).values
    predictions = (level[:, None] - torch.tensor([0.9, 0.2, 0.5])).abs().argmin(1)
    assert shape_fraction(cue_decisions(predictions, shape, texture).sum(0)) == 0


@given(CASES)
def test_equals_counting(cases):
    predictions, shapes, steps = np.array(cases).T
    textures = (shapes + steps) % 5
    shape = sum(p == s for p, s in zip(predictions, shapes, strict=True))
    texture = sum(p == t for p, t in zip(predictions, textures, strict=True))
    decisions = cue_decisions(torch.tensor(predictions), shapes, textures)
    assert decisions.sum(0).tolist() == [shape, texture]
    if shape + texture:
        assert shape_fraction(decisions.sum(0)) == pytest.approx(shape / (shape + texture))
        assert shape_fraction(decisions.sum(0)) == pytest.approx(
            1 - shape_fraction(cue_decisions(predictions, textures, shapes).sum(0))
        )
    else:
        assert np.isnan(shape_fraction(decisions.sum(0)))


def test_its_interval_over_images():
    decisions = cue_decisions(np.array([0, 1, 1, 2] * 50), np.zeros(200), np.ones(200))
    point, low, high = bootstrap_sums(decisions, shape_fraction)
    # binomial, 150 decisions: ± 0.075
    assert point == pytest.approx(1 / 3) and 0.23 < low < 0.28 < 0.38 < high < 0.44


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([0, 1], [0, 1], [1]), "one length"),
        (([[0]], [[0]], [[1]]), "vectors"),
        (([0, 1], [0, 1], [1, 1]), "agree on 1"),
    ],
)
def test_refusals(arguments, message):
    with pytest.raises(ValueError, match=message):
        cue_decisions(*arguments)
