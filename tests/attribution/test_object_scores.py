import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lib.attribution.pointing_game import pointing_game
from lib.attribution.relevance_mass import relative_relevance_mass, relevance_mass_accuracy

SCORES = (relevance_mass_accuracy, relative_relevance_mass, pointing_game)


@given(seed=st.integers(0, 999), channels=st.sampled_from([1, 3]), scale=st.floats(1e-3, 1e3))
def test_equal_loops_and_ignore_the_scale(seed, channels, scale):
    generator = torch.Generator().manual_seed(seed)
    attribution, masks = (
        torch.randn(3, channels, 4, 5, generator=generator),
        torch.rand(3, 1, 4, 5, generator=generator) > 0.6,
    )
    masks[:, :, 0, 0] = True
    accuracy, relative, hits = (score(attribution * scale, masks) for score in SCORES)
    for i in range(3):
        inside = sum(
            attribution[i, c, y, x].abs().item()
            for c in range(channels)
            for y in range(4)
            for x in range(5)
            if masks[i, 0, y, x]
        )
        assert accuracy[i].item() == pytest.approx(
            inside / attribution[i].abs().sum().item(), rel=1e-4
        )
        assert relative[i].item() == pytest.approx(
            accuracy[i].item() / (masks[i].sum().item() / 20), rel=1e-4
        )
        assert hits[i] == masks[i, 0].flatten()[(attribution[i].sum(0)).argmax()]


def test_closed_forms():
    masks = torch.zeros(1, 1, 4, 4, dtype=torch.bool)
    masks[..., :2, :2] = True
    uniform = torch.ones(1, 1, 4, 4)
    assert [score(uniform, masks).item() for score in SCORES] == [0.25, 1, 0.25]
    assert [score(masks.float(), masks).item() for score in SCORES] == [1, 4, 1]
    assert [score(1.0 - masks.float(), masks).item() for score in SCORES] == [0, 0, 0]
    assert relevance_mass_accuracy(0 * uniform, masks).isnan().all()  # nothing to share out


@pytest.mark.parametrize("score", SCORES)
def test_bad_input_is_refused(score, images):
    with pytest.raises(ValueError, match="bool masks"):
        score(images, images)
    with pytest.raises(ValueError, match="bool masks"):
        score(images, images[:4] > 0)
    with pytest.raises(ValueError, match="finite"):
        score(images / 0, images > 0)
