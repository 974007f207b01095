"""Effects against the sentences of the claims, written out with loops."""

import numpy as np
import pytest
import torch

from lib.probes.every import block_probes, token_probes
from lib.study.claims import load_claims
from lib.study.effects import attention_effects, fourier_effects, one_pass_effects, shift_effects, similarity_effects

DEPTH, IMAGES, HEADS = 6, 5, 3
EARLY, LATE = [0, 1], [4, 5]  # of six blocks: up to one third, beyond two thirds


@pytest.fixture
def pair():
    """What two encoders of six blocks could have given."""
    names = [*block_probes((7, 7), 4), *token_probes((7, 7))]
    random = torch.Generator().manual_seed(0)
    shape = lambda name: (IMAGES, DEPTH + (name in token_probes((7, 7))), HEADS)  # noqa: E731
    one = lambda: {name: torch.rand(shape(name), generator=random) for name in names}  # noqa: E731
    made = one(), one()
    for m in made:
        m["amplitude, official"] = m["amplitude, to Nyquist"][..., :-1]
    return made


def mean(measured, name, image, blocks):
    """Mean over blocks and heads, by loops."""
    values = [measured[name][image, block, head].item() for block in blocks for head in range(HEADS)]
    return sum(values) / len(values)


def test_attention_effects_are_the_sentences_of_the_claims(pair):
    cl, mim = pair
    found = attention_effects(cl, mim, uniform=2.0)
    for i in range(IMAGES):
        more = lambda name, blocks: mean(cl, name, i, blocks) - mean(mim, name, i, blocks)  # noqa: B023, E731
        assert found["B2-same-map"][i] == pytest.approx(more("query similarity", LATE), abs=1e-6)
        assert found["B2-local"][i] == pytest.approx(-more("local attention", LATE), abs=1e-6)
        assert found["B3-distance-late"][i] == pytest.approx(more("attention distance", LATE) / 2, abs=1e-6)
        grows = (more("attention distance", LATE) - more("attention distance", EARLY)) / 2
        assert found["B3-gap-grows"][i] == pytest.approx(grows, abs=1e-6)
        assert found["B4-nmi-late"][i] == pytest.approx(-more("normalised mutual information", LATE), abs=1e-6)
        assert found["B4-collapse"][i] == pytest.approx(0.05 - mean(cl, "normalised mutual information", i, [5]), abs=1e-6)


def test_fourier_effects_leave_out_what_enters_the_first_block(pair):
    cl, mim = pair
    found = fourier_effects(cl, mim)
    last = lambda m, i, depth: m["amplitude, official"][i, depth, -1].item()  # noqa: E731
    for i in range(IMAGES):
        everywhere = sum(last(mim, i, d) - last(cl, i, d) for d in range(1, DEPTH + 1)) / DEPTH
        assert found["B9-frequency"][i] == pytest.approx(everywhere, abs=1e-6)
        assert found["B9-mim-ends-low"][i] == pytest.approx(last(mim, i, 4) - last(mim, i, 6), abs=1e-6)


def test_exchanging_the_encoders_changes_the_sign_of_differences(pair):
    for effects in (similarity_effects, shift_effects):
        there, back = effects(*pair), effects(*pair[::-1])
        assert all(np.allclose(there[claim], -back[claim]) and np.abs(there[claim]).min() > 0 for claim in there)


def test_every_effect_is_a_claim_with_one_value_an_image(pair):
    found = one_pass_effects(*pair, 1.0)
    assert set(found) <= set(load_claims()) and len(found) == 13
    assert all(effect.shape == (IMAGES,) and np.isfinite(effect).all() for effect in found.values())
